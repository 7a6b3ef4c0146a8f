from itertools import islice

import cv2
import numpy as np
import pytest

from m3dfel.video.decode import read_video
from m3dfel.video.faces import CenterFace


@pytest.fixture(scope="module")
def detector() -> CenterFace:
    return CenterFace()


@pytest.fixture(scope="module")
def man(shared) -> np.ndarray:
    return next(read_video(shared / "data/videos/single_face.mp4")).image


def width(detection) -> float:
    return float(detection.box[2] - detection.box[0])


def test_one_face_has_its_landmarks_in_place(detector, man):
    (face,) = detector(man)
    assert 0.75 < face.score <= 1
    assert face.box.dtype == face.landmarks.dtype == np.float32
    left, top, right, bottom = face.box
    assert 0 < left < right < 640
    assert 0 < top < bottom < 360
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left < left_eye[0] < nose[0] < right_eye[0] < right
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert top < left_eye[1] < nose[1] < left_mouth[1] < bottom
    assert abs(left_eye[1] - right_eye[1]) < 0.1 * width(face)


@pytest.mark.parametrize(("width_px", "height_px"), [(1280, 720), (331, 187)])
def test_landmarks_are_in_pixels_of_the_image_at_any_size(detector, man, width_px, height_px):
    (face,) = detector(man)
    (other,) = detector(cv2.resize(man, (width_px, height_px), interpolation=cv2.INTER_AREA))
    scale = np.array([width_px / 640, height_px / 360])
    error = np.abs(other.landmarks / scale - face.landmarks).max()
    assert error < 0.06 * width(face)


def test_a_face_cut_off_by_the_border_keeps_its_landmarks(detector, man):
    (face,) = detector(man)
    cut = int(face.box[0] + 0.1 * width(face))
    (other,) = detector(np.ascontiguousarray(man[:, cut:]))
    error = np.abs(other.landmarks + np.array([cut, 0]) - face.landmarks).mean()
    assert error < 0.03 * width(face)


def test_two_faces_are_ordered_from_left_to_right(detector, man):
    pair = detector(np.hstack([man, man[:, ::-1]]))
    assert len(pair) == 2
    assert pair[0].box[2] < 640 < pair[1].box[0]


def test_images_without_a_face_have_no_detection(detector, shared):
    frames = islice(read_video(shared / "data/videos/no_face.mp4"), 0, None, 6)
    assert not any(detector(frame.image) for frame in frames)
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    assert detector(noise) == []
    assert detector(np.zeros((50, 70, 3), np.uint8)) == []


@pytest.mark.parametrize("shape", [(2, 3000), (3000, 2), (8, 100_000), (1, 1)])
def test_a_strip_holds_no_face(detector, shape):
    assert detector(np.zeros((*shape, 3), np.uint8)) == []
