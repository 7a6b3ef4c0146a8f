"""Run all benchmarks, and write their figures to results.json and a table in Markdown.

    python benchmarks/all.py [NAME…] [--short] [--output benchmarks/results.json]

Each benchmark is a script in this folder with a function `rows(short)` and runs in a process of its
own. Those that need data or packages that are missing say so and are left out. Without `--short` it
takes less than ten minutes; do it on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

from rows import MissingDataError, Row, table

FOLDER = Path(__file__).parent


def benchmarks() -> list[str]:
    """Return the names of the scripts that have rows, sorted."""
    scripts = sorted(FOLDER.glob("*.py"))
    return [file.stem for file in scripts if re.search(r"^def rows\(", file.read_text(), re.M)]


def measure(name: str, short: bool) -> list[Row]:
    rows: list[Row] = import_module(name).rows(short)
    return rows


def measure_apart(name: str, short: bool) -> list[Row]:
    """Return the rows of a benchmark, measured in a new process."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(measure, name, short).result()


def machine() -> str:
    """Return what the figures depend on: processor, cores, system, Python and torch."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    processor = models[0] if models else platform.processor()
    return (
        f"{processor}, {os.cpu_count()} cores, {platform.system()}, "
        f"Python {platform.python_version()}, torch {version('torch')}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(benchmarks()))
    parser.add_argument("--short", action="store_true", help="only show that each of them works")
    parser.add_argument("--output", type=Path, default=FOLDER / "results.json")
    options = parser.parse_args()
    results: list[tuple[str, Row]] = []
    failures = 0
    for name in options.names or benchmarks():
        start = time.perf_counter()
        try:
            results += [(name, row) for row in measure_apart(name, options.short)]
            print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
        except MissingDataError as missing:
            print(f"{name}: left out: {missing}", flush=True)
        except Exception as error:  # one broken benchmark must not lose the others' figures
            print(f"{name}: failed: {type(error).__name__}: {error}", flush=True)
            failures += 1
    written = [
        {
            "name": row.name,
            "ours": row.ours,
            "baseline": row.theirs,
            "ratio": row.ratio,
            "unit": row.unit,
            "against": row.baseline,
            "benchmark": name,
            "machine": machine(),
        }
        for name, row in results
    ]
    options.output.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n")
    print(f"\n{table([row for _, row in results])}\n\n{machine()}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
