from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import cv2
import numpy as np
import pytest

from m3dfel.video.align import TEMPLATE, align_face
from m3dfel.video.boxes import box_overlaps
from m3dfel.video.decode import Frame, read_video
from m3dfel.video.encode import write_video
from m3dfel.video.faces import CenterFace, Detection, Window
from m3dfel.video.tracks import FaceTracker, TrackedFace, aligned_faces, track_faces

RATE = 25


def face_at(x: float, y: float = 50, side: float = 60) -> Detection:
    box = np.array([x, y, x + side, y + side], dtype=np.float32)
    return Detection(box, 0.9, (TEMPLATE * side + [x, y]).astype(np.float32))


def frames(count: int) -> list[Frame]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 160, 320, 3), dtype=np.uint8)
    return [Frame(i, i / RATE, image) for i, image in enumerate(images)]


class ScriptedDetector:
    """A detector that returns the given detections, call by call."""

    def __init__(self, *detections: Sequence[Detection]) -> None:
        self.detections = iter(detections)

    def __call__(self, image: np.ndarray) -> list[Detection]:
        return list(next(self.detections))


@dataclass(eq=False)
class Track:
    """One face over T frames: a track as arrays."""

    faces: list[TrackedFace]

    def __post_init__(self) -> None:
        self.track = self.faces[0].track
        self.indices = np.array([face.frame.index for face in self.faces])
        self.times_s = np.array([face.frame.time_s for face in self.faces])
        self.boxes = np.stack([face.detection.box for face in self.faces])
        self.scores = np.array([face.detection.score for face in self.faces], np.float32)
        self.landmarks = np.stack([face.detection.landmarks for face in self.faces])
        self.crops = np.stack([face.crop for face in self.faces])


def tracks_of(frames, detector, size: int, detect_every: int = 12) -> list[Track]:
    """Return all tracks of a video."""
    tracks = defaultdict(list)
    for tracked in track_faces(frames, detector, size, detect_every=detect_every):
        for face in tracked.faces:
            tracks[face.track].append(face)
    return [Track(tracks[number]) for number in sorted(tracks)]


def test_faces_keep_their_numbers_if_detections_change_order():
    tracker = FaceTracker()
    one, two, three = frames(3)
    assert [n for n, _ in tracker.update(one, [face_at(10), face_at(200)])] == [1, 2]
    assert [n for n, _ in tracker.update(two, [face_at(202), face_at(13)])] == [2, 1]
    third = tracker.update(three, [face_at(110), face_at(16), face_at(204)])
    assert [n for n, _ in third] == [3, 1, 2]


def test_all_faces_are_matched_together():
    tracker = FaceTracker()
    one, two = frames(2)
    tracker.update(one, [face_at(100), face_at(130)])
    moved = tracker.update(two, [face_at(112), face_at(142)])
    assert [n for n, _ in moved] == [1, 2]


def test_a_track_survives_a_short_gap_and_not_a_long_one():
    here = [face_at(10)]
    short = tracks_of(frames(30), ScriptedDetector(*[here] * 10, *[[]] * 10, *[here] * 10), 16)
    assert [track.indices.tolist() for track in short] == [[*range(10), *range(20, 30)]]
    long = tracks_of(frames(40), ScriptedDetector(*[here] * 10, *[[]] * 15, *[here] * 15), 16)
    assert [(track.track, len(track.indices)) for track in long] == [(1, 10), (2, 15)]


def test_a_face_is_there_for_as_long_as_its_frame_is_held():
    """Also where frames suddenly become rare, as of a webcam in the dark."""
    times_s = [*np.arange(30) / 25, *(1.2 + 0.7 * np.arange(6)), 60.0, 60.04, 60.08]
    rare = [replace(frame, time_s=t) for frame, t in zip(frames(39), times_s, strict=True)]
    (track,) = tracks_of(rare, ScriptedDetector(*[[face_at(10)]] * 39), 16)
    assert len(track.indices) == 39


def test_a_face_may_be_missed_once_after_its_frame_was_held():
    times_s = [*np.arange(30) / 25, *(20 + np.arange(10) / 25)]
    held = [replace(frame, time_s=t) for frame, t in zip(frames(40), times_s, strict=True)]
    here = [face_at(10)]
    (track,) = tracks_of(held, ScriptedDetector(*[here] * 30, [], *[here] * 9), 16)
    assert track.indices.tolist() == [*range(30), *range(31, 40)]


def test_false_detections_are_left_out_without_gaps_in_the_numbers():
    face, false_face = face_at(200), face_at(10)
    detections = [[false_face, face], [false_face, face], *[[face]] * 8]
    (track,) = tracks_of(frames(10), ScriptedDetector(*detections), 16)
    assert track.track == 1
    assert track.boxes[:, 0].tolist() == [200] * 10


def test_a_single_picture_gives_a_track_of_one_frame():
    (track,) = tracks_of(frames(1), ScriptedDetector([face_at(10)]), 16)
    assert track.crops.shape == (1, 16, 16, 3)


