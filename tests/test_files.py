import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from m3dfel.errors import InputError
from m3dfel.files import (
    atomic_write,
    check_replaceable,
    only_process,
    printable,
    start_list,
    write_text,
    written_names,
)


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


# --- one process at a time ---------------------------------------------------------------------


def test_only_one_process_works_in_a_folder_and_a_killed_one_blocks_nobody(tmp_path: Path):
    code = (
        "import sys, time; from pathlib import Path; from m3dfel.files import only_process\n"
        "with only_process(Path(sys.argv[1]), 'packing'): print(flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "new")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        with (
            pytest.raises(InputError, match=r"another process is packing in .*new: wait until"),
            only_process(tmp_path / "new", "packing"),
        ):
            pass
        other.kill()
    with only_process(tmp_path / "new", "packing"):
        pass


# --- what is whose -------------------------------------------------------------------------------


def test_a_file_of_the_user_is_not_replaced(tmp_path: Path):
    own, other = tmp_path / "session.csv", tmp_path / "session.srt"
    other.write_text("by hand")
    with pytest.raises(InputError, match=r"session\.srt was not written by m3dfel"):
        check_replaceable([own, other])
    check_replaceable([own, other], overwrite=True)
    start_list(tmp_path)
    write_text(own, "a result")
    check_replaceable([own])
    own.write_text("a result, corrected by hand")
    with pytest.raises(InputError, match="or was changed since"):
        check_replaceable([own])
    assert own.read_text() == "a result, corrected by hand"


def test_a_result_may_be_replaced_after_a_kill_at_any_moment(tmp_path: Path):
    path = tmp_path / "session.csv"
    start_list(tmp_path)
    write_text(path, "first")
    with pytest.raises(KeyboardInterrupt):
        write_a_part(path)
    check_replaceable([path])
    assert path.read_text() == "first"


def test_results_in_a_copied_folder_are_still_known(tmp_path: Path):
    start_list(tmp_path / "a")
    write_text(tmp_path / "a" / "session.csv", "a result")
    shutil.copytree(tmp_path / "a", tmp_path / "b", copy_function=shutil.copyfile)
    check_replaceable([tmp_path / "b" / "session.csv"])
    assert written_names(tmp_path / "b") == {"session.csv"}


def test_a_folder_that_cannot_be_written_is_said_at_once(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write to"):
        check_replaceable([tmp_path / "file" / "result.csv"])
    check_replaceable([tmp_path / "new" / "folder" / "result.csv"])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_names_that_are_not_characters_are_written_as_escapes(tmp_path: Path):
    name = os.fsdecode(b"old\xff\x1b[31m.mp4")
    assert printable(name) == r"old\xff\x1b[31m.mp4"
    assert printable("half \ud800\n") == r"half \ud800\n"
    write_text(tmp_path / "table.csv", f"{name} \ud800")
    assert rb"\ud800" in (tmp_path / "table.csv").read_bytes()
    assert rb"old\xff" in (tmp_path / "table.csv").read_bytes()
