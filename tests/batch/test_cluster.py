import os
from pathlib import Path

import pytest

import worker_stubs
from m3dfel.batch import cluster
from m3dfel.batch.cluster import predict_on_cluster
from m3dfel.batch.settings import PredictSettings
from m3dfel.errors import InputError


def test_without_videos_left_nothing_is_run(tmp_path: Path):
    settings = PredictSettings(str(tmp_path))
    assert list(cluster._run([], settings, (0, 0), {}, worker_stubs.start)) == []


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
