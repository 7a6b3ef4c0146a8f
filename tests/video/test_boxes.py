import numpy as np
import pytest

from m3dfel.video.boxes import box_overlaps, closest_detection, interpolated
from m3dfel.video.faces import Detection


def face_at(left: float, side: float = 10, score: float = 0.9) -> Detection:
    box = np.array([left, 0, left + side, side], np.float32)
    return Detection(box, score, np.full((5, 2), left, np.float32))


def test_overlap_is_what_two_boxes_share():
    boxes, others = (np.stack([face_at(x).box for x in lefts]) for lefts in ((0, 5), (0, 5, 20)))
    np.testing.assert_allclose(box_overlaps(boxes, others), [[1, 1 / 3, 0], [1 / 3, 1, 0]])


def test_the_closest_face_overlaps_most_or_is_none():
    near, far = face_at(2), face_at(6)
    assert closest_detection(face_at(0), [far, near]) is near
    assert closest_detection(face_at(0), [far]) is None
    assert closest_detection(face_at(0), []) is None


def test_a_face_between_two_positions():
    middle = interpolated(face_at(0, side=10, score=0.5), face_at(8, side=20, score=0.9), 0.25)
    assert middle.box.tolist() == [2, 0, 14.5, 12.5]
    assert middle.landmarks[0].tolist() == [2, 2]
    assert middle.score == pytest.approx(0.6)
