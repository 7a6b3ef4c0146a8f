from pathlib import Path

import pytest

from m3dfel.video.encode import write_video
from small_videos import noise_video


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """A video of two seconds, for detectors that follow a script."""
    path = tmp_path / "noise.mp4"
    write_video(path, [frame.image for frame in noise_video(50, side=96)], 25)
    return path
