"""Track faces: join detections over time, and align the face in each frame.

The last step of the video room: its tracks, aligned crops with their times, are ready to be cut
into clips. Detections in neighbouring frames are matched so that the total overlap of their boxes
is largest (Hungarian algorithm, as in SORT, Bewley et al., 2016).
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
from m3dfel.video.cuts import CutFinder
from m3dfel.video.decode import Frame
from m3dfel.video.defaults import SEARCH_EVERY
from m3dfel.video.faces import Detection, FaceDetector
from m3dfel.video.follow import MIN_OVERLAP, FaceFinder, box_overlaps

# Landmarks are smoothed with a Gaussian of this standard deviation, over a few frames on each side;
# more where faces are followed, since there the detector sees them at fewer pixels.
_SMOOTH_S = 0.04
_SMOOTH_FOLLOWED_S = 0.05
_REACH = 2

_Detections = tuple[Frame, dict[int, Detection]]


@dataclass(frozen=True, eq=False)
class Track:
    """One face over T frames, which need not be consecutive.

    Attributes:
        face: its number, from 1, in order of appearance.
        times_s: float64 (T,), seconds.
        indices: int64 (T,), frame numbers in the source.
        boxes: float32 (T, 4), left, top, right, bottom in pixels.
        scores: float32 (T,), from 0 to 1.
        landmarks: float32 (T, 5, 2), pixels, smoothed over neighbouring frames.
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
    """Gives every detection the number of its face, frame by frame.

    A face is recognised by its position alone: after more than `max_gap_s` without a detection, or
    after a jump to another position, it gets a new number.

    Args:
        max_gap_s: seconds without a detection after which a face loses its number.
    """

    def __init__(self, max_gap_s: float = 0.5) -> None:
        self.max_gap_s = max_gap_s
        self._last_seen: dict[int, tuple[float, Detection]] = {}
        self._faces = 0

    def forget(self) -> None:
        """Forget all faces, as after a cut: the next ones get new numbers."""
        self._last_seen = {}

    def update(self, frame: Frame, detections: Sequence[Detection]) -> list[tuple[int, Detection]]:
        """Return each detection with the number of its face, in the same order.

        Frames must come in the order of their times.
        """
        self._last_seen = {
            face: (time_s, detection)
            for face, (time_s, detection) in self._last_seen.items()
            if frame.time_s - time_s <= self.max_gap_s
        }
        known = self._match(detections)
        numbered = []
        for i, detection in enumerate(detections):
            face = known[i] if i in known else self._new_face()
            self._last_seen[face] = (frame.time_s, detection)
            numbered.append((face, detection))
        return numbered

    def _match(self, detections: Sequence[Detection]) -> dict[int, int]:
        """Return the face of every detection that overlaps with a face seen recently, by index."""
        if not detections or not self._last_seen:
            return {}
        faces = list(self._last_seen)
        overlaps = box_overlaps(
            np.stack([detection.box for detection in detections]),
            np.stack([detection.box for _, detection in self._last_seen.values()]),
        )
        # Pairs with too little overlap must not influence how the others are matched.
        overlaps[overlaps < MIN_OVERLAP] = 0
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
    search_every: int = SEARCH_EVERY,
) -> list[Track]:
    """Return every face of a video as a track of aligned crops.

    The frames are read once, and only the crops are kept: 3·size² bytes for each face and frame,
    about 57 MB a minute at 25 frames per second and size 112. A face that leaves and comes back is
    a new track, and a cut to another shot ends all tracks.

    Args:
        frames: in the order of their times.
        detector: finds the faces in a frame.
        size: S, side of the crops in pixels.
        zoom: enlarge the middle 1/zoom of the template's width and height to fill the crop.
        max_gap_s: seconds without a detection after which a track ends.
        min_frames: shorter tracks count as false detections and are left out, unless the video
            itself is shorter.
        search_every: search the whole frame for faces every so many frames, or every `max_gap_s`
            if that is sooner; in between, known faces are followed, which takes a tenth of the
            time. 1 searches every frame.
    """
    finder = FaceFinder(detector, search_every, max_gap_s)
    smooth_s = _SMOOTH_FOLLOWED_S if finder.follows else _SMOOTH_S
    detected = _detect(frames, finder, FaceTracker(max_gap_s))
    tracks: dict[int, list[_FaceInFrame]] = defaultdict(list)
    count = 0
    for (frame, faces), neighbours in _with_neighbours(detected):
        count += 1
        for face, detection in faces.items():
            landmarks = _smooth_landmarks(face, frame.time_s, neighbours, smooth_s)
            crop = align_face(frame.image, landmarks, size, zoom)
            smooth = replace(detection, landmarks=landmarks)
            tracks[face].append(_FaceInFrame(frame.index, frame.time_s, smooth, crop))
    kept = [track for track in tracks.values() if len(track) >= min(min_frames, count)]
    return [_track(number, track) for number, track in enumerate(kept, start=1)]


def _detect(
    frames: Iterable[Frame], finder: FaceFinder, tracker: FaceTracker
) -> Iterator[_Detections]:
    """Yield each frame with its faces by number; a cut to another shot starts anew."""
    starts_shot = CutFinder()
    for frame in frames:
        if starts_shot(frame.image):
            finder.forget()
            tracker.forget()
        yield frame, dict(tracker.update(frame, finder(frame)))


def _with_neighbours(
    frames: Iterable[_Detections],
) -> Iterator[tuple[_Detections, list[_Detections]]]:
    """Yield each frame together with its neighbours before and after, and itself among them."""
    window: deque[_Detections | None] = deque([None] * (2 * _REACH + 1), maxlen=2 * _REACH + 1)
    for item in chain(frames, repeat(None, _REACH)):
        window.append(item)
        middle = window[_REACH]
        if middle is not None:
            yield middle, [neighbour for neighbour in window if neighbour is not None]


def _smooth_landmarks(
    face: int, time_s: float, neighbours: Sequence[_Detections], smooth_s: float
) -> npt.NDArray[np.float32]:
    """Return a face's landmarks at a time, averaged over the neighbouring frames with a Gaussian.

    The detector's landmarks jitter by a hundredth of the face's width. Averaging reduces the
    difference between neighbouring crops by a third, and since it is symmetric, it does not lag
    behind a moving head.
    """
    timed = [(frame.time_s, faces[face].landmarks) for frame, faces in neighbours if face in faces]
    offsets = np.array([other_s for other_s, _ in timed]) - time_s
    weights = np.exp(-0.5 * (offsets / smooth_s) ** 2)
    landmarks = np.average([points for _, points in timed], axis=0, weights=weights)
    return landmarks.astype(np.float32)


@dataclass(frozen=True, eq=False)
class _FaceInFrame:
    """What is kept of a face in a frame: not the frame's image, which would fill the memory."""

    index: int
    time_s: float
    detection: Detection
    crop: npt.NDArray[np.uint8]


def _track(face: int, frames: Sequence[_FaceInFrame]) -> Track:
    return Track(
        face=face,
        times_s=np.array([frame.time_s for frame in frames], dtype=np.float64),
        indices=np.array([frame.index for frame in frames], dtype=np.int64),
        boxes=np.stack([frame.detection.box for frame in frames]),
        scores=np.array([frame.detection.score for frame in frames], dtype=np.float32),
        landmarks=np.stack([frame.detection.landmarks for frame in frames]),
        crops=np.stack([frame.crop for frame in frames]),
    )
