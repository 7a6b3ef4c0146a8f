from pathlib import Path

import pytest

from m3dfel.data.layouts import LAYOUTS, find_layout, label_lines
from m3dfel.data.manifest import read_manifest
from m3dfel.errors import InputError
from m3dfel.plugins import load_plugin
from small_data import write_frames

OWN_LAYOUT = '''
"""Interviews: a list of clips and the words for what they show, in two languages."""

from pathlib import Path

from m3dfel.data.layouts import LAYOUTS, Entry, Layout


@LAYOUTS.register("Interviews")
class Interviews(Layout):
    folds = 2
    labels = ("calm", "tense")
    expects = "interviews.train.txt"

    @staticmethod
    def recognizes(path):
        return (path / "interviews.train.txt").is_file()

    @staticmethod
    def read(path, fold):
        for line in (path / "interviews.train.txt").read_text().splitlines():
            clip, word, number = line.split()
            yield Entry(str(path / clip), word, "test" if int(number) == fold else "train")
'''


@pytest.fixture
def own_layout(tmp_path: Path):
    """A layout from a file outside the package, in the table for one test."""
    LAYOUTS.names()
    file = tmp_path / "interviews.py"
    file.write_text(OWN_LAYOUT)
    load_plugin(str(file))
    yield
    LAYOUTS._classes.pop("Interviews")


def test_a_layout_from_outside_the_package_comes_before_the_generic_ones(
    own_layout, tmp_path: Path
):
    root = tmp_path / "recordings"
    for name in ("a", "b"):
        write_frames(root / name, 2)
    # By its name, this file would also be a text annotation.
    (root / "interviews.train.txt").write_text("a calm 1\nb Tense 2\n")
    manifest = read_manifest(str(root), fold=2)
    assert (manifest.dataset, manifest.folds) == ("Interviews", 2)
    assert [(clip.emotion, clip.split) for clip in manifest.clips] == [
        ("calm", "train"),
        ("tense", "test"),
    ]
    assert list(manifest.table().index) == ["calm", "tense"]
    with pytest.raises(InputError, match="Interviews has the folds 1 to 2"):
        read_manifest(str(root), fold=3)


def test_the_message_about_an_unknown_layout_lists_all_layouts(own_layout, tmp_path: Path):
    (tmp_path / "unknown" / "pictures").mkdir(parents=True)
    with pytest.raises(InputError) as caught:
        find_layout(tmp_path / "unknown")
    message = str(caught.value)
    assert "found pictures" in message
    assert "Interviews: interviews.train.txt" in message
    assert "DFEW: a folder with EmoLabel_DataSplit/" in message
    for name in LAYOUTS.names():
        assert f"{name}: {LAYOUTS.get(name).expects}" in message
        assert LAYOUTS.get(name).expects


def test_an_empty_folder_and_a_missing_one_are_told_apart(tmp_path: Path):
    with pytest.raises(InputError, match=r"no data set at .*gone: check the path"):
        read_manifest(str(tmp_path / "gone"))
    with pytest.raises(InputError, match=r"none of the known layouts.*found no folders"):
        read_manifest(str(tmp_path))


def test_a_folder_above_or_inside_a_data_set_is_not_taken_for_class_folders(dfew: Path):
    with pytest.raises(InputError, match=r"none of the known layouts.*found DFEW"):
        read_manifest(str(dfew.parent))
    with pytest.raises(InputError, match=r"none of the known layouts.*found 00001, 00002"):
        read_manifest(str(dfew / "Clip" / "clip_224x224"))


def test_label_lines_skip_the_header_and_blank_lines(tmp_path: Path):
    file = tmp_path / "labels.txt"
    file.write_text("\ufefforder,label\n\n1,2\n", encoding="utf-8")
    assert list(label_lines(file, header=True)) == [(3, "1,2")]
    assert list(label_lines(file)) == [(1, "order,label"), (3, "1,2")]


def test_label_files_that_cannot_be_read_are_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"cannot read the labels .*gone\.txt: No such file"):
        list(label_lines(tmp_path / "gone.txt"))
    (tmp_path / "film.mp4").write_bytes(b"\xff\xd8\x00")
    with pytest.raises(InputError, match=r"film\.mp4: it is not a text file"):
        read_manifest(str(tmp_path / "film.mp4"))
