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


def test_columns_may_be_separated_by_semicolons(tmp_path: Path):
    write_frames(tmp_path / "faces", 1)
    table = tmp_path / "faces.csv"
    table.write_text("file;emotion;votes_fear\n1.jpg;fear;2\n")
    assert [clip.emotion for clip in read_manifest(str(table)).clips] == ["fear"]


def test_the_archive_with_most_of_the_files_is_taken(tmp_path: Path):
    table = tmp_path / "faces.csv"
    table.write_text("file,emotion\n1.jpg,Happy\n2.jpg,sad\n")
    for archive, names in ("a_sample", ["1.jpg"]), ("faces", ["1.jpg", "2.jpg"]):
        with zipfile.ZipFile(tmp_path / f"{archive}.zip", "w") as opened:
            for name in names:
                opened.writestr(name, b"x")
    assert not read_manifest(str(table)).problems


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


def test_the_columns_of_votes_are_read(tmp_path: Path):
    write_frames(tmp_path / "faces", 4)
    table = tmp_path / "faces.csv"
    table.write_text(
        "file,emotion,votes_Happy,votes_fear,votes_unknown\n"
        "1.jpg,happiness,7,2.5,1\n2.jpg,fear,,3,\n3.jpg,fear,0,0,10\n4.jpg,fear,,,\n"
    )
    manifest = read_manifest(str(table))
    assert not manifest.problems
    assert [clip.votes for clip in manifest.clips] == [
        (("happiness", 7.0), ("fear", 2.5)),
        (("fear", 3.0),),
        (),
        (),
    ]
    labels = ["unknown", "fear", "happiness"]
    assert read_manifest(str(table), labels=labels).clips[2].votes == (("unknown", 10.0),)


@pytest.mark.parametrize("cell", ["many", "-1", "nan", "inf"])
def test_votes_that_are_no_number_of_annotators_are_a_problem(cell: str, tmp_path: Path):
    write_frames(tmp_path / "faces", 2)
    table = tmp_path / "faces.csv"
    table.write_text(f"file,emotion,votes_fear\n1.jpg,fear,{cell}\n2.jpg,fear,3\n")
    manifest = read_manifest(str(table))
    assert len(manifest.clips) == 1
    assert f"the votes for fear are '{cell}' but must be a number" in manifest.problems[0].what


def test_an_empty_table_and_a_broken_archive_are_named(tmp_path: Path):
    table = tmp_path / "faces.csv"
    table.touch()
    with pytest.raises(InputError, match=r"cannot read .*faces\.csv as a table"):
        read_manifest(str(table))
    table.write_text("file,emotion\n1.jpg,Happy\n")
    (tmp_path / "faces.zip").write_bytes(b"cut short")
    with pytest.raises(InputError, match=r"cannot read the archive .*faces\.zip"):
        read_manifest(str(table))


ROWS = "file,emotion,split,votes_fear\nfear one/1.jpg,fear,Training,3\nfear one/2.jpg,fear,dev,2\n"


@pytest.mark.parametrize(
    "content",
    [
        ROWS.encode("utf-16"),
        ROWS.replace(",", ";").replace("\n", "\r\n").encode("utf-8-sig"),
        ROWS.replace(",", "\t").encode(),
        ROWS.replace(",", ", ").encode(),
        ROWS.replace("/", "\\").encode(),
        ("sep=;\n" + ROWS.replace(",", ";")).encode(),
        ROWS.replace("file,emotion,split", "File,Emotion,Split").encode(),
        ROWS.replace("fear one", "peur nº 1").encode("cp1252"),
        ROWS.replace("fear one", "恐惧一").replace(",fear,", ",恐惧,").encode("gb2312"),
    ],
    ids=[
        *("utf-16", "semicolons", "tabs", "blanks", "backslashes", "sep", "capitals", "cp1252"),
        "gb2312",
    ],
)
def test_tables_from_excel_and_windows_are_read(content: bytes, tmp_path: Path):
    write_frames(tmp_path / "fear one", 2)
    write_frames(tmp_path / "peur nº 1", 2)
    write_frames(tmp_path / "恐惧一", 2)
    (tmp_path / "faces.csv").write_bytes(content)
    manifest = read_manifest(str(tmp_path / "faces.csv"))
    assert not manifest.problems
    assert [(c.split, c.votes) for c in manifest.clips] == [
        ("train", (("fear", 3.0),)),
        ("val", (("fear", 2.0),)),
    ]


