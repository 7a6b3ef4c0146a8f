from itertools import islice

import cv2
import numpy as np
import pytest

from m3dfel.video.cuts import CutFinder
from m3dfel.video.decode import read_video

VIDEOS = ["single_face.mp4", "WolfgangLanger_Pexels.mp4", "woman_phone.mp4", "no_face.mp4"]


@pytest.fixture(scope="module")
def shots(shared) -> list[list[np.ndarray]]:
    """The first frames of several videos, all of one size."""
    return [
        [cv2.resize(frame.image, (640, 360)) for frame in islice(read_video(path), 12)]
        for path in (shared / "data/videos" / name for name in VIDEOS)
    ]


def cuts(images) -> list[int]:
    starts_shot = CutFinder()
    return [i for i, image in enumerate(images) if starts_shot(image)]


def moved(image, x=0.0, y=0.0, angle=0.0, zoom=1.0) -> np.ndarray:
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, zoom)
    matrix[:, 2] += (x * width, y * height)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)


def test_every_cut_between_videos_is_found(shots):
    for one in shots:
        for other in shots:
            if other is not one:
                assert cuts([*one[:3], *other[:3], *one[3:6]]) == [3, 6]


def test_a_video_without_a_cut_has_none(shared):
    for name in VIDEOS:
        assert cuts(frame.image for frame in read_video(shared / "data/videos" / name)) == []


def test_fast_motion_is_no_cut(shared):
    for name in VIDEOS:
        frames = islice(read_video(shared / "data/videos" / name), 0, None, 6)
        assert cuts(frame.image for frame in frames) == []


def test_camera_shake_is_no_cut(shots):
    rng = np.random.default_rng(0)
    for shot in shots:
        shaken = [
            moved(image, *rng.uniform(-0.06, 0.06, 2), rng.uniform(-3, 3), rng.uniform(0.97, 1.03))
            for image in shot
        ]
        assert cuts(shaken) == []


@pytest.mark.parametrize("gain", [0.3, 1.5, 2.5])
@pytest.mark.parametrize("veil", [0, 150, 255])
def test_a_flash_is_no_cut(shots, gain, veil):
    for shot in shots:
        flash = np.clip(shot[3] * gain + veil, 0, 255).astype(np.uint8)
        assert cuts([*shot[:3], flash, *shot[4:]]) == []


def test_a_lamp_in_a_corner_is_no_cut(shots):
    rows, columns = np.mgrid[:360, :640]
    light = 255 * np.exp(-((rows / 250) ** 2) - (columns / 250) ** 2)[..., None]
    for shot in shots:
        lit = np.clip(shot[3] + light, 0, 255).astype(np.uint8)
        assert cuts([*shot[:3], lit, *shot[4:]]) == []


def test_something_that_enters_is_no_cut(shots):
    for shot in shots:
        hand = shot[3].copy()
        hand[100:300, 200:400] = (200, 150, 130)
        assert cuts([*shot[:3], hand, *shot[4:]]) == []


def test_blank_frames_are_no_cut_but_the_shots_around_them_are_compared(shots):
    one, other = shots[:2]
    black = np.zeros_like(one[0])
    assert cuts([*one[:3], black, black, *one[3:]]) == []
    assert cuts([*one[:3], black, black, *other[:3]]) == [5]


def test_noise_is_no_cut():
    rng = np.random.default_rng(0)
    assert cuts(rng.integers(0, 256, (20, 48, 48, 3), dtype=np.uint8)) == []
