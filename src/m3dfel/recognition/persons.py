"""Find out which tracks of a video show the same person.

A face that was hidden, left, or was cut away is a new track when it comes back. Two tracks are
joined if place, size and appearance agree; in doubt, they stay two persons, since nothing in a
table shows that a join is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from m3dfel.predictions.persons import Extent, track_extents, with_persons
from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.appearance import AppearanceEncoder, Crops, Vectors
from m3dfel.video.align import align_face
from m3dfel.video.tracks import TrackedFace

# Crops of a track that are kept at most, beside its newest face.
_SPREAD = 7
# Boxes of the same person lie at most so many sides apart, and differ at most so much in size.
_MAX_DISTANCE = 1.0
_MAX_GROWTH = 1.5


class Portraits:
    """What a track looks like: up to 7 crops, evenly spread over it, and its newest face.

    The newest resembles most the first face of a track that continues this one.

    Args:
        encoder: describes the crops.
    """

    def __init__(self, encoder: AppearanceEncoder) -> None:
        self._encoder = encoder
        self._crops: list[Crops] = []
        self._every, self._readable = 1, 0
        self._newest: TrackedFace | None = None

    def add(self, face: TrackedFace) -> None:
        """Keep the face if it is readable, and a crop of it if its turn has come."""
        if face.mark:
            return
        if self._readable % self._every == 0:
            self._crops.append(self._crop(face))
            if len(self._crops) > _SPREAD:
                self._crops = self._crops[::2]
                self._every *= 2
        self._readable += 1
        self._newest = face

    def vectors(self) -> Vectors:
        """Return the vectors of the crops, (K, D); K is 0 if the face is never readable."""
        if self._newest is None:
            return np.empty((0, 1), np.float32)
        return self._encoder(np.stack([*self._crops, self._crop(self._newest)]))

    def _crop(self, face: TrackedFace) -> Crops:
        landmarks, encoder = face.detection.landmarks, self._encoder
        return align_face(face.frame.image, landmarks, encoder.size, encoder.zoom)


def join_tracks(
    prediction: Prediction, vectors: Mapping[int, Vectors], min_similarity: float
) -> Prediction:
    """Return a prediction whose `person` says which tracks are the same person.

    Args:
        prediction: with or without known persons.
        vectors: (K, D), of each track, as from `Portraits`.
        min_similarity: of the encoder.
    """
    tracks = track_extents(prediction)
    similarities = {
        (a, b): float((vectors[a] @ vectors[b].T).max())
        for a, b in combinations(tracks, 2)
        if len(vectors[a]) and len(vectors[b]) and _can_be_one(tracks[a], tracks[b])
    }
    persons = {track: track for track in tracks}
    for (a, b), similarity in sorted(similarities.items(), key=lambda item: -item[1]):
        if similarity >= min_similarity:
            _join(persons, a, b, tracks)
    order = list(dict.fromkeys(persons[track] for track in sorted(tracks)))
    return with_persons(prediction, {track: order.index(persons[track]) + 1 for track in tracks})


def _can_be_one(a: Extent, b: Extent) -> bool:
    """Return whether two tracks are never in the picture together, and agree in place and size."""
    if a.overlaps(b):
        return False
    before, after = (a.last, b.first) if a.last_s < b.first_s else (b.last, a.first)
    sides = [np.sqrt(np.prod(box[2:] - box[:2])) for box in (before, after)]
    distance = np.linalg.norm((before[:2] + before[2:] - after[:2] - after[2:]) / 2)
    growth = max(sides) / max(min(sides), 1e-9)
    return bool(distance <= _MAX_DISTANCE * np.mean(sides) and growth <= _MAX_GROWTH)


def _join(persons: dict[int, int], a: int, b: int, tracks: Mapping[int, Extent]) -> None:
    """Make two tracks one person, unless any of that person's are in the picture together."""
    ours, theirs = ([t for t in persons if persons[t] == persons[track]] for track in (a, b))
    if ours == theirs or any(
        tracks[one].overlaps(tracks[other]) for one in ours for other in theirs
    ):
        return
    for track in theirs:
        persons[track] = persons[a]
