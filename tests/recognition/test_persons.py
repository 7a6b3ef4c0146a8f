from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from m3dfel.errors import InputError
from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.appearance import AppearanceDescriptor
from m3dfel.recognition.persons import (
    PersonMap,
    join_tracks,
    only_person,
    only_region,
    parse_region,
)
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.video.decode import Frame, read_video
from m3dfel.video.faces import Detection
from small_videos import small_model

FACE = [(14, 16), (26, 16), (20, 23), (15, 29), (25, 29)]


class BrightnessEncoder:
    """Faces are alike that are equally bright."""

    size, zoom, min_similarity = 16, 1.0, 0.99

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        angle = crops.mean((1, 2, 3)) / 255 * np.pi / 2
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


class SpotDetector:
    """Finds a face wherever a square of 40×40 pixels is not black."""

    def __call__(self, image: np.ndarray) -> list[Detection]:
        lefts = [left for left in range(0, image.shape[1] - 39, 44) if image[24, left + 20].any()]
        return [
            Detection(
                np.array([left, 4, left + 40, 44], np.float32),
                0.9,
                np.array([(left + x, y) for x, y in FACE], np.float32),
            )
            for left in lefts
        ]


def film(*spots: tuple[int, int, range], frames: int = 100) -> list[Frame]:
    """A film with spots: column (of 44 pixels), brightness, and the frames that show it."""
    generator = np.random.default_rng(0)
    pictures = np.zeros((frames, 48, 132, 3), np.uint8)
    for column, brightness, shown in spots:
        for i in shown:
            texture = generator.integers(-30, 30, (40, 40, 1))
            pictures[i, 4:44, 44 * column : 44 * column + 40] = brightness + texture
    return [Frame(i, i / 25, picture) for i, picture in enumerate(pictures)]


def persons(frames: Iterable[Frame], encoder=None) -> dict[int, int]:
    recognizer = Recognizer(small_model(), SpotDetector(), encoder=encoder or BrightnessEncoder())
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


def test_tracks_are_joined_if_the_frames_can_be_read_twice():
    frames = film((0, 60, range(30)), (0, 60, range(50, 100)))

    class Film:
        def __iter__(self) -> Iterator[Frame]:
            yield from frames

    assert persons(Film()) == {1: 1, 2: 1}
    assert persons(iter(frames)) == {1: 1, 2: 2}


def test_a_file_that_is_cut_off_says_so_once():
    frames, ends = film((0, 60, range(30)), (0, 60, range(50, 100))), []

    class Film:
        def __iter__(self) -> Iterator[Frame]:
            yield from frames
            ends.append("cut off")

    assert persons(Film()) == {1: 1, 2: 1}
    assert ends == ["cut off"]


def test_frames_are_read_again_only_if_tracks_can_be_one_person(monkeypatch):
    import m3dfel.recognition.persons as module

    def fail(source):
        raise AssertionError("read again")

    monkeypatch.setattr(module, "read_frames", fail)
    assert persons(film((0, 60, range(100)), (2, 60, range(100)))) == {1: 1, 2: 2}
    with pytest.raises(AssertionError, match="read again"):
        persons(film((0, 60, range(30)), (0, 60, range(50, 100))))


# --- the default encoder -------------------------------------------------------------------------


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


def test_vectors_have_length_one_and_ignore_brightness_of_the_picture():
    generator = np.random.default_rng(0)
    encoder = AppearanceDescriptor()
    crop = generator.integers(60, 180, (1, 128, 128, 3), dtype=np.uint8)
    vectors = encoder(np.concatenate([crop, crop + 20, crop[:, ::-1]]))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > encoder.min_similarity > vectors[0] @ vectors[2]
    plain = encoder(np.full((1, 128, 128, 3), 90, np.uint8))
    assert np.isfinite(plain).all()


# --- by hand, and one face only ------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_people() -> Prediction:
    """Persons 1 and 2 side by side from 0 to 2 s, then a third face from 3 to 4 s."""
    spots = ((0, 60, range(50)), (2, 200, range(50)), (1, 120, range(75, 100)))
    recognizer = Recognizer(small_model(), SpotDetector(), encoder=BrightnessEncoder())
    return replace(recognizer(film(*spots)), source="folder/film.mp4")


def write_map(path: Path, *rows: str) -> PersonMap:
    path.write_text("\n".join(["video,track,person", *rows]))
    return PersonMap.read(path)


@pytest.mark.parametrize("video", ["film.mp4", "folder/film.mp4"])
def test_a_map_merges_by_hand(two_people: Prediction, tmp_path: Path, video: str):
    chosen = write_map(tmp_path / "map.csv", f"{video},3,1", "other.mp4,1,7")
    merged = chosen.apply(two_people)
    for table in (merged.clips, merged.frames):
        assert dict(table[["track", "person"]].to_numpy().tolist()) == {1: 1, 2: 2, 3: 1}
    assert set(two_people.clips["person"]) == {1, 2, 3}, "the original is unchanged"


def test_impossible_maps_are_input_errors(two_people: Prediction, tmp_path: Path):
    with pytest.raises(InputError, match=r"names track 9 of .*, but its tracks are 1"):
        write_map(tmp_path / "map.csv", "film.mp4,9,1").apply(two_people)
    with pytest.raises(InputError, match=r"tracks 1 and 2 .* at the same time"):
        write_map(tmp_path / "map.csv", "film.mp4,2,1").apply(two_people)
    (tmp_path / "map.csv").write_text("video,person\nfilm.mp4,1\n")
    for path in (tmp_path / "map.csv", tmp_path / "gone.csv"):
        with pytest.raises(InputError, match="cannot be read as a table of persons"):
            PersonMap.read(path)


def test_one_person_only(two_people: Prediction):
    alone = only_person(two_people, 2)
    for table in (alone.clips, alone.instances, alone.frames):
        assert set(table["track"]) == {2}
    counts = alone.instances.groupby("clip").size()
    assert counts.index.tolist() == alone.clips.index.tolist() == list(range(len(alone.clips)))
    first = alone.instances.groupby("clip")["start_s"].min()
    assert first.tolist() == alone.clips["start_s"].tolist()
    nobody = only_person(two_people, 5)
    assert nobody.clips.empty
    assert nobody.note.endswith("the persons in it are 1, 2, 3")


def test_one_region_only(two_people: Prediction):
    assert set(only_region(two_people, (80, 0, 132, 48)).clips["track"]) == {2}
    assert "no face was found in the region 0,0,5,5" in only_region(two_people, (0, 0, 5, 5)).note
    assert parse_region("0,0,5,5.5") == (0, 0, 5, 5.5)
    for words in ("1,2,3", "5,0,0,5", "a,b,c,d"):
        with pytest.raises(InputError, match="must be x1,y1,x2,y2 in pixels"):
            parse_region(words)


def test_without_a_face_there_are_no_persons():
    prediction = Recognizer(small_model(), SpotDetector())(film())
    assert prediction.clips.empty
    assert only_person(prediction, 1).note == prediction.note
    assert join_tracks(prediction, film(), SpotDetector(), BrightnessEncoder()).clips.empty
