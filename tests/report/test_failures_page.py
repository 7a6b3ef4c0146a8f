import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from m3dfel.cli import main
from m3dfel.evaluation.runs import read_run
from m3dfel.report.failures_page import write_failures
from m3dfel.synthetic.clips import synthetic_clips
from m3dfel.training.loop import train
from made_up import LABELS, run_with_evidence
from small_data import tiny


def test_the_page_shows_the_frames_of_every_error(ferv39k: Path, tmp_path: Path):
    folder = tmp_path / "run"
    train(tiny(folder, ferv39k, epochs=1, warmup_epochs=0))
    assert main(["failures", str(folder)]) == 0
    failures = pd.read_csv(folder / "failures/failures.csv")
    clips = read_run(folder).clips
    assert set(failures["path"]) == set(clips.loc[~clips["right"], "path"])
    assert (failures["emotion"] != failures["predicted"]).all()
    assert failures["confidence"].is_monotonic_decreasing
    counts = pd.read_csv(folder / "failures/failures_by_emotion.csv").set_index("emotion")
    assert (counts["classification"] + counts["fusion"] == counts["wrong"]).all()
    assert counts.loc["all", "wrong"] == len(failures) == counts["wrong"][:-1].sum()
    page = (folder / "failures/failures.html").read_text()
    assert page.count("data:image/jpeg") == len(failures)
    assert str(failures["path"][0]) in page

    shutil.rmtree(ferv39k)
    assert main(["failures", str(folder), "--output", str(tmp_path / "again")]) == 0
    page = (tmp_path / "again/failures.html").read_text()
    assert "data:image/jpeg" not in page
    assert "missing" in page, "the page says that the frames are missing"


def test_localization_is_written_for_drawn_clips(tmp_path: Path):
    clips = synthetic_clips(0, range(2), 1, LABELS)
    paths, emotions = [str(clip) for clip in clips], [clip.emotion for clip in clips]
    evidence = np.random.default_rng(0).normal(size=(len(clips), 4, 3))
    _, located = write_failures(run_with_evidence(emotions, evidence, paths), tmp_path)
    written = pd.read_csv(tmp_path / "localization.csv").iloc[0].to_dict()
    assert written["pointing"] == located["pointing"]
    assert "frame AUC" in (tmp_path / "failures.html").read_text()