def test_no_frames_and_no_faces_give_no_tracks():
    assert tracks_of([], ScriptedDetector(), 16) == []
    assert tracks_of(frames(3), ScriptedDetector([], [], []), 16) == []


def test_a_track_holds_times_boxes_and_aligned_crops():
    (track,) = tracks_of(frames(7), ScriptedDetector(*[[face_at(10 + i)] for i in range(7)]), 32)
    assert track.times_s.tolist() == [i / RATE for i in range(7)]
    assert track.boxes.shape == (7, 4)
    assert track.scores == pytest.approx([0.9] * 7)
    assert track.landmarks.shape == (7, 5, 2)
    for frame, landmarks, crop in zip(frames(7), track.landmarks, track.crops, strict=True):
        np.testing.assert_array_equal(crop, align_face(frame.image, landmarks, 32))


def test_smoothing_reduces_jitter_without_lag():
    moving = [face_at(10 + 3 * i) for i in range(20)]
    (track,) = tracks_of(frames(20), ScriptedDetector(*[[face] for face in moving]), 16)
    exact = np.stack([face.landmarks for face in moving])
    np.testing.assert_allclose(track.landmarks[2:-2], exact[2:-2], atol=1e-3)

    rng = np.random.default_rng(0)
    jittering = [face_at(50 + dx) for dx in rng.normal(size=20)]
    (track,) = tracks_of(frames(20), ScriptedDetector(*[[face] for face in jittering]), 16)
    raw = np.stack([face.landmarks for face in jittering])
    assert np.diff(track.landmarks, axis=0).std() < 0.6 * np.diff(raw, axis=0).std()


class PatientDetector:
    """A detector with windows that finds a face where the gray level of the image says."""

    def __init__(self) -> None:
        self.windows = 0

    def __call__(self, image: np.ndarray) -> list[Detection]:
        level = int(image[0, 0, 0])
        return [face_at(level)] if level else []

    def detect_window(self, image: np.ndarray, window: Window) -> list[Detection]:
        self.windows += 1
        return self(image)


def levels(*lefts: int) -> list[Frame]:
    return [
        Frame(i, i / RATE, np.full((160, 320, 3), left, np.uint8)) for i, left in enumerate(lefts)
    ]


def test_a_face_that_moves_in_a_line_needs_ten_windows_a_second():
    detector = PatientDetector()
    lefts = [10 + 2 * i for i in range(50)]
    (track,) = tracks_of(levels(*lefts), detector, 16, detect_every=12)
    np.testing.assert_allclose(track.boxes[:, 0][:-2], lefts[:-2], atol=1e-3)
    assert np.abs(track.boxes[-2:, 0] - lefts[-2:]).max() <= 4  # nothing is detected after these
    assert track.landmarks[5] == pytest.approx(face_at(lefts[5]).landmarks, abs=0.01)
    assert 17 <= detector.windows <= 22


def test_a_face_that_leaves_is_not_shown_between_detections():
    lefts = [50] * 20 + [0] * 20
    (track,) = tracks_of(levels(*lefts), PatientDetector(), 16, detect_every=12)
    assert 17 <= len(track.indices) <= 20
    assert track.indices.tolist() == [*range(len(track.indices))]


def test_in_slow_videos_faces_are_detected_in_every_frame():
    lefts = [50, 60, 50, 60, 50, 60, 50, 60]
    slow = [replace(frame, time_s=frame.index / 8) for frame in levels(*lefts)]
    (track,) = tracks_of(slow, PatientDetector(), 16, detect_every=12)
    assert track.boxes[:, 0].tolist() == lefts


@pytest.mark.parametrize("interval_s", [0.5, 1.0, 5.0])
def test_rare_frames_give_tracks_too(interval_s: float):
    rare = [replace(frame, time_s=frame.index * interval_s) for frame in levels(*[50] * 12)]
    (track,) = tracks_of(rare, PatientDetector(), 16)
    assert track.times_s.tolist() == [index * interval_s for index in range(12)]


def test_a_jump_of_the_time_stamps_ends_the_track():
    times_s = [*(i / RATE for i in range(12)), *(1000 + i / RATE for i in range(12))]
    still = [
        replace(frame, time_s=time_s)
        for frame, time_s in zip(levels(*[50] * 24), times_s, strict=True)
    ]
    first, second = tracks_of(still, PatientDetector(), 16)
    assert len(first.indices) == len(second.indices) == 12


def test_frames_at_the_same_time_are_tracked():
    together = [replace(frame, time_s=0.0) for frame in levels(*[50] * 6)]
    (track,) = tracks_of(together, PatientDetector(), 16)
    assert track.indices.tolist() == [*range(6)]


