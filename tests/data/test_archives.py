import multiprocessing
import re
import zipfile
from pathlib import Path

import pytest

from m3dfel.data import archives
from m3dfel.data.archives import read_bytes, zip_members
from m3dfel.errors import InputError


def write_archive(path: Path, **members: str) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return str(path)


def test_members_are_those_with_content(tmp_path: Path):
    path = write_archive(tmp_path / "faces.zip", ann="a face", bob="")
    assert zip_members(path) == {"ann"}
    assert read_bytes(f"{path}!ann") == b"a face"
    (tmp_path / "plain").write_text("a file")
    assert read_bytes(str(tmp_path / "plain")) == b"a file"


def test_an_archive_that_is_replaced_is_read_anew(tmp_path: Path):
    path = write_archive(tmp_path / "faces.zip", ann="before")
    assert read_bytes(f"{path}!ann") == b"before"
    other = write_archive(tmp_path / "other", ann="later", bob="new")
    Path(other).replace(path)
    assert read_bytes(f"{path}!ann") == b"later"
    assert zip_members(path) == {"ann", "bob"}


def test_each_of_dozens_of_archives_is_listed_once(tmp_path: Path):
    paths = [write_archive(tmp_path / f"{number}.zip", ann="a face") for number in range(40)]
    first, second = ([zip_members(path) for path in paths] for _ in range(2))
    assert all(before is after for before, after in zip(first, second, strict=True))


def test_each_process_has_a_position_of_its_own(tmp_path: Path):
    path = write_archive(tmp_path / "faces.zip", ann="a" * 10_000, bob="b" * 10_000)
    read_bytes(f"{path}!ann")
    with multiprocessing.get_context("fork").Pool(2) as pool:
        contents = pool.map(read_bytes, [f"{path}!ann", f"{path}!bob"] * 50, chunksize=1)
    assert [content[:1] for content in contents] == [b"a", b"b"] * 50


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("faces.zip!eve", "cannot read faces.zip!eve: "),
        ("gone.zip!ann", "cannot read gone.zip!ann: "),
        ("text.zip!ann", "cannot read text.zip!ann: "),
        ("gone", "cannot read gone: "),
    ],
)
def test_what_cannot_be_read_is_an_input_error(path: str, sentence: str, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_archive(Path("faces.zip"), ann="a face")
    Path("text.zip").write_text("no archive")
    with pytest.raises(InputError, match=re.escape(sentence)):
        read_bytes(path)
    with pytest.raises(InputError, match=r"cannot read the archive text\.zip"):
        zip_members("text.zip")


def test_a_member_larger_than_any_picture_is_not_unpacked(tmp_path: Path, monkeypatch):
    path = write_archive(tmp_path / "faces.zip", ann="a face")
    monkeypatch.setattr(archives, "MAX_BYTES", 3)
    with pytest.raises(InputError, match="larger than any picture"):
        read_bytes(f"{path}!ann")
