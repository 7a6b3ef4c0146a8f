from dataclasses import replace
from pathlib import Path

import pytest

from m3dfel.errors import InputError
from m3dfel.predictions.persons import PersonMap, only_person, only_region, parse_region
from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.recognizer import Recognizer
from small_videos import SpotDetector, film, small_model


@pytest.fixture(scope="module")
def two_people() -> Prediction:
    """Persons 1 and 2 side by side from 0 to 2 s, then a third face from 3 to 4 s."""
    spots = ((0, 60, range(50)), (2, 200, range(50)), (1, 120, range(75, 100)))
    recognizer = Recognizer(small_model(), detector=SpotDetector())
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
    (tmp_path / "empty.csv").write_text("film,track,person\n")
    for path in (tmp_path / name for name in ("map.csv", "empty.csv", "gone.csv")):
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
    prediction = Recognizer(small_model(), detector=SpotDetector())(film())
    assert prediction.clips.empty
    assert only_person(prediction, 1).note == prediction.note