def test_a_face_in_all_frames_of_a_short_shot_is_a_track():
    """Two frames of one scene, then another: too few for a track only where there are more."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (9, 16, 3), dtype=np.uint8) for _ in range(2)]
    noise[1][..., :2] = 0  # in other colors
    scenes = [cv2.resize(picture, (320, 160)) for picture in noise]
    shots = [Frame(i, i / RATE, scenes[i >= 2]) for i in range(12)]
    detections = [[face_at(10)]] * 2 + [[face_at(10)]] * 2 + [[]] * 8
    (track,) = tracks_of(shots, ScriptedDetector(*detections), 16)
    assert track.indices.tolist() == [0, 1]


@pytest.mark.parametrize(("still_s", "tracks"), [(20.0, 1), (1000.0, 2)])
def test_aligned_faces_are_one_track_up_to_a_jump_of_the_time_stamps(still_s: float, tracks: int):
    times_s = [*(i / RATE for i in range(12)), *(still_s + i / RATE for i in range(12, 24))]
    frames = [
        replace(frame, time_s=time_s)
        for frame, time_s in zip(levels(*[50] * 24), times_s, strict=True)
    ]
    tracked = list(aligned_faces(frames, lambda image: image[:16, :16]))
    assert [face.track for frame in tracked for face in frame.faces] == sorted([1, tracks] * 12)
    assert [number for frame in tracked for number in frame.ended] == [*range(1, tracks + 1)]


@pytest.fixture(scope="module")
def detector() -> CenterFace:
    return CenterFace()


def test_two_people_side_by_side_are_two_tracks(shared, tmp_path, detector):
    videos = shared / "data/videos"
    pair = [
        np.hstack([man.image, woman.image])
        for man, woman in zip(
            islice(read_video(videos / "single_face.mp4"), 0, None, 5),
            islice(read_video(videos / "WolfgangLanger_Pexels.mp4"), 0, None, 5),
            strict=False,
        )
    ]
    write_video(tmp_path / "pair.mp4", pair, fps=5)
    tracks = tracks_of(read_video(tmp_path / "pair.mp4"), detector, 64)
    assert [(track.track, len(track.indices)) for track in tracks] == [
        (1, len(pair)),
        (2, len(pair)),
    ]
    assert tracks[0].boxes[:, 2].max() < 640 < tracks[1].boxes[:, 0].min()


def test_a_face_that_leaves_ends_its_track(shared, detector):
    video = shared / "data/videos/face_noface.mov"
    (track,) = tracks_of(islice(read_video(video), 0, None, 6), detector, 64)
    assert track.times_s[0] == 0
    assert 2 < track.times_s[-1] < 4


def aligned_to(box: np.ndarray, face: Detection, image: np.ndarray) -> np.ndarray:
    """Return the image scaled and shifted so that its face fills the box of another."""
    scale = (box[3] - box[1]) / (face.box[3] - face.box[1])
    shift = (box[:2] + box[2:]) / 2 - scale * (face.box[:2] + face.box[2:]) / 2
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    return cv2.warpAffine(image, matrix, (640, 360), borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("detect_every", [1, 12])
def test_a_cut_ends_tracks_even_if_the_next_face_lies_in_the_same_place(
    shared, detector, detect_every
):
    man, woman = (
        [frame.image for frame in islice(read_video(shared / "data/videos" / name), 10)]
        for name in ("single_face.mp4", "WolfgangLanger_Pexels.mp4")
    )
    (face,), (other,) = detector(man[-1]), detector(woman[0])
    images = [*man, *(aligned_to(face.box, other, image) for image in woman)]
    joined = [Frame(i, i / RATE, image) for i, image in enumerate(images)]
    tracks = tracks_of(joined, detector, 64, detect_every=detect_every)
    assert [track.indices.tolist() for track in tracks] == [[*range(10)], [*range(10, 20)]]
    assert box_overlaps(tracks[0].boxes[-1:], tracks[1].boxes[:1]) > 0.6


def test_searching_every_frame_gives_the_detections_of_every_frame(shared, detector):
    video = shared / "data/videos/single_face.mp4"
    (track,) = tracks_of(islice(read_video(video), 20), detector, 64, detect_every=1)
    faces = [detector(frame.image)[0] for frame in islice(read_video(video), 20)]
    np.testing.assert_array_equal(track.boxes, [face.box for face in faces])
    np.testing.assert_array_equal(track.scores, np.float32([face.score for face in faces]))
    (same,) = tracks_of(islice(read_video(video), 20), lambda image: detector(image), 64)
    np.testing.assert_array_equal(track.landmarks, same.landmarks)
    np.testing.assert_array_equal(track.crops, same.crops)


def test_a_second_run_gives_the_same_tracks(shared, detector):
    video = shared / "data/videos/single_face.mp4"
    one, other = (tracks_of(islice(read_video(video), 20), detector, 64) for _ in range(2))
    np.testing.assert_array_equal(one[0].landmarks, other[0].landmarks)


def test_a_covered_face_is_not_lost(shared, detector):
    video = shared / "data/videos/WolfgangLanger_Pexels.mp4"
    (track,) = tracks_of(islice(read_video(video), 0, None, 8), detector, 64)
    assert track.times_s[-1] > 19
