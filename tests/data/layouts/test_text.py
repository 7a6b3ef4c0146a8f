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
    (tmp_path / "latest.txt").write_text("no list of clips\n")
    manifest = read_manifest(str(tmp_path))
    assert [(c.emotion, c.split) for c in manifest.clips] == [
        ("fear", "test"),
        ("anger", "test"),
        ("happiness", "train"),
    ]
    assert len(read_manifest(str(tmp_path / "set_1_train.txt")).clips) == 1


def test_a_file_without_a_split_in_its_name_has_no_splits(tmp_path: Path):
    write_frames(tmp_path / "a", 3)
    (tmp_path / "all.txt").write_text("a 3 0\n")
    manifest = read_manifest(str(tmp_path / "all.txt"))
    assert [clip.split for clip in manifest.clips] == [""]
    assert manifest.dataset == "all.txt"


def test_a_line_of_another_form_is_an_error(tmp_path: Path):
    (tmp_path / "train.txt").write_text("\njust one\n")
    with pytest.raises(InputError, match=r"train.txt line 2 .* expected `path frames label`"):
        read_manifest(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("Training.txt", "train"),
        ("valid.txt", "val"),
        ("set1-dev.txt", "val"),
        ("testlist01.txt", "test"),
    ],
)
def test_files_are_named_after_their_split_with_any_usual_word(
    name: str, split: str, tmp_path: Path
):
    write_frames(tmp_path / "a", 3)
    (tmp_path / name).write_text("a 3 0\n")
    assert [clip.split for clip in read_manifest(str(tmp_path)).clips] == [split]


def test_labels_that_count_from_one_are_refused(tmp_path: Path):
    for name in "abc":
        write_frames(tmp_path / name, 3)
    (tmp_path / "train.txt").write_text("a 3 1\nb 3 7\n")
    (tmp_path / "test.txt").write_text("c 3 2\n")
    with pytest.raises(InputError, match="are the numbers 1 to 7, but must count from 0"):
        read_manifest(str(tmp_path))


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path):
    for content in b"a.png 1 0\0\n", b"\xff\xfe 1 0\n":
        (tmp_path / "train.txt").write_bytes(content)
        with pytest.raises(InputError, match=r"train\.txt: it is not a text file"):
            read_manifest(str(tmp_path / "train.txt"))
