"""DFEW (Jiang et al., ACM MM 2020), in the layout in which its authors distribute it.

Frames are in `Clip/clip_224x224/<5 digits>/`, in some copies with `clip_224x224` twice; labels are
in `EmoLabel_DataSplit/{train,test}(single-labeled)/set_<fold>.csv`, lines `order,label` with
labels from 1 to 7.

How the ten annotators of each clip voted is in `Annotation/annotation.xlsx`. The votes are read
from a copy saved as `annotation.csv`, beside it or in the root folder. That table is known here
only from other code that reads it: a row per clip, single-labeled or not, with the columns
`order`, `1happy`, `2sad`, `3neutral`, `4angry`, `5surprise`, `6disgust`, `7fear` and `label` (0: no
single label). Therefore columns are found by their words, in any order and with any digits before
them, and a clip whose label is not the emotion with most votes is a problem. Whether the votes of
every row sum to ten is not known, and not required; the column `label` is not read.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from m3dfel.data.layouts import LAYOUTS, Entry, Layout, label_lines, parse_votes
from m3dfel.data.tables import read_rows
from m3dfel.emotions import EMOTIONS, parse_emotion
from m3dfel.errors import InputError

_VOTES = ("Annotation/annotation.csv", "annotation.csv")


@LAYOUTS.register("DFEW")
class DFEW(Layout):
    """The five folds of DFEW's single-labeled clips."""

    folds = 5
    expects = "a folder with EmoLabel_DataSplit/"

    @staticmethod
    def recognizes(path: Path) -> bool:
        return (path / "EmoLabel_DataSplit").is_dir()

    @staticmethod
    def read(path: Path, fold: int) -> Iterator[Entry]:
        clips = path / "Clip" / "clip_224x224"
        if (clips / "clip_224x224").is_dir():
            clips = clips / "clip_224x224"
        table = next((path / name for name in _VOTES if (path / name).is_file()), None)
        votes = _read_votes(table) if table else {}
        for split in ("train", "test"):
            labels = path / "EmoLabel_DataSplit" / f"{split}(single-labeled)" / f"set_{fold}.csv"
            for number, line in label_lines(labels, header=True):
                row = next(csv.reader([line]))
                if len(row) < 2:
                    raise InputError(f"{labels} line {number} is {line!r}, expected `order,label`")
                clip, emotion = row[0].strip().zfill(5), _emotion(row[1])
                yield _entry(str(clips / clip), emotion, split, votes.get(clip, {}))


def _emotion(label: str) -> str:
    """Return the emotion of a number from 1 to 7; anything else stays as it is."""
    numbers = {str(number): emotion for number, emotion in enumerate(EMOTIONS, 1)}
    return numbers.get(label.strip(), label)


def _entry(path: str, emotion: str, split: str, cells: Mapping[str, str]) -> Entry:
    """Return a clip with its votes, or with the problem if they do not fit its label."""
    try:
        votes = parse_votes(cells)
    except InputError as error:
        return Entry(path, emotion, split, problem=str(error))
    most = max(votes, key=lambda word: votes[word], default=emotion)
    if emotion in EMOTIONS and votes and votes[most] > votes.get(emotion, 0):
        problem = f"labeled {emotion}, but most annotators chose {most}: correct annotation.csv"
        return Entry(path, emotion, split, problem=problem)
    return Entry(path, emotion, split, votes=votes)


def _read_votes(file: Path) -> dict[str, dict[str, str]]:
    """Return the cells with the votes of each clip: from its five digits, by emotion.

    Raises:
        InputError: the file is not a table with a column for the order and each of the emotions.
    """
    names, rows = read_rows(file)
    columns = {_word(name): name for name in names}
    missing = [word for word in ("order", *EMOTIONS) if word not in columns]
    if missing:
        raise InputError(
            f"{file} has no column {' or '.join(missing)}, only {', '.join(columns.values())}: "
            "rename the file to use DFEW without votes"
        )
    return {
        _five_digits(row[columns["order"]], file): {word: row[columns[word]] for word in EMOTIONS}
        for row in rows
    }


def _five_digits(order: str, file: Path) -> str:
    try:
        return f"{int(float(order)):05d}"
    except ValueError as error:
        raise InputError(f"{file}: the order is {order!r} but must be a number") from error


def _word(column: str) -> str:
    """Return the emotion that the name of a column means, such as `1happy`, or its own word."""
    word = re.sub(r"^[\d\W_]+", "", column).strip().lower()
    try:
        return parse_emotion(word)
    except InputError:
        return word
