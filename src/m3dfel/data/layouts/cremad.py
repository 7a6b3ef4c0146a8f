"""CREMA-D (Cao et al., IEEE Trans. Affective Computing 2014), in the layout of its repository.

Whole scenes of 91 actors in `VideoFlash/<actor>_<sentence>_<emotion>_<level>.flv`, 7,442 of them.
What some ten people each saw in the face alone is in `tabulatedVotes.csv`, here or in
`processedResults/`: the rows whose number starts with 2 (1 is the voice alone, 3 both). The label
is the emotion with most votes; of those that share first place, the one that was acted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from m3dfel.data.layouts import LAYOUTS, Entry, Layout, parse_votes
from m3dfel.data.tables import read_rows
from m3dfel.errors import InputError

_TABLES = ("processedResults/tabulatedVotes.csv", "tabulatedVotes.csv")
_FACE_ONLY = "2"
_VOTES = {
    "A": "anger",
    "D": "disgust",
    "F": "fear",
    "H": "happiness",
    "N": "neutral",
    "S": "sadness",
}


@LAYOUTS.register("CREMA-D")
class CremaD(Layout):
    """The clips of CREMA-D with the votes on the face alone; no official folds."""

    expects = "a folder with VideoFlash/ and tabulatedVotes.csv"
    scenes = True

    @staticmethod
    def recognizes(path: Path) -> bool:
        return (path / "VideoFlash").is_dir()

    @staticmethod
    def read(path: Path, fold: int) -> Iterator[Entry]:
        votes = _read_votes(path)
        for video in sorted((path / "VideoFlash").glob("*.flv")):
            actor, _, acted, *_ = f"{video.stem}___".split("_")
            counts = votes.get(video.stem)
            if counts is None:
                yield Entry(str(video), acted, "", actor, problem="not in tabulatedVotes.csv")
                continue
            most = [word for word in counts if counts[word] == max(counts.values())]
            emotion = next((word for word in most if acted[:1] == word[:1].upper()), most[0])
            tie = f"as many annotators chose {' and '.join(most)}" if len(most) > 1 else ""
            problem = "" if acted[:1] == emotion[:1].upper() else tie
            yield Entry(str(video), emotion, "", actor, counts, problem)


def _read_votes(root: Path) -> dict[str, Mapping[str, float]]:
    """Return the votes on the face alone: from each clip to those for each emotion."""
    file = next((root / name for name in _TABLES if (root / name).is_file()), None)
    if file is None:
        raise InputError(
            f"{root} has no {' or '.join(_TABLES)}: copy it from the repository of CREMA-D"
        )
    columns, rows = read_rows(file)
    missing = {*_VOTES, "fileName"} - set(columns)
    if missing:
        raise InputError(f"{file} has no column {' or '.join(sorted(missing))}: copy it again")
    return {
        row["fileName"]: parse_votes({word: row[letter] for letter, word in _VOTES.items()})
        for row in rows
        if row[columns[0]].startswith(_FACE_ONLY)
    }
