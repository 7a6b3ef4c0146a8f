import time

import numpy as np
import pytest

from m3dfel.errors import InputError
from m3dfel.video import camera
from m3dfel.video.camera import play, read_camera
from m3dfel.video.decode import Frame


class FakeCamera:
    """Shows three blue pictures, then is unplugged. Only number 0 exists."""

    released = 0

    def __init__(self, number: int) -> None:
        self.opened, self.pictures = number == 0, 3

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def read(self) -> tuple[bool, np.ndarray | None]:
        time.sleep(0.1)
        self.pictures -= 1
        blue = np.full((8, 10, 3), (255, 0, 0), np.uint8)
        return (True, blue) if self.pictures >= 0 else (False, None)

    def release(self) -> None:
        FakeCamera.released += 1


@pytest.fixture(autouse=True)
def _fake_camera(monkeypatch):
    monkeypatch.setattr(camera.cv2, "VideoCapture", FakeCamera)
    FakeCamera.released = 0


def test_a_camera_gives_rgb_frames_with_the_time_since_the_first():
    frames = read_camera(0)
    first, second, third = (next(frames) for _ in range(3))
    assert [frame.index for frame in (first, second, third)] == [0, 1, 2]
    assert 0 == round(first.time_s, 2) < second.time_s < third.time_s
    assert first.image.shape == (8, 10, 3)
    assert first.image[0, 0].tolist() == [0, 0, 255]
    with pytest.raises(InputError, match="camera 0 sends no more pictures"):
        next(frames)
    assert FakeCamera.released == 1


def test_a_camera_that_is_not_there_is_an_input_error():
    with pytest.raises(InputError, match="camera 3 cannot be opened: check that it is plugged in"):
        next(read_camera(3))


def test_a_video_plays_at_its_own_speed():
    image = np.zeros((8, 8, 3), np.uint8)
    start_s = time.monotonic()
    times_s = []
    for frame in play([Frame(i, i / 20, image) for i in range(5)]):
        times_s.append(frame.time_s)
        assert time.monotonic() - start_s >= frame.time_s
    assert times_s == [0, 0.05, 0.1, 0.15, 0.2]
