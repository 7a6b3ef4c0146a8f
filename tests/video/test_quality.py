import numpy as np
import pytest

from m3dfel.video.align import TEMPLATE
from m3dfel.video.quality import eye_distance, quality_mark, sharpness, turned_away


def landmarks(side: float = 128, nose: tuple[float, float] = (64, 74)) -> np.ndarray:
    """A face in a square of `side` pixels, with its nose at a position given for side 128."""
    points = TEMPLATE * 128
    points[2] = nose
    return (points * side / 128).astype(np.float32)


def detailed(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (80, 80, 3), dtype=np.uint8)


def test_the_eye_distance_does_not_depend_on_the_rotation():
    assert eye_distance(landmarks(128)) == pytest.approx(38, abs=0.1)
    rotation = np.array([[0.6, -0.8], [0.8, 0.6]], np.float32)
    assert eye_distance(landmarks(64) @ rotation.T + 300) == pytest.approx(19, abs=0.1)


@pytest.mark.parametrize(
    ("nose", "away"),
    [
        ((64, 74), False),
        ((72, 70), False),
        ((56, 84), False),
        ((100, 74), True),
        ((30, 74), True),
        ((64, 30), True),
        ((64, 110), True),
    ],
)
def test_a_face_is_turned_away_if_its_nose_lies_beyond_eyes_or_mouth(nose, away: bool):
    assert turned_away(landmarks(nose=nose)) is away


def test_sharpness_depends_on_blur_and_not_on_contrast():
    sharp = detailed()
    blurred = np.repeat(np.repeat(sharp[::8, ::8], 8, 0), 8, 1)
    smooth = (blurred.astype(float) + np.roll(blurred, 4, 0) + np.roll(blurred, 4, 1)) / 3
    assert sharpness(smooth.astype(np.uint8)) < sharpness(sharp) / 4
    assert sharpness(sharp // 2) == pytest.approx(sharpness(sharp), rel=0.1)
    assert sharpness(np.full((80, 80, 3), 90, np.uint8)) == 0


def test_a_face_has_the_first_mark_that_applies():
    flat = np.full((80, 80, 3), 90, np.uint8)
    small, away, front = landmarks(20, (100, 74)), landmarks(nose=(100, 74)), landmarks()
    faces = (small, flat), (away, flat), (front, flat), (front, detailed())
    marks = [quality_mark(*face) for face in faces]
    assert marks == ["too small", "turned away", "blurred", ""]
