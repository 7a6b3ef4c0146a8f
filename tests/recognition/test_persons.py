from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from m3dfel.recognition.persons import Portraits
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.video.decode import Frame, read_video
from m3dfel.video.faces import Detection
from m3dfel.video.tracks import TrackedFace
from small_videos import FACE, SpotDetector, film, small_model


class BrightnessEncoder:
    """Faces are alike that are equally bright."""

    size, zoom, min_similarity = 16, 1.0, 0.99

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        angle = crops.mean((1, 2, 3)) / 255 * np.pi / 2
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def persons(frames: Iterable[Frame], encoder=None) -> dict[int, int]:
    recognizer = Recognizer(
        small_model(), detector=SpotDetector(), encoder=encoder or BrightnessEncoder()
    )
    prediction = recognizer(frames)
    pairs = [
        dict(table[["track", "person"]].drop_duplicates().to_numpy().tolist())
        for table in (prediction.clips, prediction.frames)
    ]
    assert pairs[0] == pairs[1]
    return pairs[0]


def test_a_face_that_comes_back_to_its_place_is_the_same_person():
    first, second = range(30), range(50, 100)
    assert persons(film((0, 60, first), (0, 60, second))) == {1: 1, 2: 1}


def test_another_face_at_the_same_place_is_another_person():
    assert persons(film((0, 60, range(30)), (0, 200, range(50, 100)))) == {1: 1, 2: 2}


def test_a_similar_face_far_away_is_another_person():
    assert persons(film((0, 60, range(30)), (2, 60, range(50, 100)))) == {1: 1, 2: 2}


def test_two_faces_in_one_picture_are_never_one_person():
    """Both look the same, and both come back."""
    spots = [(column, 60, shown) for column in (0, 1) for shown in (range(30), range(50, 100))]
    assert persons(film(*spots)) == {1: 1, 2: 2, 3: 1, 4: 2}


def test_persons_are_numbered_in_order_of_appearance():
    spots = ((0, 60, range(30)), (0, 200, range(50, 100)), (0, 60, range(120, 150)))
    assert persons(film(*spots, frames=150)) == {1: 1, 2: 2, 3: 1}


def test_tracks_of_a_stream_are_joined_too():
    """Its frames pass once; what faces look like is kept."""
    frames = film((0, 60, range(30)), (0, 60, range(50, 100)))
    assert persons(iter(frames)) == {1: 1, 2: 1}
    encoder = BrightnessEncoder()
    recognizer = Recognizer(small_model(), detector=SpotDetector(), encoder=encoder)
    with recognizer.stream(iter(frames)) as stream:
        for step in stream.steps():
            if step.frame.index == 90:
                so_far = stream.prediction()
    assert so_far.frames["person"].unique().tolist() == [1]


def test_an_aligned_face_is_one_person():
    late = [replace(frame, time_s=frame.time_s + 1000) for frame in film(frames=30)]
    prediction = Recognizer(small_model())([*film(frames=30), *late], aligned=True)
    assert set(prediction.clips["track"]) == {1, 2}
    assert set(prediction.clips["person"]) == {1}


@pytest.mark.parametrize("frames", [1, 8, 9, 100, 1000])
def test_a_few_crops_are_kept_evenly_over_a_track(frames: int):
    class LevelEncoder(BrightnessEncoder):
        def __call__(self, crops: np.ndarray) -> np.ndarray:
            return crops.mean((1, 2, 3))[:, None]

    portraits = Portraits(LevelEncoder())
    detection = Detection(np.array([0, 0, 48, 48], np.float32), 0.9, np.float32(FACE))
    for index in range(frames):
        image = np.full((48, 48, 3), 250 * index / frames, np.uint8)
        portraits.add(TrackedFace(1, Frame(index, index / 25, image), detection, image, ""))
        portraits.add(TrackedFace(1, Frame(index, index / 25, image), detection, image, "blurred"))
    *levels, newest = portraits.vectors().ravel()
    assert min(frames, 4) <= len(levels) <= 7
    assert levels[0] == 0
    assert np.ptp(np.diff(levels)) <= 1 if len(levels) > 2 else True
    assert levels[-1] >= 250 * (1 - 1 / frames) - 250 / 4
    assert newest == 250 * (frames - 1) // frames


def test_a_man_who_is_cut_away_for_a_woman_is_the_same_man_afterwards(shared: Path):
    man, woman = (
        [frame.image for frame in islice(read_video(shared / "data" / "videos" / name), 28)]
        for name in ("single_face.mp4", "woman_phone.mp4")
    )
    height, width = man[0].shape[:2]
    woman = [cv2.resize(image, (width, height)) for image in woman]
    pictures = [*man[:14], *woman[:14], *man[14:], *woman[14:]]
    frames = [Frame(i, i / 25, picture) for i, picture in enumerate(pictures)]
    clips = Recognizer(small_model())(frames).clips
    pairs = clips[["track", "person"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [[1, 1], [2, 2], [3, 1], [4, 2]]
