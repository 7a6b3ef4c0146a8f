import tempfile
from pathlib import Path

import numpy as np

from m3dfel.batch.predictor import PredictSettings, Video
from m3dfel.batch.workers import predict_in_processes, usable_cores
from m3dfel.video.encode import write_video
from small_videos import noise_video, small_model

FATAL = """
import os
from m3dfel.batch.predictor import VideoPredictor

predict = VideoPredictor._predict

def fragile(self, video, source):
    with open({log!r}, "a") as file:
        file.write(video.stem + "\\n")
    if video.stem == "fatal":
        os._exit(1)
    return predict(self, video, source)

VideoPredictor._predict = fragile
"""


def test_a_video_that_ends_its_process_is_tried_twice_and_does_not_end_the_others(
    tmp_path: Path, monkeypatch
):
    frames = np.stack([frame.image for frame in noise_video(10)])
    stems = ["fatal", "first", "second"]
    for stem in stems:
        write_video(tmp_path / f"{stem}.mp4", frames, 25)
    small_model().save_pretrained(tmp_path / "model")
    log = tmp_path / "log.txt"
    (tmp_path / "fatal.py").write_text(FATAL.format(log=str(log)))
    settings = PredictSettings(
        str(tmp_path / "out"),
        ("json",),
        model=str(tmp_path / "model"),
        aligned=True,
        plugins=(str(tmp_path / "fatal.py"),),
    )
    # The copies of videos at URLs are in this folder.
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    videos = [Video((tmp_path / f"{stem}.mp4").as_uri(), stem) for stem in stems]
    outcomes = list(predict_in_processes(videos, settings, jobs=1))
    assert [(o.video.stem, o.finished) for o in outcomes] == [
        *(("first", True), ("second", True), ("fatal", False))
    ]
    assert outcomes[-1].problem.startswith("the process that predicted it ended, twice")
    assert log.read_text().split() == ["fatal", "first", "second", "fatal"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("first.json", "second.json")
    ]
    assert not list((tmp_path / "scratch").iterdir())


def test_nothing_to_do_starts_no_process(tmp_path: Path):
    assert list(predict_in_processes([], PredictSettings(str(tmp_path)), jobs=4)) == []
    assert usable_cores() >= 1
