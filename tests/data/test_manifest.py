import os
from pathlib import Path

import pytest

from m3dfel.config import DataConfig
from m3dfel.data.manifest import (
    Clip,
    Manifest,
    clip_from_path,
    read_manifest,
    read_manifests,
)
from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from m3dfel.files import as_utf8
from small_data import write_frames


def reasons(manifest: Manifest) -> dict[str, str]:
    return {Path(problem.path).name: problem.what for problem in manifest.problems}


def test_all_problems_are_reported_at_once_and_the_other_clips_are_kept(tmp_path: Path):
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
    problems = reasons(manifest)
    assert problems["good"] == "listed twice; kept once"
    assert problems["also"] == "listed twice, as sadness and as neutral; kept as sadness"
    assert problems["both"] == "in both splits, test and train; kept in test"
    assert problems["gone"] == "missing"
    assert problems["bare"] == "a folder without frames"


def test_files_that_are_no_clips_are_reported(tmp_path: Path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "notes.doc").write_text("x")
    (tmp_path / "good.mp4").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe.mp4")
    names = "empty.mp4", "notes.doc", "pipe.mp4", "good.mp4"
    (tmp_path / "all.txt").write_text("".join(f"{name} 1 0\n" for name in names))
    manifest = read_manifest(str(tmp_path / "all.txt"))
    assert [clip.kind for clip in manifest.clips] == ["video"]
    assert reasons(manifest) == {
        "empty.mp4": "an empty file",
        "notes.doc": "neither a picture, a video nor a folder of frames",
        "pipe.mp4": "a pipe or a device",
    }


def test_a_data_set_without_a_usable_clip_is_an_error(tmp_path: Path):
    (tmp_path / "train.txt").write_text("gone 3 0\n")
    with pytest.raises(InputError, match=r"read as text, .*no usable clip among 1; .*: missing"):
        read_manifest(str(tmp_path))
    (tmp_path / "train.txt").write_text("")
    with pytest.raises(InputError, match="read as text, lists no clips"):
        read_manifest(str(tmp_path))


def test_words_outside_the_known_emotions_are_problems(tmp_path: Path):
    table = tmp_path / "table.csv"
    write_frames(tmp_path / "faces", 3)
    table.write_text("file,emotion\n1.jpg,Happy\n2.jpg,contempt\n3.jpg,boredom\n")
    manifest = read_manifest(str(table))
    assert [clip.emotion for clip in manifest.clips] == ["happiness"]
    assert "unknown emotion 'contempt'" in reasons(manifest)["2.jpg"]

    manifest = read_manifest(str(table), labels=["Contempt", "happiness"])
    assert [clip.emotion for clip in manifest.clips] == ["happiness", "contempt"]
    assert list(reasons(manifest)) == ["3.jpg"]


def test_a_label_set_of_one_s_own_names_class_folders(tmp_path: Path):
    for word in ("Pain", "relief"):
        write_frames(tmp_path / word / "clip", 2)
    with pytest.raises(InputError, match=r"emotions of the label set.*found Pain, relief"):
        read_manifest(str(tmp_path))
    clips = read_manifest(str(tmp_path), labels=["relief", "pain"]).clips
    assert [clip.emotion for clip in clips] == ["pain", "relief"]


@pytest.mark.parametrize(
    ("labels", "emotions"),
    [
        ((), ["happiness", "disgust"]),
        (("disgust", "happiness", "anger"), ["happiness", "disgust"]),
        (("relief", "pain", "joy", "fear", "rage", "shame"), ["relief", "shame"]),
    ],
)
def test_numbers_are_indices_into_the_seven_or_into_other_label_sets(
    labels, emotions, tmp_path: Path
):
    write_frames(tmp_path / "a", 2)
    write_frames(tmp_path / "b", 2)
    (tmp_path / "train.txt").write_text("a 2 0\nb 2 5\n")
    assert [clip.emotion for clip in read_manifest(str(tmp_path), labels=labels).clips] == emotions


def test_a_number_outside_the_label_set_is_a_problem(tmp_path: Path):
    write_frames(tmp_path / "good", 2)
    write_frames(tmp_path / "odd", 2)
    write_frames(tmp_path / "below", 2)
    (tmp_path / "train.txt").write_text("good 2 0\nodd 2 9\nbelow 2 -1\n")
    problems = reasons(read_manifest(str(tmp_path)))
    assert "unknown emotion '9'" in problems["odd"]
    assert "unknown emotion '-1'" in problems["below"]


