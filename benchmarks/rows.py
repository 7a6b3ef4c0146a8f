"""What every benchmark returns: rows of our figure beside a baseline from the same run.

A benchmark is a script in this folder with a function `rows(short)` that returns its rows, and
raises `MissingDataError` if it needs data that are not there. `all.py` runs every such script.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate


class MissingDataError(Exception):
    """Raised by a benchmark that needs data or packages that are not there."""


@dataclass(frozen=True)
class Row:
    """A figure and its baseline.

    Attributes:
        name: what is measured.
        ours: our figure.
        unit: of both figures.
        baseline: what it is compared with.
        theirs: the figure of the baseline.
    """

    name: str
    ours: float
    unit: str
    baseline: str
    theirs: float

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs


def table(rows: Sequence[Row]) -> str:
    """Return rows as a table in Markdown."""
    return tabulate(
        [
            (
                row.name,
                f"{row.ours:.3g} {row.unit}",
                f"{row.theirs:.3g} {row.unit}",
                row.baseline,
                f"{row.ratio:.2f}",
            )
            for row in rows
        ],
        headers=["", "ours", "baseline", "", "ours / baseline"],
        tablefmt="github",
        colalign=("left", "right", "right", "left", "right"),
        disable_numparse=True,
    )


def shared(path: str) -> Path:
    """Return a file in the folder of shared data, which `M3DFEL_SHARED` names.

    Raises:
        MissingDataError: it is not there.
    """
    default = Path(__file__).parents[2] / "shared"
    found = Path(os.environ.get("M3DFEL_SHARED", default)) / path
    if not found.exists():
        raise MissingDataError(f"no {path} in the shared data: name their folder in M3DFEL_SHARED")
    return found
