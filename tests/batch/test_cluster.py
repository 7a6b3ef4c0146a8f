import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

import worker_stubs
from m3dfel.batch import cluster
from m3dfel.batch.cluster import predict_on_cluster
from m3dfel.batch.settings import PredictSettings, Video
from m3dfel.errors import InputError


@pytest.fixture
def ray(monkeypatch):
    """A cluster of this machine, with two workers."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'm3dfel[scale]'")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # on a busy machine, it would wait for minutes
    folders = [Path(__file__).parents[2] / "src", Path(__file__).parents[1]]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


def test_a_killed_worker_loses_nothing_and_repeats_nothing(ray, tmp_path: Path):
    """One actor is killed from outside, and one video kills every actor that predicts it."""

    def kill():
        while not (tmp_path / "pid").exists():
            time.sleep(0.02)
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    videos = [Video(f"{s}.mp4", s) for s in ("killed", "a", "b", "fatal", "bad", "c")]
    outcomes = predict_on_cluster(
        videos, PredictSettings(str(tmp_path)), "auto", jobs=2, start=worker_stubs.start
    )
    problems = {outcome.video.stem: outcome.problem for outcome in outcomes}
    assert not killer.is_alive()
    assert {stem for stem, problem in problems.items() if not problem} == {*("killed", *"abc")}
    assert "the process or the machine that predicted it ended" in problems["fatal"]
    assert problems["bad"] == "bad is not a video"
    attempts = Counter((tmp_path / "log.txt").read_text().split())
    assert attempts == {"killed": 2, "fatal": 2, "bad": 2, "a": 1, "b": 1, "c": 1}


def test_without_videos_left_nothing_is_run(tmp_path: Path):
    assert list(cluster._run([], PredictSettings(str(tmp_path)), 1, {}, worker_stubs.start)) == []


def test_no_cluster_at_an_address_is_an_input_error(tmp_path: Path, monkeypatch):
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'm3dfel[scale]'")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(os, "environ", {})

    def refuse(**options):
        raise ConnectionError(f"nobody at {options['address']}")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(InputError, match="no Ray cluster at far:6379"):
        next(predict_on_cluster([], PredictSettings(str(tmp_path)), "far:6379"))
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0", "nothing is sent anywhere"
