"""CSV tables as spreadsheets of any country and system save them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd

from m3dfel.errors import InputError

_SEPARATORS = (",", ";", "\t")
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of text: UTF-8, UTF-16 or Windows-1252, with commas, semicolons or tabs.

    Returns:
        All cells as text without blanks around them, empty where there is nothing.

    Raises:
        InputError: the file cannot be read, or is not a table.
    """
    text = read_text(path)
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep="):  # as Excel writes it for itself
        text, separator = rest, first.strip()[4:] or "\t"
    else:
        separator = max(_SEPARATORS, key=first.count)
    try:
        table = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            dtype=str,
            keep_default_na=False,
            skipinitialspace=True,
            index_col=False,
        )
    except (ValueError, csv.Error) as error:
        raise InputError(f"cannot read {path} as a table: {str(error).strip()}") from error
    table.columns = table.columns.str.strip()
    return table.apply(lambda column: column.str.strip())


def read_text(path: Path) -> str:
    """Return the content of a text file in UTF-8, UTF-16 or Windows-1252.

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
    for encoding in marked or ["utf-8", "cp1252"]:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text.replace("\r\n", "\n").replace("\r", "\n")
    raise InputError(f"{path} is not a text file: save the table as CSV in UTF-8")