def test_a_workbook_and_a_file_that_is_no_text_are_refused(tmp_path: Path):
    table = tmp_path / "faces.csv"
    with zipfile.ZipFile(table, "w") as workbook:
        workbook.writestr("xl/workbook.xml", "")
    with pytest.raises(InputError, match=r"is an Excel workbook .*: save the table as CSV"):
        read_manifest(str(table))
    table.write_bytes(b"\0\1\2")
    with pytest.raises(InputError, match="is not a text file"):
        read_manifest(str(table))


def test_unknown_and_missing_splits_are_problems(tmp_path: Path):
    write_frames(tmp_path / "faces", 3)
    table = tmp_path / "faces.csv"
    table.write_text("file,emotion,split\n1.jpg,fear,train\n2.jpg,fear,extra\n3.jpg,fear,\n")
    manifest = read_manifest(str(table))
    assert [clip.split for clip in manifest.clips] == ["train"]
    assert [problem.what for problem in manifest.problems] == [
        "unknown split 'extra': use train, val or test",
        "no split, unlike others",
    ]


def test_parts_of_a_video_are_no_clips_yet(tmp_path: Path):
    write_frames(tmp_path / "faces", 2)
    table = tmp_path / "faces.csv"
    table.write_text("file,emotion,start_s,end_s\n1.jpg,fear,0,2\n2.jpg,fear,,\n")
    manifest = read_manifest(str(table))
    assert len(manifest.clips) == 1
    assert manifest.problems[0].what == "a part of a video: cut it out with `m3dfel data crop`"


@pytest.mark.parametrize(
    "cells",
    ["nan,2", "0,nan", "-1,2", "2,1", "inf,inf", "0,1e999999x", "0,2,left,0,9,9", "0,2,nan,0,9,9"],
)
def test_times_and_regions_that_are_no_numbers_are_problems(cells: str, tmp_path: Path):
    columns = "file,emotion,start_s,end_s,x1,y1,x2,y2"
    table = write(tmp_path / "faces.csv", f"{columns}\n1.jpg,fear,{cells}\n2.jpg,fear\n")
    (problem,) = read_manifest(table).problems
    assert "must" in problem.what


def write(path: Path, text: str) -> str:
    write_frames(path.parent / "faces", 2)
    path.write_text(text)
    return str(path)


def test_a_row_longer_than_the_header_is_an_error(tmp_path: Path):
    table = write(tmp_path / "faces.csv", "file,emotion\n1.jpg,fear,,\n2.jpg,fear,1,2\n")
    with pytest.raises(InputError, match=r"row 2 of .*faces\.csv has 4 cells, but there are 2"):
        read_manifest(table)


def test_a_quote_that_is_never_closed_is_an_error(tmp_path: Path):
    table = write(tmp_path / "faces.csv", 'file,emotion\n"1.jpg,fear\n2.jpg,fear\n')
    with pytest.raises(InputError, match=r"cannot read .* as a table: unexpected end of data"):
        read_manifest(table)


def test_a_column_named_twice_is_an_error(tmp_path: Path):
    table = write(tmp_path / "faces.csv", "file,emotion,file\n1.jpg,fear,2.jpg\n")
    with pytest.raises(InputError, match="has the column file twice"):
        read_manifest(table)


def test_names_longer_than_any_path_are_problems(tmp_path: Path):
    table = write(tmp_path / "faces.csv", f"file,emotion\n1.jpg,fear\n{'x' * 5000}.jpg,fear\n")
    (problem,) = read_manifest(table).problems
    assert "too long" in problem.what


def test_cells_and_headers_beyond_any_use_are_said_without_being_repeated(tmp_path: Path):
    table = write(tmp_path / "faces.csv", f"file,emotion\n1.jpg,{'x' * 200_000}\n")
    with pytest.raises(InputError, match="larger than field limit"):
        read_manifest(table)
    columns = ",".join(map(str, range(200_000)))  # more than a minute, if each looked for its twin
    (tmp_path / "wide.csv").write_text(f"file,emotion,{columns},file\n1.jpg,fear\n")
    with pytest.raises(InputError, match="has the column file twice"):
        read_manifest(str(tmp_path / "wide.csv"))
