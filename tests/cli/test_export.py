"""The command `m3dfel export`."""

from pathlib import Path

import pandas as pd
import pytest

from m3dfel.cli import main
from small_data import small_model, write_frames


def test_an_exported_model_predicts_like_the_original(tmp_path: Path, capsys):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    write_frames(tmp_path / "frames", 30, side=48)
    original, exported = tmp_path / "original", tmp_path / "exported"
    small_model(backbone="resnet", aggregation="transformer").save_pretrained(original)
    assert main(["export", str(original), "--output", str(exported)]) == 0
    assert "its logits differ by" in " ".join(capsys.readouterr().out.split())
    tables = []
    for name in original, exported:
        words = ["--model", str(name), "--output", str(tmp_path / name.name), "--aligned"]
        assert main(["predict", str(tmp_path / "frames"), *words]) == 0
        tables.append(pd.read_csv(tmp_path / name.name / "frames_clips.csv"))
    pd.testing.assert_frame_equal(*tables, check_exact=False, atol=1e-4)
