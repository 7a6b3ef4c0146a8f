"""Persons: which tracks are whose, decided by hand, and the part of a prediction about one of them.

Recognition finds out which tracks show the same person (`m3dfel.recognition.persons`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from m3dfel.data.tables import read_rows
from m3dfel.errors import InputError, first_line
from m3dfel.predictions.prediction import Prediction
from m3dfel.report.recognized import BOX
from m3dfel.video.sources import source_path


@dataclass(frozen=True)
class Extent:
    """When and where a track begins and ends.

    Attributes:
        first_s, last_s: when, in seconds.
        first, last: (4,), the box in the first and in the last frame, in pixels.
    """

    first_s: float
    last_s: float
    first: npt.NDArray[np.float64]
    last: npt.NDArray[np.float64]

    def overlaps(self, other: Extent) -> bool:
        """Return whether two tracks are in the picture at the same time."""
        return self.first_s <= other.last_s and other.first_s <= self.last_s


def track_extents(prediction: Prediction) -> dict[int, Extent]:
    """Return the extent of each track, by its number."""
    extents = {}
    for track, rows in prediction.frames.groupby("track"):
        boxes, times_s = rows[BOX].to_numpy(float), rows["time_s"].to_numpy(float)
        extents[int(str(track))] = Extent(times_s[0], times_s[-1], boxes[0], boxes[-1])
    return extents


def with_persons(prediction: Prediction, persons: Mapping[int, int]) -> Prediction:
    """Return a prediction whose tracks belong to these persons."""
    clips, frames = (
        table.assign(person=table["track"].map(persons).astype(int))
        for table in (prediction.clips, prediction.frames)
    )
    return replace(prediction, clips=clips, frames=frames)


# --- by hand -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PersonMap:
    """Who is who, decided by hand.

    Attributes:
        path: the table it comes from, for messages.
        persons: the person of each track, by video (name of the file or path) and track.
    """

    path: str
    persons: dict[str, dict[int, int]]

    @classmethod
    def read(cls, path: str | Path) -> PersonMap:
        """Read a CSV file with the columns `video`, `track` and `person`.

        Raises:
            InputError: the file cannot be read, or has other columns or values.
        """
        persons: dict[str, dict[int, int]] = {}
        try:
            columns, rows = read_rows(Path(path))
            if missing := [n for n in ("video", "track", "person") if n not in columns]:
                raise InputError(f"it has no column {missing[0]}")
            for row in rows:
                tracks = persons.setdefault(row["video"], {})
                tracks[int(row["track"])] = int(row["person"])
        except (InputError, ValueError) as error:
            raise InputError(
                f"{path} cannot be read as a table of persons ({first_line(error)}): it needs the "
                "columns video, track, person, with whole numbers for tracks and persons"
            ) from error
        return cls(str(path), persons)

    def of(self, source: str) -> dict[int, int]:
        """Return the person of each face of a video that the map names."""
        return self.persons.get(source) or self.persons.get(source_path(source).name) or {}

    def apply(self, prediction: Prediction) -> Prediction:
        """Return a prediction with the persons of this map; other faces keep theirs.

        Raises:
            InputError: the video has no such face, or one person would be in the picture twice.
        """
        name = prediction.source
        chosen = self.of(name)
        tracks = track_extents(prediction)
        unknown = sorted(chosen.keys() - tracks.keys())
        if unknown:
            raise InputError(
                f"{self.path} names track {unknown[0]} of {name}, but its tracks are "
                f"{', '.join(map(str, tracks)) or 'none'}"
            )
        pairs = prediction.clips[["track", "person"]].drop_duplicates().to_numpy().tolist()
        persons = dict(pairs) | chosen
        for a, b in combinations(tracks, 2):
            if persons[a] == persons[b] and tracks[a].overlaps(tracks[b]):
                raise InputError(
                    f"{self.path} makes tracks {a} and {b} of {name} one person, but both are in "
                    "the picture at the same time"
                )
        return with_persons(prediction, persons)


# --- one face only -------------------------------------------------------------------------------


def only_person(prediction: Prediction, person: int) -> Prediction:
    """Return the part of a prediction that is about one person; without the person, a note."""
    persons = prediction.clips["person"].unique().tolist()
    faces = prediction.clips["track"][prediction.clips["person"] == person].unique().tolist()
    there = ", ".join(map(str, persons)) or "none"
    note = f"person {person} is not in {prediction.source}: the persons in it are {there}"
    return _only_tracks(prediction, faces, note)


def parse_region(words: str) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom in pixels from `x1,y1,x2,y2`.

    Raises:
        InputError: it is not four numbers, or an empty region.
    """
    try:
        left, top, right, bottom = map(float, words.split(","))
    except ValueError:
        left = top = right = bottom = np.nan
    if not (left < right and top < bottom):
        raise InputError(
            f"the region is {words!r} but must be x1,y1,x2,y2 in pixels with x1 < x2 and y1 < y2, "
            "such as 0,0,320,360"
        )
    return left, top, right, bottom


def only_region(prediction: Prediction, region: Sequence[float]) -> Prediction:
    """Return the part of a prediction that is about faces in a region; without any, a note.

    Args:
        prediction: of a video.
        region: left, top, right and bottom in pixels. A face belongs to it if the center of its
            box does, on average over its frames.
    """
    left, top, right, bottom = region
    mean = prediction.frames.groupby("track")[BOX].mean()
    x, y = (mean["x1"] + mean["x2"]) / 2, (mean["y1"] + mean["y2"]) / 2
    faces = mean.index[x.between(left, right) & y.between(top, bottom)].tolist()
    words = ",".join(f"{number:g}" for number in region)
    return _only_tracks(
        prediction, faces, f"no face was found in the region {words} of {prediction.source}"
    )


def _only_tracks(prediction: Prediction, faces: Sequence[object], note: str) -> Prediction:
    if prediction.clips.empty:
        return prediction
    clips = prediction.clips[prediction.clips["track"].isin(faces)]
    rows = pd.Series(range(len(clips)), index=clips.index, dtype=int)
    instances = prediction.instances[prediction.instances["track"].isin(faces)]
    return replace(
        prediction,
        clips=clips.reset_index(drop=True),
        instances=instances.assign(clip=instances["clip"].map(rows).astype(int)).reset_index(
            drop=True
        ),
        frames=prediction.frames[prediction.frames["track"].isin(faces)].reset_index(drop=True),
        note=prediction.note if len(clips) else note,
    )
