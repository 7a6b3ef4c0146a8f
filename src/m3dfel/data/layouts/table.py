"""CSV tables: one row per clip, with the columns `file` and `emotion`.

The columns `split` and `identity` are optional, and so are `votes_<emotion>`: how many annotators
chose each emotion. A row can also label a part of a whole scene, for `m3dfel data crop`: from
`start_s` to `end_s`, the face of a `person`, in the region `x1`, `y1`, `x2`, `y2` of the picture.

Files are relative to the folder of the CSV, to a folder beside it or to a zip archive beside it:
whichever holds most of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from m3dfel.data.archives import zip_members
from m3dfel.data.layouts import LAYOUTS, VOTES, Entry, Layout, parse_votes, path_in
from m3dfel.data.tables import read_rows
from m3dfel.errors import InputError
from m3dfel.files import exists

_SPAN = ("start_s", "end_s")
_REGION = ("x1", "y1", "x2", "y2")


@LAYOUTS.register("csv")
class Table(Layout):
    """A CSV file, with or without splits."""

    expects = "a CSV file with the columns file and emotion"

    @staticmethod
    def recognizes(path: Path) -> bool:
        return path.is_file() and path.suffix.lower() in (".csv", ".tsv")

    @staticmethod
    def read(path: Path, fold: int) -> Iterator[Entry]:
        columns, rows = _read_rows(path)
        missing = {"file", "emotion"} - set(columns)
        if missing:
            raise InputError(
                f"{path} has no column {' or '.join(sorted(missing))}, only "
                f"{', '.join(columns)}: file and emotion are required; identity, split and "
                "votes_<emotion> are optional"
            )
        # Read twice, since the rows of a large table take much more memory than the file.
        files, has_splits = list[str](), False
        for row in rows:
            files.append(row["file"])
            has_splits |= bool(row.get("split"))
        voted = [name for name in columns if name.startswith(VOTES)]
        has_parts = not {*_SPAN, *_REGION}.isdisjoint(columns)
        locate = _locator(path, files[:: max(len(files) // 100, 1)])
        del files
        for row in _read_rows(path)[1]:
            person = row.get("person", "")
            split, identity = row.get("split", ""), row.get("identity") or person
            problem = "no split, unlike others" if has_splits and not split else ""
            votes, span_s, region = dict[str, float](), None, None
            try:
                votes = parse_votes({name[len(VOTES) :]: row[name] for name in voted})
                if has_parts:
                    span_s, region = _span(row), _region(row)
            except InputError as error:
                problem = str(error)
            labels = row["emotion"], split, identity, votes, problem
            yield Entry(locate(row["file"]), *labels, span_s, person, region)


def _read_rows(path: Path) -> tuple[list[str], Iterator[dict[str, str]]]:
    """Read a table whose columns may be written in capitals."""
    columns, rows = read_rows(path)
    lowered = [name.lower() for name in columns]
    return lowered, (dict(zip(lowered, row.values(), strict=True)) for row in rows)


def _span(row: Mapping[str, str]) -> tuple[float, float] | None:
    """Return when the emotion starts and ends; None if the row does not say."""
    start, end = (row.get(name, "") for name in _SPAN)
    if not start and not end:
        return None
    start_s, end_s = _number(start or "0", "start_s"), _number(end or "inf", "end_s")
    if not 0 <= start_s < end_s:
        raise InputError(f"it lasts from {start} to {end} s but must end after it starts")
    return start_s, end_s


def _region(row: Mapping[str, str]) -> tuple[float, float, float, float] | None:
    """Return where the person is; None if the row does not say."""
    if not all(row.get(name) for name in _REGION):
        return None
    x1, y1, x2, y2 = (_number(row[name], name) for name in _REGION)
    return x1, y1, x2, y2


def _number(cell: str, name: str) -> float:
    try:
        value = float(cell.replace(",", "."))
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise InputError(f"{name} is {cell!r} but must be a number")
    return value


def _locator(table: Path, names: Sequence[str]) -> Callable[[str], str]:
    """Return a function from a file name in the table to its path.

    The path lies in the folder or archive that holds most of these files.
    """
    sample = list(map(_slashes, names))
    folders = [table.parent, *sorted(item for item in table.parent.iterdir() if item.is_dir())]
    counts = [sum(exists(folder / name) for name in sample) for folder in folders]
    archives = sorted(table.parent.glob("*.zip"))
    members = [zip_members(str(archive)) for archive in archives]
    in_archives = [sum(name in names for name in sample) for names in members]
    if max(in_archives, default=0) > max(counts):
        archive = archives[in_archives.index(max(in_archives))]
        return lambda name: f"{archive}!{_slashes(name)}"
    folder = str(folders[counts.index(max(counts))])
    return lambda name: path_in(folder, _slashes(name))


def _slashes(name: str) -> str:
    """Return a path as written on Windows with the slashes that every system reads."""
    return name.replace("\\", "/")
