"""The command `m3dfel evaluate`."""

import json
from pathlib import Path

from m3dfel.cli import main
from m3dfel.emotions import EMOTIONS
from m3dfel.models.m3dfel import M3DFEL
from small_data import write_frames


def test_two_models_stand_side_by_side(model: Path, dfew: Path, tmp_path: Path):
    words = ["--data", str(dfew), "--workers", "0", "--output", str(tmp_path)]
    other = tmp_path / "other"
    M3DFEL(size=32, bag_size=2, backbone_options={"width": 4, "depth": 10}).save_pretrained(other)
    assert main(["evaluate", "--model", str(model), str(other), *words]) == 0
    assert len(list(tmp_path.glob("*/results.json"))) == 2
    assert (tmp_path / "confusion.png").exists()
    assert (tmp_path / "risk_coverage.png").exists()


def test_clips_outside_the_label_set_are_left_out_and_counted(dfew: Path, tmp_path: Path):
    M3DFEL(EMOTIONS[:6], size=32, backbone_options={"width": 4, "depth": 10}).save_pretrained(
        tmp_path / "six"
    )
    words = ["evaluate", "--model", str(tmp_path / "six"), "--data", str(dfew), "--workers", "0"]
    assert main([*words, "--output", str(tmp_path / "out")]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["clips"] == 6
    assert results["left_out"] == {"problems": 0, "outside_label_set": 1, "unreadable": 0}


def test_a_still_set_is_evaluated_from_its_csv(model: Path, tmp_path: Path):
    write_frames(tmp_path / "faces", 3)
    (tmp_path / "faces.csv").write_text("file,emotion\n1.jpg,happiness\n2.jpg,fear\n3.jpg,fear\n")
    words = ["--data", str(tmp_path / "faces.csv"), "--output", str(tmp_path / "out")]
    assert main(["evaluate", "--model", str(model), *words, "--workers", "0"]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["support"]["fear"] == 2
    assert results["recall"]["anger"] is None
