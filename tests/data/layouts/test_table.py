import zipfile
from pathlib import Path

import pytest

from m3dfel.data.manifest import read_manifest
from m3dfel.errors import InputError
from small_data import write_frames


def test_pictures_are_found_in_a_folder_or_an_archive(tmp_path: Path):
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


def test_files_missing_from_the_archive_are_problems(tmp_path: Path):
    table = tmp_path / "faces.csv"
    table.write_text("file,emotion\n1.jpg,Happy\n2.jpg,sad\n")
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        archive.writestr("1.jpg", b"x")
    manifest = read_manifest(str(table))
    assert [problem.what for problem in manifest.problems] == ["not in the archive, or empty"]


def test_a_table_without_the_columns_is_an_error(tmp_path: Path):
    table = tmp_path / "faces.csv"
    table.write_text("name,label\n1.jpg,Happy\n")
    with pytest.raises(InputError, match="no column emotion or file, only name, label"):
        read_manifest(str(table))


def test_an_empty_table_and_a_broken_archive_are_named(tmp_path: Path):
    table = tmp_path / "faces.csv"
    table.touch()
    with pytest.raises(InputError, match=r"cannot read .*faces\.csv as a table"):
        read_manifest(str(table))
    table.write_text("file,emotion\n1.jpg,Happy\n")
    (tmp_path / "faces.zip").write_bytes(b"cut short")
    with pytest.raises(InputError, match=r"cannot read the archive .*faces\.zip"):
        read_manifest(str(table))
