from pathlib import Path

import pytest

from m3dfel.data.manifest import read_manifest
from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError


def test_dfew_is_read_in_the_layout_of_its_authors(dfew: Path):
    manifest = read_manifest(str(dfew))
    assert not manifest.problems
    assert len(manifest.split("train")) == 14
    assert len(manifest.split("test")) == 7
    first = manifest.split("train")[0]
    assert (Path(first.path).name, first.kind, first.emotion) == ("00001", "frames", "happiness")
    assert [clip.emotion for clip in manifest.split("test")] == list(EMOTIONS)
    assert manifest.table().loc["fear"].to_dict() == {"train": 2, "test": 1}


def test_copies_with_the_clip_folder_twice_are_read(dfew: Path):
    clips = dfew / "Clip" / "clip_224x224"
    clips.rename(dfew / "Clip" / "inner")
    clips.mkdir()
    (dfew / "Clip" / "inner").rename(clips / "clip_224x224")
    assert len(read_manifest(str(dfew)).clips) == 21


def test_the_label_file_of_a_missing_fold_is_named(dfew: Path):
    with pytest.raises(InputError, match=r"cannot read the labels .*set_2\.csv"):
        read_manifest(str(dfew), fold=2)


def test_a_line_without_a_label_is_an_error_and_an_unknown_label_a_problem(dfew: Path):
    labels = dfew / "EmoLabel_DataSplit" / "test(single-labeled)" / "set_1.csv"
    labels.write_text("order,label\n15,8\n")
    assert "unknown emotion '8'" in read_manifest(str(dfew)).problems[0].what
    labels.write_text("order,label\n15\n")
    with pytest.raises(InputError, match=r"set_1.csv line 2 is '15', expected `order,label`"):
        read_manifest(str(dfew))
