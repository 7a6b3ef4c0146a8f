from pathlib import Path

import pytest

from m3dfel.live import session as live
from m3dfel.video.encode import write_video
from small_videos import noise_video


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("live") / "film.mp4"
    write_video(path, [frame.image for frame in noise_video(40, side=128)], 25)
    return path


@pytest.fixture(autouse=True)
def _waits_for_slow_computers(monkeypatch):
    """No frame is dropped, so that the tests see the same frames everywhere."""
    monkeypatch.setattr(live, "play", lambda frames: iter_generator(frames))


def iter_generator(frames):
    yield from frames
