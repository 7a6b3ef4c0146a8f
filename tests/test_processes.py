import tempfile
from pathlib import Path

import worker_stubs
from m3dfel.batch.folders import predict_in_processes
from m3dfel.batch.predictor import VideoPredictor
from m3dfel.batch.settings import PredictSettings, Video
from m3dfel.processes import usable_cores
from m3dfel.video.encode import write_video
from small_videos import noise_video, small_model


def test_a_video_that_ends_its_process_is_tried_twice_and_does_not_end_the_others(
    tmp_path: Path, monkeypatch
):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    settings = PredictSettings(str(tmp_path))
    videos = [Video(f"{stem}.mp4", stem) for stem in ("fatal", "first", "second")]
    outcomes = list(predict_in_processes(videos, settings, jobs=1, start=worker_stubs.start))
    assert [(o.video.stem, o.finished) for o in outcomes] == [
        *(("first", True), ("second", True), ("fatal", False))
    ]
    assert outcomes[-1].problem.startswith("the process that read it ended, twice")
    assert (tmp_path / "log.txt").read_text().split() == ["fatal", "first", "second", "fatal"]
    assert not list((tmp_path / "scratch").iterdir()), "what the dead left behind is removed"


def test_a_process_of_its_own_writes_the_files_of_this_one(tmp_path: Path):
    write_video(tmp_path / "film.mp4", [frame.image for frame in noise_video(20)], 25)
    small_model().save_pretrained(tmp_path / "model")
    here, there = (
        PredictSettings(
            str(tmp_path / folder), ("csv", "json"), model=str(tmp_path / "model"), aligned=True
        )
        for folder in ("here", "there")
    )
    video = Video(str(tmp_path / "film.mp4"), "film")
    VideoPredictor(here)(video)
    (outcome,) = predict_in_processes([video], there, jobs=1)
    assert (outcome.finished, outcome.problem) == (True, "")
    for name in ("film.csv", "film.json"):
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


def test_nothing_to_do_starts_no_process(tmp_path: Path):
    assert list(predict_in_processes([], PredictSettings(str(tmp_path)), jobs=4)) == []
    assert usable_cores() >= 1
