"""Find out which tracks of a video show the same person.

After the `Recognizer` has followed every face. A face that was hidden, left, or was cut away is a
new track when it comes back. Two tracks are joined if place, size and appearance agree; in doubt,
they stay two persons, since nothing in a table shows that a join is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from m3dfel.errors import InputError, first_line
from m3dfel.files import csv_separator
from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.appearance import AppearanceEncoder, Crops, Vectors
from m3dfel.report.recognized import BOX
from m3dfel.video.align import align_face
from m3dfel.video.faces import Detection, FaceDetector, WindowDetector
from m3dfel.video.follow import closest_detection, window_around
from m3dfel.video.sources import Source, read_frames, source_path

# Frames of a track that are looked at: the first, the last, and others evenly between.
_LOOKS = 8
# Boxes of the same person lie at most so many sides apart, and differ at most so much in size.
_MAX_DISTANCE = 1.0
_MAX_GROWTH = 1.5


def join_tracks(
    prediction: Prediction, source: Source, detector: FaceDetector, encoder: AppearanceEncoder
) -> Prediction:
    """Return a prediction whose `person` says which faces are the same person.

    Reads the frames of the source once more, if two tracks could be one person at all. An iterator
    cannot be read twice: each of its faces is a person.

    Args:
        prediction: of the source, with or without known persons.
        source: the video.
        detector: finds the landmarks of the faces again.
        encoder: says how much two faces are alike.
    """
    tracks = _tracks(prediction)
    possible = [(a, b) for a, b in combinations(tracks, 2) if _can_be_one(tracks[a], tracks[b])]
    persons = {face: face for face in tracks}
    if possible and not isinstance(source, Iterator):
        seen = {face: tracks[face] for pair in possible for face in pair}
        vectors = _encode(seen, source, detector, encoder)
        similarities = {
            (a, b): float((vectors[a] @ vectors[b].T).max())
            for a, b in possible
            if len(vectors[a]) and len(vectors[b])
        }
        for (a, b), similarity in sorted(similarities.items(), key=lambda item: -item[1]):
            if similarity >= encoder.min_similarity:
                _join(persons, a, b, tracks)
    order = list(dict.fromkeys(persons[face] for face in sorted(tracks)))
    return _with_persons(prediction, {face: order.index(persons[face]) + 1 for face in tracks})


@dataclass(frozen=True)
class _Track:
    """Where and when a face is seen.

    Attributes:
        first_s, last_s: when, in seconds.
        first, last: the box in the first and in the last frame, in pixels.
        looks: the box in some frames where the face can be read, by number of the frame.
    """

    first_s: float
    last_s: float
    first: npt.NDArray[np.float64]
    last: npt.NDArray[np.float64]
    looks: dict[int, npt.NDArray[np.float64]]


def _tracks(prediction: Prediction) -> dict[int, _Track]:
    tracks = {}
    for _, rows in prediction.frames.groupby("track"):
        boxes, times_s = rows[BOX].to_numpy(float), rows["time_s"].to_numpy(float)
        readable = np.flatnonzero(rows["mark"].to_numpy(str) == "")
        picked = np.unique(np.linspace(0, len(readable) - 1, _LOOKS).round().astype(int))
        indices = readable[picked] if len(readable) else readable
        looks = {int(rows["frame"].iloc[i]): boxes[i] for i in indices}
        number = int(rows["track"].iloc[0])
        tracks[number] = _Track(times_s[0], times_s[-1], boxes[0], boxes[-1], looks)
    return tracks


def _can_be_one(a: _Track, b: _Track) -> bool:
    """Return whether two tracks are never in the picture together, and agree in place and size."""
    if _overlap(a, b):
        return False
    before, after = (a.last, b.first) if a.last_s < b.first_s else (b.last, a.first)
    sides = [np.sqrt(np.prod(box[2:] - box[:2])) for box in (before, after)]
    distance = np.linalg.norm((before[:2] + before[2:] - after[:2] - after[2:]) / 2)
    growth = max(sides) / max(min(sides), 1e-9)
    return bool(distance <= _MAX_DISTANCE * np.mean(sides) and growth <= _MAX_GROWTH)


def _overlap(a: _Track, b: _Track) -> bool:
    return a.first_s <= b.last_s and b.first_s <= a.last_s


def _join(persons: dict[int, int], a: int, b: int, tracks: Mapping[int, _Track]) -> None:
    """Make two faces one person, unless any of their tracks are in the picture together."""
    ours, theirs = ([f for f in persons if persons[f] == persons[face]] for face in (a, b))
    if ours == theirs or any(_overlap(tracks[f], tracks[g]) for f in ours for g in theirs):
        return
    for face in theirs:
        persons[face] = persons[a]


def _encode(
    tracks: Mapping[int, _Track],
    source: Source,
    detector: FaceDetector,
    encoder: AppearanceEncoder,
) -> dict[int, Vectors]:
    """Return what each track looks like: (K, D), K = 0 if the face is not found again."""
    crops: dict[int, list[Crops]] = {face: [] for face in tracks}
    last = max((max(track.looks, default=-1) for track in tracks.values()), default=-1)
    for frame in read_frames(source):
        for face, track in tracks.items():
            if frame.index in track.looks:
                found = _find(detector, frame.image, track.looks[frame.index])
                if found:
                    crops[face].append(
                        align_face(frame.image, found.landmarks, encoder.size, encoder.zoom)
                    )
        if frame.index >= last:  # not later: a file that is cut off would say so once more
            break
    return {
        face: encoder(np.stack(of_face)) if of_face else np.empty((0, 1), np.float32)
        for face, of_face in crops.items()
    }


def _find(
    detector: FaceDetector, image: npt.NDArray[np.uint8], box: npt.NDArray[np.float64]
) -> Detection | None:
    """Return the face in a box; None if the detector does not find it."""
    expected = Detection(box.astype(np.float32), 1.0, np.empty((5, 2), np.float32))
    if isinstance(detector, WindowDetector):
        return closest_detection(expected, detector.look(image, window_around(expected.box)))
    return closest_detection(expected, detector(image))


# --- by hand -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PersonMap:
    """Who is who, decided by hand.

    Attributes:
        path: the table it comes from, for messages.
        persons: the person of each face, by video (name of the file or path) and face.
    """

    path: str
    persons: dict[str, dict[int, int]]

    @classmethod
    def read(cls, path: str | Path) -> PersonMap:
        """Read a CSV file with the columns `video`, `face` and `person`.

        Raises:
            InputError: the file cannot be read, or has other columns or values.
        """
        try:
            kinds = {"video": str, "track": int, "person": int}
            table = pd.read_csv(path, sep=csv_separator(path), usecols=list(kinds), dtype=kinds)
            rows = table[list(kinds)].to_numpy().tolist()
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"{path} cannot be read as a table of persons ({first_line(error)}): it needs the "
                "columns video, track, person, with whole numbers for tracks and persons"
            ) from error
        persons: dict[str, dict[int, int]] = {}
        for video, face, person in rows:
            persons.setdefault(video, {})[face] = person
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
        tracks = _tracks(prediction)
        unknown = sorted(chosen.keys() - tracks.keys())
        if unknown:
            raise InputError(
                f"{self.path} names track {unknown[0]} of {name}, but its tracks are "
                f"{', '.join(map(str, tracks)) or 'none'}"
            )
        pairs = prediction.clips[["track", "person"]].drop_duplicates().to_numpy().tolist()
        persons = dict(pairs) | chosen
        for a, b in combinations(tracks, 2):
            if persons[a] == persons[b] and _overlap(tracks[a], tracks[b]):
                raise InputError(
                    f"{self.path} makes tracks {a} and {b} of {name} one person, but both are in "
                    "the picture at the same time"
                )
        return _with_persons(prediction, persons)


def _with_persons(prediction: Prediction, persons: Mapping[int, int]) -> Prediction:
    """Return a prediction whose faces belong to these persons."""
    clips, faces = (
        table.assign(person=table["track"].map(persons).astype(int))
        for table in (prediction.clips, prediction.frames)
    )
    return replace(prediction, clips=clips, frames=faces)


# --- one face only -------------------------------------------------------------------------------


def only_person(prediction: Prediction, person: int) -> Prediction:
    """Return the part of a prediction that is about one person; without the person, a note."""
    persons = prediction.clips["person"].unique().tolist()
    faces = prediction.clips["track"][prediction.clips["person"] == person].unique().tolist()
    there = ", ".join(map(str, persons)) or "none"
    note = f"person {person} is not in {prediction.source}: the persons in it are {there}"
    return _only_faces(prediction, faces, note)


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
    faces = []
    for face, rows in prediction.frames.groupby("track"):
        x, y = rows[["x1", "x2"]].to_numpy().mean(), rows[["y1", "y2"]].to_numpy().mean()
        if left <= x <= right and top <= y <= bottom:
            faces.append(face)
    words = ",".join(f"{number:g}" for number in region)
    return _only_faces(
        prediction, faces, f"no face was found in the region {words} of {prediction.source}"
    )


def _only_faces(prediction: Prediction, faces: Sequence[object], note: str) -> Prediction:
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
