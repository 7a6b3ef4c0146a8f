"""CSV tables: one row per clip, with the columns `file` and `emotion`.

The columns `split` and `identity` are optional, and so are `votes_<emotion>`: how many annotators
chose each emotion. Files are relative to the folder of the CSV, to a
folder beside it or to a zip archive beside it: whichever holds most of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from m3dfel.data.archives import zip_members
from m3dfel.data.layouts import Entry, Layout
from m3dfel.errors import InputError
from m3dfel.registry import LAYOUTS

_VOTES = "votes_"


@LAYOUTS.register("csv")
class Table(Layout):
    """A CSV file; rows without a split are of the test split."""

    expects = "a CSV file with the columns file and emotion"

    @staticmethod
    def recognizes(path: Path) -> bool:
        return path.is_file() and path.suffix.lower() == ".csv"

    @staticmethod
    def read(path: Path, fold: int) -> Iterator[Entry]:
        try:
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {path} as a table: {error}") from error
        missing = {"file", "emotion"} - set(table.columns)
        if missing:
            raise InputError(
                f"{path} has no column {' or '.join(sorted(missing))}, only "
                f"{', '.join(table.columns)}: file and emotion are required, identity and split "
                "are optional"
            )
        locate = _locator(path, table["file"].tolist())
        for row in table.to_dict("records"):
            split, identity = row.get("split") or "test", row.get("identity", "")
            votes = _votes(path, row)
            yield Entry(locate(row["file"]), row["emotion"], split, identity, votes)


def _votes(path: Path, row: dict[Any, str]) -> dict[str, float]:
    """Return the votes of a row: emotion to number of annotators, for those that got any."""
    votes = {}
    for column, cell in row.items():
        if column.startswith(_VOTES) and cell:
            try:
                count = float(cell)
            except ValueError:
                count = -1.0
            if not 0 <= count < math.inf:
                raise InputError(
                    f"{path}, {row['file']}: {column} is {cell!r} but must be a number of "
                    "annotators, 0 or more"
                )
            if count:
                votes[column.removeprefix(_VOTES)] = count
    return votes


def _locator(table: Path, names: Sequence[str]) -> Callable[[str], str]:
    """Return a function from a file name in the table to its path.

    The path lies in the folder or archive that holds most of a sample of the files.
    """
    sample = names[:: max(len(names) // 100, 1)]
    folders = [table.parent, *sorted(item for item in table.parent.iterdir() if item.is_dir())]
    counts = [sum((folder / name).exists() for name in sample) for folder in folders]
    best = folders[counts.index(max(counts))]
    for archive in sorted(table.parent.glob("*.zip")):
        members = zip_members(str(archive))
        if sum(name in members for name in sample) > max(counts):
            return partial("{}!{}".format, archive)
    return lambda name: str(best / name)
