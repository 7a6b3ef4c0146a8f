import zipfile
from pathlib import Path

import pytest

from m3dfel.data.manifest import read_manifest
from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from small_data import write_frames


def told(manifest) -> dict[str, str]:
    return {Path(problem.path).name: problem.what for problem in manifest.problems}


def test_dfew_is_read_as_its_authors_hand_it_out(dfew: Path):
    manifest = read_manifest(str(dfew))
    assert not manifest.problems
    assert len(manifest.split("train")) == 14
    assert len(manifest.split("test")) == 7
    first = manifest.split("train")[0]
    assert (Path(first.path).name, first.kind, first.emotion) == ("00001", "frames", "happiness")
    assert [clip.emotion for clip in manifest.split("test")] == list(EMOTIONS)
    assert manifest.table().loc["fear"].to_dict() == {"train": 2, "test": 1}


def test_dfew_with_its_folder_twice_is_read_alike(dfew: Path):
    clips = dfew / "Clip" / "clip_224x224"
    clips.rename(dfew / "Clip" / "inner")
    clips.mkdir()
    (dfew / "Clip" / "inner").rename(clips / "clip_224x224")
    assert len(read_manifest(str(dfew)).clips) == 21


def test_a_fold_that_is_not_there_is_named(dfew: Path):
    with pytest.raises(InputError, match=r"cannot read the labels .*set_2\.csv"):
        read_manifest(str(dfew), fold=2)


def test_ferv39k_is_read_as_its_authors_hand_it_out(ferv39k: Path):
    manifest = read_manifest(str(ferv39k))
    assert not manifest.problems
    assert len(manifest.split("train")) == 14
    assert {clip.emotion for clip in manifest.split("test")} == set(EMOTIONS)


def test_text_annotations_number_emotions_from_zero(tmp_path: Path):
    write_frames(tmp_path / "a clip", 3)
    write_frames(tmp_path / "b", 3)
    (tmp_path / "set_1_train.txt").write_text("a clip 3 0\n")
    (tmp_path / "set_1_test.txt").write_text("b 3 6\n\n")
    manifest = read_manifest(str(tmp_path))
    assert {(c.emotion, c.split) for c in manifest.clips} == {
        ("happiness", "train"),
        ("fear", "test"),
    }
    assert len(read_manifest(str(tmp_path / "set_1_train.txt")).clips) == 1


def test_all_that_is_wrong_is_told_at_once_and_the_rest_is_kept(tmp_path: Path):
    for name in ("good", "also", "both"):
        write_frames(tmp_path / name, 2)
    (tmp_path / "bare").mkdir()
    (tmp_path / "train.txt").write_text(
        "good 2 0\ngood 2 0\nalso 2 1\nalso 2 2\nboth 2 0\ngone 2 0\nbare 0 0\nodd 2 9\n"
    )
    (tmp_path / "test.txt").write_text("both 2 0\n")
    manifest = read_manifest(str(tmp_path))
    assert {Path(clip.path).name: clip.split for clip in manifest.clips} == {
        "good": "train",
        "also": "train",
        "both": "test",
    }
    problems = told(manifest)
    assert problems["good"] == "listed twice; kept once"
    assert problems["also"] == "listed twice, as sadness and as neutral; kept as sadness"
    assert problems["both"] == "in both splits, test and train; kept in test"
    assert problems["gone"] == "missing"
    assert problems["bare"] == "a folder without frames"


def test_an_unknown_label_is_told(tmp_path: Path):
    write_frames(tmp_path / "good", 2)
    write_frames(tmp_path / "odd", 2)
    (tmp_path / "train.txt").write_text("good 2 0\nodd 2 9\n")
    assert "unknown emotion '9'" in told(read_manifest(str(tmp_path)))["odd"]


def test_a_csv_finds_its_pictures_in_a_folder_or_an_archive(tmp_path: Path):
    write_frames(tmp_path / "faces", 2)
    table = tmp_path / "faces.csv"
    table.write_text("file,emotion,identity,split\n1.jpg,Happy,ann,train\n2.jpg,sad,bob,val\n")
    folder = read_manifest(str(table))
    assert {(c.emotion, c.identity, c.split, c.kind) for c in folder.clips} == {
        ("happiness", "ann", "train", "still"),
        ("sadness", "bob", "val", "still"),
    }
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        for name in ("1.jpg", "2.jpg"):
            archive.write(tmp_path / "faces" / name, name)
            (tmp_path / "faces" / name).unlink()
    assert {Path(clip.path).name for clip in read_manifest(str(table)).clips} == {
        "faces.zip!1.jpg",
        "faces.zip!2.jpg",
    }


def test_a_csv_without_the_columns_says_which_it_needs(tmp_path: Path):
    table = tmp_path / "faces.csv"
    table.write_text("name,label\n1.jpg,Happy\n")
    with pytest.raises(InputError, match="no column emotion or file, only name, label"):
        read_manifest(str(table))


def test_class_folders_with_and_without_splits(tmp_path: Path):
    write_frames(tmp_path / "plain" / "happy" / "clip1", 2)
    (tmp_path / "plain" / "sad").mkdir()
    (tmp_path / "plain" / "sad" / "film.mp4").write_bytes(b"x")
    assert [(c.kind, c.emotion) for c in read_manifest(str(tmp_path / "plain")).clips] == [
        ("frames", "happiness"),
        ("video", "sadness"),
    ]
    write_frames(tmp_path / "split" / "train" / "Fear" / "clip1", 2)
    write_frames(tmp_path / "split" / "val" / "Fear" / "clip2", 2)
    clips = read_manifest(str(tmp_path / "split")).clips
    assert [clip.split for clip in clips] == ["train", "val"]


def test_a_place_that_is_no_data_set_says_what_was_expected(tmp_path: Path):
    with pytest.raises(InputError, match="no data set at"):
        read_manifest(str(tmp_path / "gone"))
    with pytest.raises(InputError, match=r"EmoLabel_DataSplit.*found no folders"):
        read_manifest(str(tmp_path))
    (tmp_path / "train.txt").write_text("gone 3 0\n")
    with pytest.raises(InputError, match="1 clips, not one of them usable"):
        read_manifest(str(tmp_path))
    (tmp_path / "train.txt").write_text("just one\n")
    with pytest.raises(InputError, match=r"train.txt line 1 .* expected `path frames label`"):
        read_manifest(str(tmp_path))


def test_the_drawn_faces_share_no_identity_between_splits():
    manifest = read_manifest("synthetic")
    people = {s: {c.identity for c in manifest.split(s)} for s in ("train", "val", "test")}
    assert all(people.values())
    assert not people["train"] & people["val"] | people["test"] & (people["train"] | people["val"])


def test_brief_faces_are_the_same_people_showing_less():
    usual, brief = read_manifest("synthetic"), read_manifest("synthetic-brief")
    assert [c.identity for c in brief.clips] == [c.identity for c in usual.clips]
    assert all(clip.path.endswith("/brief") for clip in brief.clips)
    assert (brief.dataset, usual.dataset) == ("synthetic-brief", "synthetic")


def test_uneven_faces_are_as_uneven_as_dfew_but_in_test():
    table = read_manifest("synthetic-uneven").table()
    assert table["train"].tolist() == [73, 57, 80, 65, 44, 4, 27]
    assert set(table["test"]) == {60}


def test_the_shared_stills_are_read(shared: Path):
    manifest = read_manifest(str(shared / "data" / "stills" / "stills.csv"))
    assert not manifest.problems
    assert manifest.table()["train"].tolist() == [4115, 170, 5296, 206, 283, 114, 14]
