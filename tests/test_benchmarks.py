"""`make bench`: every benchmark is found, and what they return becomes one file and one table."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

SCRIPTS = {
    "fast.py": (
        "from rows import Row\n\n\n"
        "def rows(short):\n"
        "    return [Row('reading', 2.0 if short else 3.0, 'ms', 'the old way', 8.0)]\n"
    ),
    "far.py": (
        "from rows import shared\n\n\ndef rows(short):\n    return [shared('data/gone.csv')]\n"
    ),
    "broken.py": "def rows(short):\n    return 1 / 0\n",
    "apart.py": "print('a script without rows')\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in "all.py", "rows.py":
        shutil.copy(BENCHMARKS / name, tmp_path)
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "all.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_all_benchmarks_are_run_even_if_one_cannot(folder: Path):
    for name, code in SCRIPTS.items():
        (folder / name).write_text(code)
    finished = run(folder, "--short")
    assert finished.returncode == 1, finished.stderr
    assert "far: left out: no data/gone.csv in the shared data" in finished.stdout
    assert "broken: failed: ZeroDivisionError" in finished.stdout
    assert "| reading |   2 ms |       8 ms | the old way |" in finished.stdout
    (result,) = json.loads((folder / "results.json").read_text())
    assert result.pop("machine").count(", ") >= 4
    assert result == {
        "name": "reading",
        "ours": 2.0,
        "baseline": 8.0,
        "ratio": 0.25,
        "unit": "ms",
        "against": "the old way",
        "benchmark": "fast",
    }


def test_single_benchmarks_can_be_chosen(folder: Path):
    for name, code in SCRIPTS.items():
        (folder / name).write_text(code)
    finished = run(folder, "fast", "--output", str(folder / "other.json"))
    assert finished.returncode == 0, finished.stderr
    assert json.loads((folder / "other.json").read_text())[0]["ours"] == 3.0
    assert not (folder / "results.json").exists()
