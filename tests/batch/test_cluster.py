import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from m3dfel.batch import cluster
from m3dfel.batch.cluster import predict_on_cluster
from m3dfel.batch.folders import predict_videos
from m3dfel.batch.predictor import PredictSettings, VideoPredictor
from m3dfel.batch.workers import predict_safely
from m3dfel.errors import InputError
from m3dfel.video.encode import write_video
from m3dfel.video.sources import find_sources
from small_videos import noise_video, small_model

SLOW = """
import os, time
from pathlib import Path
from m3dfel.batch.predictor import VideoPredictor

predict = VideoPredictor._predict

def slow(self, video, source):
    Path({folder!r}, str(os.getpid())).write_text(video.stem)
    time.sleep(0.3)
    if video.stem == "4":
        os._exit(1)
    return predict(self, video, source)

VideoPredictor._predict = slow
"""


@pytest.fixture
def ray(monkeypatch):
    """A cluster of this machine, with two workers."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'm3dfel[scale]'")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # on a busy machine, it would wait for minutes
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "src"))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


def test_a_killed_worker_loses_nothing_and_repeats_nothing(ray, tmp_path: Path, monkeypatch):
    # The plugin changes it in this process, too.
    monkeypatch.setattr(VideoPredictor, "_predict", VideoPredictor._predict)
    videos, pids = tmp_path / "videos", tmp_path / "pids"
    pids.mkdir()
    frames = np.stack([frame.image for frame in noise_video(30)])
    videos.mkdir()
    for number in range(6):
        write_video(videos / f"{number}.mp4", frames[3 * number :][:12], 25)
    (videos / "bad.mp4").write_bytes(b"not a video")
    small_model().save_pretrained(tmp_path / "model")
    sources = find_sources([videos.as_uri()], one_video=True).videos

    def settings(folder: str, *plugins: str) -> PredictSettings:
        return PredictSettings(
            str(tmp_path / folder),
            ("csv",),
            model=str(tmp_path / "model"),
            aligned=True,
            plugins=plugins,
        )

    def run_here(videos, settings):
        predict = VideoPredictor(settings)
        return [predict_safely(predict, video) for video in videos]

    predict_videos(sources, settings("here"), run_here)

    def kill_one():
        while not list(pids.iterdir()):
            time.sleep(0.02)
        os.kill(int(next(pids.iterdir()).name), signal.SIGKILL)

    (tmp_path / "slow.py").write_text(SLOW.format(folder=str(pids)))
    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    slow = settings("out", str(tmp_path / "slow.py"))
    outcomes, summary = predict_videos(
        sources, slow, lambda videos, s: predict_on_cluster(videos, s, "auto", jobs=2)
    )
    assert not killer.is_alive()
    problems = {outcome.video.stem: outcome.problem for outcome in outcomes if outcome.problem}
    assert set(problems) == {"4", "bad"}
    assert "the process or the machine that predicted it ended" in problems["4"]
    assert "not a video" in problems["bad"]
    assert [Path(video).stem for video in summary["video"]] == ["0", "1", "2", "3", "5"]
    for number in (0, 1, 2, 3, 5):
        for ending in ("csv", "json"):
            name = f"{number}.{ending}"
            assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


def test_without_videos_left_nothing_is_run(tmp_path: Path):
    assert list(cluster._run([], PredictSettings(str(tmp_path)), 1, {})) == []


def test_no_cluster_at_an_address_is_an_input_error(tmp_path: Path, monkeypatch):
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'm3dfel[scale]'")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)

    def refuse(**options):
        raise ConnectionError(f"nobody at {options['address']}")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(InputError, match="no Ray cluster at far:6379"):
        next(predict_on_cluster([], PredictSettings(str(tmp_path)), "far:6379"))
