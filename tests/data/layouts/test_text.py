from pathlib import Path

import pytest

from m3dfel.data.manifest import read_manifest
from m3dfel.errors import InputError
from small_data import write_frames


def test_labels_are_numbers_from_zero_or_words(tmp_path: Path):
    for name in ("a clip", "b", "c"):
        write_frames(tmp_path / name, 3)
    (tmp_path / "set_1_train.txt").write_text("a clip 3 0\n")
    (tmp_path / "set_1_test.txt").write_text("b 3 6\n\nc 3 Angry\n")
    manifest = read_manifest(str(tmp_path))
    assert [(c.emotion, c.split) for c in manifest.clips] == [
        ("fear", "test"),
        ("anger", "test"),
        ("happiness", "train"),
    ]
    assert len(read_manifest(str(tmp_path / "set_1_train.txt")).clips) == 1


def test_a_file_without_a_split_in_its_name_is_the_test_split(tmp_path: Path):
    write_frames(tmp_path / "a", 3)
    (tmp_path / "all.txt").write_text("a 3 0\n")
    manifest = read_manifest(str(tmp_path / "all.txt"))
    assert [clip.split for clip in manifest.clips] == ["test"]
    assert manifest.dataset == "all.txt"


def test_a_line_of_another_form_is_an_error(tmp_path: Path):
    (tmp_path / "train.txt").write_text("\njust one\n")
    with pytest.raises(InputError, match=r"train.txt line 2 .* expected `path frames label`"):
        read_manifest(str(tmp_path))
