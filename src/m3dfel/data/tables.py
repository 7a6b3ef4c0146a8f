"""CSV tables as spreadsheets of any country and system save them."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from m3dfel.errors import InputError

_SEPARATORS = (",", ";", "\t")
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def read_rows(path: Path) -> tuple[list[str], Iterator[dict[str, str]]]:
    """Read a table of text: UTF-8, UTF-16 or Windows-1252, with commas, semicolons or tabs.

    Returns:
        The names of the columns, and the rows one after the other: by column, the text of each cell
        without blanks around it, empty where there is nothing.

    Raises:
        InputError: the file cannot be read, or is not a table; for the rows, when they are read.
    """
    text = read_text(path)
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep="):  # as Excel writes it for itself
        text, separator = rest, first.strip()[4:] or "\t"
    else:
        separator = max(_SEPARATORS, key=first.count)
    rows = _stripped_rows(path, text, separator)
    columns = next(rows, [])
    if not any(columns):
        raise InputError(f"cannot read {path} as a table: it has no header")
    if repeated := {name for name, count in Counter(columns).items() if name and count > 1}:
        raise InputError(f"{path} has the column {min(repeated)} twice: remove one")
    return columns, _by_column(path, rows, columns)


def _stripped_rows(path: Path, text: str, separator: str) -> Iterator[list[str]]:
    """Yield the rows that are not blank."""
    try:
        reader = csv.reader(
            io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True
        )
        for row in reader:
            if row:
                yield [cell.strip() for cell in row]
    except (csv.Error, TypeError) as error:
        raise InputError(f"cannot read {path} as a table: {error}") from error


def _by_column(
    path: Path, rows: Iterator[list[str]], columns: Sequence[str]
) -> Iterator[dict[str, str]]:
    """Yield the cells of each row by column; at its end, empty cells may be missing or too many."""
    for number, row in enumerate(rows, 1):
        if any(row[len(columns) :]):
            raise InputError(
                f"row {number} of {path} has {len(row)} cells, but there are {len(columns)} "
                "columns: put cells that contain a comma in quotes"
            )
        yield dict(zip_longest(columns, row[: len(columns)], fillvalue=""))


def read_text(path: Path) -> str:
    """Return the content of a text file in UTF-8, UTF-16, GB 2312 or Windows-1252.

    Raises:
        InputError: the file cannot be read, or is not a text file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if content.startswith(b"PK\x03\x04"):
        raise InputError(f"{path} is an Excel workbook or a zip archive: save the table as CSV")
    marked = [code for mark, code in _BYTE_ORDER_MARKS.items() if content.startswith(mark)]
    # GB 2312 first: its characters are pairs of bytes above 160, which accented letters rarely are.
    for encoding in marked or ["utf-8", "gb2312", "cp1252"]:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text.replace("\r\n", "\n").replace("\r", "\n")
    raise InputError(f"{path} is not a text file: save the table as CSV in UTF-8")
