"""CSV tables: one row per clip, with the columns `file` and `emotion`.

The columns `split` and `identity` are optional, and so are `votes_<emotion>`: how many annotators
chose each emotion. Files are relative to the folder of the CSV, to a folder beside it or to a zip
archive beside it: whichever holds most of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from m3dfel.data.archives import zip_members
from m3dfel.data.layouts import VOTES, Entry, Layout, parse_votes
from m3dfel.errors import InputError
from m3dfel.files import csv_separator
from m3dfel.registry import LAYOUTS


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
            separator = csv_separator(path)
            table = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {path} as a table: {error}") from error
        missing = {"file", "emotion"} - set(table.columns)
        if missing:
            raise InputError(
                f"{path} has no column {' or '.join(sorted(missing))}, only "
                f"{', '.join(table.columns)}: file and emotion are required; identity, split and "
                "votes_<emotion> are optional"
            )
        locate = _locator(path, table["file"].tolist())
        names = [str(name) for name in table.columns if str(name).startswith(VOTES)]
        for row in table.to_dict("records"):
            split, identity = row.get("split") or "test", row.get("identity", "")
            entry = Entry(locate(row["file"]), row["emotion"], split, identity)
            try:
                votes = parse_votes({name.removeprefix(VOTES): row[name] for name in names})
                yield replace(entry, votes=votes)
            except InputError as error:
                yield replace(entry, problem=str(error))


def _locator(table: Path, names: Sequence[str]) -> Callable[[str], str]:
    """Return a function from a file name in the table to its path.

    The path lies in the folder or archive that holds most of a sample of the files.
    """
    sample = names[:: max(len(names) // 100, 1)]
    folders = [table.parent, *sorted(item for item in table.parent.iterdir() if item.is_dir())]
    counts = [sum((folder / name).exists() for name in sample) for folder in folders]
    best = folders[counts.index(max(counts))]
    archives = sorted(table.parent.glob("*.zip"))
    members = [zip_members(str(archive)) for archive in archives]
    in_archives = [sum(name in names for name in sample) for names in members]
    if max(in_archives, default=0) > max(counts):
        return partial("{}!{}".format, archives[in_archives.index(max(in_archives))])
    return lambda name: str(best / name)
