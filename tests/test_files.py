from pathlib import Path

import pytest

from m3dfel.errors import InputError
from m3dfel.files import atomic_write, write_text


def write_a_part(path: Path) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text("a part")
        raise KeyboardInterrupt


def write_a_part_of_a_folder(path: Path) -> None:
    with atomic_write(path) as temporary:
        temporary.mkdir()
        write_a_part(temporary / "weights")


def test_a_file_is_replaced_only_when_it_is_complete(tmp_path: Path):
    file = tmp_path / "new" / "folder" / "results.csv"
    write_text(file, "first")
    with pytest.raises(KeyboardInterrupt):
        write_a_part(file)
    assert file.read_text() == "first"
    with atomic_write(file) as temporary:
        assert temporary.suffix == ".csv"
        temporary.write_text("second")
    assert file.read_text() == "second"
    assert list(file.parent.iterdir()) == [file], "no temporary file remains"


def test_a_folder_is_written_as_a_whole(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        write_a_part_of_a_folder(tmp_path / "model")
    assert not list(tmp_path.iterdir())
    with atomic_write(tmp_path / "model") as temporary:
        temporary.mkdir()
        (temporary / "weights").write_text("all")
    assert (tmp_path / "model" / "weights").read_text() == "all"


def test_a_file_that_cannot_be_read_meanwhile_is_not_said_to_be_unwritable(tmp_path: Path):
    missing = tmp_path / "inputs" / "faces.csv"
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "results" / "faces.csv"):
        missing.read_text()


def test_a_path_that_cannot_be_written_is_an_input_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*file/results\.json"):
        write_text(tmp_path / "file" / "results.json", "{}")
