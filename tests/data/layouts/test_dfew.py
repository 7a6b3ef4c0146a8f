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


HEADER = "order,1happy,2sad,3neutral,4angry,5surprise,6disgust,7fear,label\n"


def write_votes(dfew: Path, text: str) -> None:
    (dfew / "Annotation").mkdir(exist_ok=True)
    (dfew / "Annotation" / "annotation.csv").write_text(text)


@pytest.mark.parametrize("separator", [",", ";"])
def test_the_votes_of_the_annotation_table_are_read(separator: str, dfew: Path):
    lines = HEADER + "1,8,0,2,0,0,0,0,1\n2,0,7,0,0,0,0,3,2\n99,5,5,0,0,0,0,0,0\n"
    write_votes(dfew, lines.replace(",", separator))
    manifest = read_manifest(str(dfew))
    assert not manifest.problems
    votes = {Path(clip.path).name: clip.votes for clip in manifest.clips if clip.votes}
    assert votes == {
        "00001": (("happiness", 8.0), ("neutral", 2.0)),
        "00002": (("sadness", 7.0), ("fear", 3.0)),
    }


def test_votes_that_contradict_the_label_are_a_problem(dfew: Path):
    write_votes(dfew, HEADER + "1,1,9,0,0,0,0,0,2\n2,0,x,0,0,0,0,0,2\n3,0,0,0,0,0,0,0,3\n")
    manifest = read_manifest(str(dfew))
    assert [problem.what for problem in manifest.problems] == [
        "labeled happiness, but most annotators chose sadness: correct annotation.csv",
        "the votes for sadness are 'x' but must be a number of annotators, 0 or more",
    ]
    assert len(manifest.clips) == 19


def test_an_annotation_table_with_other_columns_is_an_error(dfew: Path):
    write_votes(dfew, "order,first,second\n1,1,2\n")
    with pytest.raises(InputError, match=r"no column happiness or sadness .*only order, first"):
        read_manifest(str(dfew))
    write_votes(dfew, HEADER + "clip-1,8,0,2,0,0,0,0,1\n")
    with pytest.raises(InputError, match="the order is 'clip-1' but must be a number"):
        read_manifest(str(dfew))


def test_a_line_without_a_label_is_an_error_and_an_unknown_label_a_problem(dfew: Path):
    labels = dfew / "EmoLabel_DataSplit" / "test(single-labeled)" / "set_1.csv"
    labels.write_text("order,label\n15,8\n")
    assert "unknown emotion '8'" in read_manifest(str(dfew)).problems[0].what
    labels.write_text("order,label\n15\n")
    with pytest.raises(InputError, match=r"set_1.csv line 2 is '15', expected `order,label`"):
        read_manifest(str(dfew))
