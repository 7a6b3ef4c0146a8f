from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from m3dfel.report import tables
from m3dfel.report.tables import write_csv, write_xlsx

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"]


def test_no_text_of_a_csv_runs_as_a_formula(tmp_path: Path):
    write_csv(pd.DataFrame({"text": [*FORMULAS, "fear"], "number": range(-3, 3)}), tmp_path / "a")
    read = pd.read_csv(tmp_path / "a")
    assert read["text"].tolist() == [*(f"'{text}" for text in FORMULAS), "fear"]
    assert read["number"].tolist() == [*range(-3, 3)]


def test_no_text_of_an_excel_file_runs_as_a_formula(tmp_path: Path):
    table = pd.DataFrame({"=1": FORMULAS, "number": [-1.5, None, 0, 1, 2]})
    write_xlsx({"one": table, "two": table[:0]}, tmp_path / "a.xlsx")
    workbook = openpyxl.load_workbook(tmp_path / "a.xlsx")
    assert workbook.sheetnames == ["one", "two"]
    texts, numbers = workbook["one"].iter_cols()
    assert {cell.data_type for cell in texts} == {"s"}
    assert [cell.value for cell in texts] == ["=1", *FORMULAS]
    assert [cell.value for cell in numbers] == ["number", -1.5, None, 0, 1, 2]


def test_a_table_too_long_for_excel_is_left_out(tmp_path: Path, monkeypatch, caplog):
    monkeypatch.setattr(tables, "_MAX_ROWS", 3)
    short, long = (pd.DataFrame({"a": range(rows)}) for rows in (3, 4))
    write_xlsx({"spans": short, "clips": long}, tmp_path / "a.xlsx")
    assert openpyxl.load_workbook(tmp_path / "a.xlsx").sheetnames == ["spans"]
    assert "lacks the sheet clips" in caplog.text


@pytest.mark.parametrize("text", ["fear", "a-b", "'quoted"])
def test_other_texts_stay_as_they_are(text: str, tmp_path: Path):
    write_csv(pd.DataFrame({"text": [text]}), tmp_path / "a")
    assert pd.read_csv(tmp_path / "a")["text"].tolist() == [text]