@pytest.mark.parametrize("fold", [0, 6])
def test_a_fold_that_the_data_set_does_not_have_is_an_error(fold: int, dfew: Path):
    with pytest.raises(InputError, match=f"DFEW has the folds 1 to 5: there is no fold {fold}"):
        read_manifest(str(dfew), fold=fold)


def test_the_manifest_knows_the_data_set_and_its_official_folds(dfew: Path, ferv39k: Path):
    manifests = [read_manifest(path) for path in (str(dfew), str(ferv39k), "synthetic-brief")]
    assert [(m.dataset, m.folds) for m in manifests] == [
        ("DFEW", 5),
        ("FERV39k", 0),
        ("synthetic-brief", 0),
    ]


def test_the_table_counts_the_emotions_that_occur(mafw: Path, tmp_path: Path):
    table = read_manifest(str(mafw)).table()
    assert list(table.index[:7]) == list(EMOTIONS)
    assert list(table.index[7:]) == ["contempt", "anxiety", "helplessness", "disappointment"]
    assert set(table["train"]) == {2}
    clips = tuple(Clip(f"{e}.mp4", "video", e, "test") for e in ("relief", "fear", "happiness"))
    assert list(Manifest("here", "here", clips).table().index) == ["happiness", "fear", "relief"]


def test_a_clip_is_found_again_by_its_path(tmp_path: Path):
    write_frames(tmp_path / "clip", 2)
    assert clip_from_path(str(tmp_path / "clip"), "fear").kind == "frames"
    with pytest.raises(InputError, match="missing"):
        clip_from_path(str(tmp_path / "gone"))


def test_a_clip_is_found_again_by_the_escapes_that_tables_write_for_its_name(tmp_path: Path):
    folder = tmp_path / os.fsdecode(b"old\xe9 \xff")
    write_frames(tmp_path / "clip", 2)
    try:
        (tmp_path / "clip").rename(folder)
    except OSError:
        pytest.skip("this file system has only UTF-8 names")
    assert clip_from_path(as_utf8(str(folder))).path == str(folder)


def write_table(folder: Path, name: str, *rows: str) -> str:
    """Write a table with the columns file, emotion and split beside its pictures."""
    folder.mkdir(exist_ok=True)
    for row in rows:
        picture = folder / row.partition(",")[0]
        if not picture.exists():
            picture.write_bytes(b"x")
    (folder / name).write_text("\n".join(["file,emotion,split", *rows]) + "\n")
    return str(folder / name)


def test_several_data_sets_are_read_as_one(dfew: Path, tmp_path: Path):
    faces = write_table(tmp_path / "faces", "faces.csv", "a.png,fear,val", "b.png,bored,val")
    manifest = read_manifests(DataConfig(path=[str(dfew), faces]))
    assert (manifest.dataset, manifest.datasets) == ("DFEW + faces.csv", ("DFEW", "faces.csv"))
    assert [clip.dataset for clip in manifest.clips] == [0] * 21 + [1]
    assert (manifest.folds, len(manifest.problems)) == (5, 1)
    assert read_manifests(DataConfig(path=[faces])) == read_manifest(faces)
    with pytest.raises(InputError, match="no fold 6"):
        read_manifests(DataConfig(path=[faces, str(dfew)], fold=6))


def test_a_clip_that_two_data_sets_list_is_never_trained_on_and_measured(tmp_path: Path):
    one = write_table(tmp_path / "faces", "one.csv", "a.png,fear,train", "b.png,fear,train")
    two = write_table(tmp_path / "faces", "two.csv", "b.png,fear,val", "c.png,fear,train")
    manifest = read_manifests(DataConfig(path=[one, two]))
    assert {Path(clip.path).name: clip.split for clip in manifest.clips} == {
        "a.png": "train",
        "b.png": "val",
        "c.png": "train",
    }
    assert reasons(manifest) == {"b.png": "in both splits, val and train; kept in val"}


def test_data_sets_of_the_same_name_are_named_by_their_paths(tmp_path: Path):
    paths = [write_table(tmp_path / name, "faces.csv", "a.png,fear,val") for name in ("x", "y")]
    assert read_manifests(DataConfig(path=paths)).datasets == tuple(paths)


def test_the_shared_stills_are_read(shared: Path):
    manifest = read_manifest(str(shared / "data" / "stills" / "stills.csv"))
    assert not manifest.problems
    assert manifest.table()["train"].tolist() == [4115, 170, 5296, 206, 283, 114, 14]
