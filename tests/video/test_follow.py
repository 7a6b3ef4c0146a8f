from itertools import islice

import cv2
import numpy as np
import pytest

from m3dfel.video.align import TEMPLATE
from m3dfel.video.boxes import box_overlaps
from m3dfel.video.decode import Frame, read_video
from m3dfel.video.faces import CenterFace, Detection, Window
from m3dfel.video.follow import FaceFinder

RATE = 25
BLACK = np.zeros((240, 640, 3), np.uint8)


class SquareDetector:
    """Finds bright squares, and counts how often it searches an image and a window.

    In a window it sees a face `shift` pixels too far to the right.
    """

    def __init__(self, shift: float = 0.0) -> None:
        self.shift = shift
        self.searches = self.windows = 0

    def __call__(self, image: np.ndarray) -> list[Detection]:
        self.searches += 1
        return self._squares(image)

    def detect_window(self, image: np.ndarray, window: Window) -> list[Detection]:
        self.windows += 1
        hidden = np.zeros_like(image)
        part = np.s_[
            max(window.top, 0) : max(window.top + window.side, 0),
            max(window.left, 0) : max(window.left + window.side, 0),
        ]
        hidden[part] = image[part]
        return self._squares(hidden, self.shift)

    def _squares(self, image: np.ndarray, shift: float = 0.0) -> list[Detection]:
        mask = (image[..., 0] > 200).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        return [
            face_at(x + shift, y, w)
            for x, y, w, h, _ in sorted(stats[1:].tolist())
            if w == h and w > 4
        ]


def face_at(x: float, y: float, side: float) -> Detection:
    box = np.array([x, y, x + side, y + side], dtype=np.float32)
    return Detection(box, 0.9, (TEMPLATE * side + [x, y]).astype(np.float32))


def picture(*lefts: int, side: int = 60) -> np.ndarray:
    image = BLACK.copy()
    for left in lefts:
        image[80 : 80 + side, left : left + side] = 255
    return image


def find(detector, images, detect_every=12, rate=RATE) -> list[list[float]]:
    """Return the left edges of the faces in each image."""
    finder = FaceFinder(detector, detect_every)
    frames = (Frame(i, i / rate, image) for i, image in enumerate(images))
    return [[float(face.box[0]) for face in finder(frame)] for frame in frames]


def test_a_known_face_is_followed_and_rarely_searched_for():
    detector = SquareDetector()
    lefts = [100 + 6 * i for i in range(48)]
    assert find(detector, map(picture, lefts)) == [[left] for left in lefts]
    assert detector.searches == 4


def test_every_frame_is_searched_if_asked_for_or_if_the_detector_has_no_windows():
    images = [picture(100 + 6 * i) for i in range(10)]
    exhaustive, plain = SquareDetector(), SquareDetector()
    assert find(exhaustive, images, detect_every=1) == find(lambda i: plain(i), images)
    assert (exhaustive.searches, exhaustive.windows) == (10, 0)
    assert (plain.searches, plain.windows) == (10, 0)


def test_a_lost_face_is_searched_for_at_once_and_found_wherever_it_is():
    detector = SquareDetector()
    images = [*map(picture, [100] * 4), *map(picture, [400] * 4)]
    assert find(detector, images) == [[100]] * 4 + [[400]] * 4
    assert detector.searches == 2


def test_a_covered_face_is_found_as_soon_as_it_is_back():
    images = [picture(100)] * 4 + [BLACK] * 5 + [picture(100)] * 4
    assert find(SquareDetector(), images) == [[100]] * 4 + [[]] * 5 + [[100]] * 4


def test_a_face_that_leaves_is_not_searched_for_forever():
    detector = SquareDetector()
    assert find(detector, [picture(100)] * 10 + [BLACK] * 100)[10:] == [[]] * 100
    assert detector.searches < 30


def test_a_new_face_is_found_by_the_next_search():
    images = [picture(100)] * 6 + [picture(100, 300)] * 10
    assert find(SquareDetector(), images) == [[100]] * 12 + [[100, 300]] * 4


def test_slow_videos_are_searched_every_half_second():
    images = [picture(100)] * 3 + [picture(100, 300)] * 3
    assert find(SquareDetector(), images, rate=3) == [[100]] * 4 + [[100, 300]] * 2


def test_faces_are_detected_in_a_frame_that_is_held_for_long():
    finder = FaceFinder(SquareDetector(), 12)
    finder(Frame(0, 0.0, picture(100), 0.04))
    assert not finder.needs_detection(Frame(1, 0.04, picture(100), 0.04))
    assert finder.needs_detection(Frame(1, 0.04, picture(100), 15.0))


def test_a_face_that_hides_another_is_not_counted_twice():
    apart = [picture(100 + 4 * i, 300 - 4 * i) for i in range(24)]
    lefts = find(SquareDetector(), [*apart, *[picture(200)] * 5])
    assert lefts[-5:] == [[200]] * 5


def test_what_the_window_shows_is_shifted_to_what_the_whole_frame_shows():
    lefts = [100 + 6 * i for i in range(36)]
    found = find(SquareDetector(shift=5), map(picture, lefts))
    np.testing.assert_allclose(np.ravel(found), lefts, atol=0.01)


def test_a_growing_face_is_followed():
    detector = SquareDetector()
    images = [picture(200, side=side) for side in range(40, 140, 4)]
    assert find(detector, images) == [[200]] * len(images)
    assert detector.searches == 3


@pytest.fixture(scope="module")
def man(shared) -> list[Frame]:
    return list(islice(read_video(shared / "data/videos/single_face.mp4"), 36))


def test_followed_faces_lie_where_a_search_of_every_frame_finds_them(man):
    detector = CenterFace()
    finder = FaceFinder(detector, detect_every=12)
    for frame in man:
        (face,), (expected,) = finder(frame), detector(frame.image)
        eyes = np.linalg.norm(expected.landmarks[0] - expected.landmarks[1])
        error = np.linalg.norm(face.landmarks - expected.landmarks, axis=1).mean()
        assert error < 0.07 * eyes
        assert box_overlaps(face.box[None], expected.box[None]) > 0.8


@pytest.mark.parametrize("corner", [(0, 0), (150, -40), (-100, -100)])
def test_faces_are_detected_in_windows_that_reach_beyond_the_image(man, corner):
    detector = CenterFace()
    image = man[0].image
    (face,) = detector(image)
    (seen,) = detector.detect_window(image, Window(*corner, side=500))
    eyes = np.linalg.norm(face.landmarks[0] - face.landmarks[1])
    assert np.linalg.norm(face.landmarks - seen.landmarks, axis=1).mean() < 0.1 * eyes


def test_a_window_outside_the_image_shows_no_face(man):
    assert CenterFace().detect_window(man[0].image, Window(5000, -900, side=300)) == []
