import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3dfel.video.align import TEMPLATE, align_face, similarity


@given(
    scale=st.floats(0.2, 20),
    angle=st.floats(-np.pi, np.pi),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
def test_any_rotation_scale_and_shift_is_recovered(scale, angle, shift):
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    expected = np.column_stack([scale * rotation, shift])
    points = TEMPLATE * 100
    moved = points @ (scale * rotation).T + shift
    np.testing.assert_allclose(similarity(points, moved), expected, atol=1e-6)


def test_the_similarity_is_the_least_squares_optimum():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(2, 5, 2))

    def distance(matrix):
        return np.square(source @ matrix[:, :2].T + matrix[:, 2] - target).sum()

    best = similarity(source, target)
    for _ in range(50):
        a, b, x, y = rng.normal(scale=0.01, size=4)
        assert distance(best) <= distance(best + np.array([[a, -b, x], [b, a, y]]))


def spots(landmarks: np.ndarray, side: int, radius: float) -> np.ndarray:
    """A black image with a soft bright spot on each landmark."""
    y, x = np.mgrid[:side, :side]
    bumps = [np.exp(-((x - px) ** 2 + (y - py) ** 2) / radius**2) for px, py in landmarks]
    return np.repeat((255 * np.max(bumps, axis=0))[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("size", [64, 112, 128])
@pytest.mark.parametrize("scale", [0.7, 1.0, 3.3])
def test_landmarks_are_moved_to_the_template(size, scale):
    angle = np.deg2rad(25)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = (TEMPLATE - 0.5) * size * scale @ rotation.T + 300
    image = spots(landmarks, 600, radius=3 * size * scale / 128)
    crop = align_face(image, landmarks.astype(np.float32), size)
    assert crop.shape == (size, size, 3)
    assert crop.dtype == np.uint8
    for x, y in TEMPLATE * size:
        rows, columns = np.mgrid[:size, :size]
        weight = crop[..., 0] * (np.hypot(columns - x, rows - y) < 8 * size / 128)
        assert (weight * columns).sum() / weight.sum() == pytest.approx(x, abs=0.1)
        assert (weight * rows).sum() / weight.sum() == pytest.approx(y, abs=0.1)


def test_pixels_outside_the_image_are_mirrored():
    image = np.full((40, 40, 3), 200, np.uint8)
    landmarks = (TEMPLATE * 64 - 30).astype(np.float32)
    assert align_face(image, landmarks, 64).min() == 200


@pytest.mark.parametrize("side", [50, 150])
def test_at_a_border_the_crop_is_that_of_a_larger_image_that_shows_the_mirrored_pixels(side):
    image = np.random.default_rng(0).integers(0, 256, (240, 300, 3)).astype(np.uint8)
    landmarks = (TEMPLATE * side + (-7.3, 120)).astype(np.float32)
    margins = ((100, 100), (100, 100), (0, 0))
    larger = np.pad(image, margins, mode="symmetric")
    crop, expected = align_face(image, landmarks, 64), align_face(larger, landmarks + 100, 64)
    # OpenCV keeps positions to a 32nd of a pixel, and neighboring pixels differ by 85 gray levels.
    assert np.abs(crop.astype(int) - expected).max() <= 8


def test_a_large_face_is_scaled_down_by_averaging():
    image = np.indices((1200, 1200)).sum(axis=0)[..., None] % 2 * np.full(3, 255)
    landmarks = (TEMPLATE * 1110 + 7.3).astype(np.float32)
    crop = align_face(image.astype(np.uint8), landmarks, 112)
    assert crop.std() < 10
    assert crop.mean() == pytest.approx(127.5, abs=5)
