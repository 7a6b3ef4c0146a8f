"""One face through time: detections joined into tracks, each frame of a track aligned.

The last step of the video room: what leaves here is, for every face, a row of aligned crops with
their times, ready to be cut into clips. Detections of neighbouring frames are joined where their
boxes overlap most in sum (Hungarian method, as in SORT, Bewley et al., 2016).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from m3dfel.video.align import align_face
from m3dfel.video.decode import Frame
from m3dfel.video.faces import Detection, FaceDetector

# Overlap (IoU) below which two boxes are two faces.
_LEAST_OVERLAP = 0.3
# Landmarks are averaged over a frame's time at 25 frames per second, and this many to either side.
_STEADYING_S = 0.04
_REACH = 2

_Seen = tuple[Frame, dict[int, Detection]]


@dataclass(frozen=True, eq=False)
class Track:
    """One face through T frames, which need not be consecutive.

    Attributes:
        face: its number, from 1 in order of appearance.
        times_s: float64 (T,), seconds.
        indices: int64 (T,), frame numbers in the source.
        boxes: float32 (T, 4), left, top, right, bottom in pixels.
        scores: float32 (T,), from 0 to 1.
        landmarks: float32 (T, 5, 2), pixels, steadied over neighbouring frames.
        crops: uint8 RGB (T, S, S, 3), aligned.
    """

    face: int
    times_s: npt.NDArray[np.float64]
    indices: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    landmarks: npt.NDArray[np.float32]
    crops: npt.NDArray[np.uint8]


class FaceTracker:
    """Gives every detection the number of its face, frame after frame.

    A face is known by its place alone: one that is away for longer than `max_gap_s`, or jumps to
    another place, comes back under a new number.

    Args:
        max_gap_s: seconds for which a face may go unseen and keep its number.
    """

    def __init__(self, max_gap_s: float = 0.5) -> None:
        self.max_gap_s = max_gap_s
        self._last_seen: dict[int, tuple[float, Detection]] = {}
        self._faces = 0

    def update(self, frame: Frame, detections: Sequence[Detection]) -> list[tuple[int, Detection]]:
        """Return each detection with its face's number, in the order given.

        Frames must come in order of time.
        """
        self._last_seen = {
            face: (time_s, detection)
            for face, (time_s, detection) in self._last_seen.items()
            if frame.time_s - time_s <= self.max_gap_s
        }
        known = self._recognize(detections)
        numbered = []
        for i, detection in enumerate(detections):
            face = known[i] if i in known else self._new_face()
            self._last_seen[face] = (frame.time_s, detection)
            numbered.append((face, detection))
        return numbered

    def _recognize(self, detections: Sequence[Detection]) -> dict[int, int]:
        """Return the face of every detection that overlaps with one seen of late."""
        if not detections or not self._last_seen:
            return {}
        faces = list(self._last_seen)
        overlaps = _overlaps(
            np.stack([detection.box for detection in detections]),
            np.stack([detection.box for _, detection in self._last_seen.values()]),
        )
        # Pairs that do not overlap enough must not pull others apart: they count as nothing.
        overlaps[overlaps < _LEAST_OVERLAP] = 0
        rows, columns = linear_sum_assignment(overlaps, maximize=True)
        return {int(i): faces[j] for i, j in zip(rows, columns, strict=True) if overlaps[i, j] > 0}

    def _new_face(self) -> int:
        self._faces += 1
        return self._faces


def track_faces(
    frames: Iterable[Frame],
    detector: FaceDetector,
    size: int,
    zoom: float = 1.0,
    max_gap_s: float = 0.5,
    min_frames: int = 3,
) -> list[Track]:
    """Return every face of a video as a track of aligned crops.

    The frames are read once and only the crops are kept: 3·size² bytes a face and frame, about
    57 MB a minute at 25 frames per second and size 112. A face that leaves and comes back is a
    new track.

    Args:
        frames: in order of time.
        detector: finds the faces of a frame.
        size: S, side of the crops in pixels.
        zoom: how much closer than the template the crops look.
        max_gap_s: seconds for which a face may go unseen and stay one track.
        min_frames: shorter tracks are taken for false alarms and left out, unless the video itself
            is shorter.
    """
    tracker = FaceTracker(max_gap_s)
    seen = ((frame, dict(tracker.update(frame, detector(frame.image)))) for frame in frames)
    sightings: dict[int, list[_Sighting]] = defaultdict(list)
    read = 0
    for (frame, found), near in _with_neighbours(seen):
        read += 1
        for face, detection in found.items():
            landmarks = _steadied(face, frame.time_s, near)
            crop = align_face(frame.image, landmarks, size, zoom)
            steady = replace(detection, landmarks=landmarks)
            sightings[face].append(_Sighting(frame.index, frame.time_s, steady, crop))
    kept = [track for track in sightings.values() if len(track) >= min(min_frames, read)]
    return [_track(number, track) for number, track in enumerate(kept, start=1)]


def _with_neighbours(seen: Iterable[_Seen]) -> Iterator[tuple[_Seen, list[_Seen]]]:
    """Yield each frame together with those close before and after it, itself among them."""
    window: deque[_Seen | None] = deque([None] * (2 * _REACH + 1), maxlen=2 * _REACH + 1)
    for item in chain(seen, repeat(None, _REACH)):
        window.append(item)
        middle = window[_REACH]
        if middle is not None:
            yield middle, [neighbour for neighbour in window if neighbour is not None]


def _steadied(face: int, time_s: float, near: Sequence[_Seen]) -> npt.NDArray[np.float32]:
    """Return a face's landmarks, averaged over the frames around with a Gaussian in time.

    The detector's landmarks tremble by a hundredth of the face's width. Averaging takes a third off
    the difference between neighbouring crops, and being the same before and after, it does not
    trail behind a moving head.
    """
    around = [(frame.time_s, found[face].landmarks) for frame, found in near if face in found]
    offsets = np.array([when for when, _ in around]) - time_s
    weights = np.exp(-0.5 * (offsets / _STEADYING_S) ** 2)
    landmarks = np.average([points for _, points in around], axis=0, weights=weights)
    return landmarks.astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Sighting:
    """What stays of a frame: never its image, which would fill the memory."""

    index: int
    time_s: float
    detection: Detection
    crop: npt.NDArray[np.uint8]


def _track(face: int, seen: Sequence[_Sighting]) -> Track:
    return Track(
        face=face,
        times_s=np.array([sighting.time_s for sighting in seen], dtype=np.float64),
        indices=np.array([sighting.index for sighting in seen], dtype=np.int64),
        boxes=np.stack([sighting.detection.box for sighting in seen]),
        scores=np.array([sighting.detection.score for sighting in seen], dtype=np.float32),
        landmarks=np.stack([sighting.detection.landmarks for sighting in seen]),
        crops=np.stack([sighting.crop for sighting in seen]),
    )


def _overlaps(
    boxes: npt.NDArray[np.float32], others: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return the IoU of every box (M, 4) with every other (K, 4): (M, K), from 0 to 1."""
    corner = np.maximum(boxes[:, None, :2], others[None, :, :2])
    opposite = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.prod(np.clip(opposite - corner, 0, None), axis=-1)
    return np.asarray(shared / (_areas(boxes)[:, None] + _areas(others) - shared))


def _areas(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
