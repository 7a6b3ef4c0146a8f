"""Write tables for spreadsheets: as CSV and Excel files in which no cell runs as a formula."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from m3dfel.files import atomic_write, write_text

logger = logging.getLogger(__name__)

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a formula may start with
_MAX_ROWS = 2**20 - 1  # of a sheet, without its head


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV; an apostrophe precedes texts that a spreadsheet would run."""

    def escaped(cell: Any) -> Any:
        return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell

    texts = table.select_dtypes(exclude="number").map(escaped)
    write_text(path, table.assign(**texts).to_csv(index=False))


def write_xlsx(tables: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Write tables as the sheets of an Excel file; one that is too long for Excel is left out.

    Args:
        tables: by the name of their sheet.
        path: of the file.

    Raises:
        InputError: the file cannot be written.
    """
    from openpyxl import Workbook  # slow to import
    from openpyxl.cell import Cell, WriteOnlyCell
    from openpyxl.styles import Font

    workbook = Workbook(write_only=True)
    for name, table in tables.items():
        if len(table) > _MAX_ROWS:
            logger.warning(
                "%s lacks the sheet %s: its %d rows are too many for Excel, use CSV or Parquet",
                *(path.name, name, len(table)),
            )
            continue
        sheet = workbook.create_sheet(name)
        sheet.freeze_panes = "A2"

        def cell(value: Any, font: Font | None = None) -> Cell:
            written = WriteOnlyCell(sheet, None if pd.isna(value) else value)  # noqa: B023
            if isinstance(value, str):
                written.data_type = "s"  # never a formula
            if font:
                written.font = font
            return written

        sheet.append([cell(str(column), Font(bold=True)) for column in table])
        for row in table.astype(object).itertuples(index=False):
            sheet.append([cell(value) for value in row])
    with atomic_write(path) as temporary:
        workbook.save(temporary)
