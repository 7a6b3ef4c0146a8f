"""BORIS: exported events, made of whole scenes.

Both exports are read: *tabular events*, in which a behavior has a row for its start and one for its
stop, as `m3dfel predict --formats boris` writes them, and *aggregated events*, with a row for both.
The behavior is the emotion and the subject the person; other behaviors are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from m3dfel.data.layouts import LAYOUTS, Entry, Layout, find_media, person_in
from m3dfel.data.tables import read_rows, read_text
from m3dfel.errors import InputError

_NOBODY = "no focal subject"


@LAYOUTS.register("BORIS")
class Boris(Layout):
    """A table of events, with commas or tabs."""

    expects = "events that BORIS exported as CSV or TSV"
    scenes = True

    @staticmethod
    def recognizes(path: Path) -> bool:
        if not path.is_file() or path.suffix.lower() not in (".csv", ".tsv"):
            return False
        try:
            heading = read_text(path).partition("\n")[0]
        except InputError:
            return False
        return "Behavior" in heading and ("Start (s)" in heading or "Time" in heading)

    @staticmethod
    def read(path: Path, fold: int) -> Iterator[Entry]:
        columns, rows = read_rows(path)
        if "Start (s)" in columns:
            for row in rows:
                if row.get("Behavior type", "STATE") != "POINT":
                    yield _entry(path, row, row["Start (s)"], row.get("Stop (s)", ""))
            return
        open_since: dict[tuple[str, ...], str] = {}
        for row in rows:
            kind = row.get("Behavior type") or row.get("Status", "")
            event = tuple(row.get(name, "") for name in ("Observation id", "Subject", "Behavior"))
            if kind == "START":
                open_since[event] = row["Time"]
            elif kind == "STOP":
                yield _entry(path, row, open_since.pop(event, ""), row["Time"])
        for (observation, _, behavior), start in open_since.items():
            problem = f"{behavior} starts at {start} s in {observation} but never stops"
            yield Entry(str(path), behavior, "", problem=problem)


def _entry(path: Path, row: Mapping[str, str], start: str, end: str) -> Entry:
    media = row.get("Media file name") or row.get("Media file path") or row.get("Source", "")
    # As in `player #1:film.mp4`, and several files of one observation one after the other.
    names = [name.strip() for name in re.sub(r"player #\d+:", "", media).split(";")]
    video, emotion = find_media(path, names), row["Behavior"]
    subject = row.get("Subject", "")
    person = "" if subject.lower() == _NOBODY else person_in(Path(video), subject)
    try:
        span_s = float(start.replace(",", ".")), float(end.replace(",", "."))
    except ValueError:
        return Entry(video, emotion, "", problem=f"{emotion} has no start or no end")
    if span_s[0] >= span_s[1]:
        return Entry(video, emotion, "", problem=f"{emotion} ends at {end} s, before it starts")
    return Entry(video, emotion, "", person, span_s=span_s, person=person)
