"""Track faces: join detections over time, and align the face in each frame.

The last step of the video room: its aligned crops with their times are ready to be cut into clips.
It is a stream: a crop leaves as soon as it is known to show a face. Detections in neighboring
frames are matched so that the total overlap of their boxes is largest (Hungarian algorithm, as in
SORT, Bewley et al., 2016).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain, count, repeat

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from m3dfel.video.align import align_face
from m3dfel.video.cuts import CutFinder
from m3dfel.video.decode import Frame
from m3dfel.video.defaults import SEARCH_EVERY
from m3dfel.video.faces import Detection, FaceDetector
from m3dfel.video.follow import MIN_OVERLAP, FaceFinder, box_overlaps, can_follow, interpolated
from m3dfel.video.prefetch import run_ahead
from m3dfel.video.quality import quality_mark

# Landmarks are smoothed with a Gaussian of this standard deviation, over a few frames on each side;
# more where faces are followed, since there the detector sees them at fewer pixels.
_SMOOTH_S = 0.04
_SMOOTH_FOLLOWED_S = 0.05

DETECTED_AHEAD = 24
"""Frames that detection may be ahead of recognition, which now and then takes a long step."""

LOOK_AHEAD = 2
"""Frames after a frame that are needed to smooth its landmarks."""


@dataclass(frozen=True, eq=False)
class Track:
    """One face over T frames, which need not be consecutive.

    Attributes:
        track: its number, from 1, in order of appearance.
        times_s: float64 (T,), seconds.
        indices: int64 (T,), frame numbers in the source.
        boxes: float32 (T, 4), left, top, right, bottom in pixels.
        scores: float32 (T,), from 0 to 1.
        landmarks: float32 (T, 5, 2), pixels, smoothed over neighboring frames.
        crops: uint8 RGB (T, S, S, 3), aligned.
    """

    track: int
    times_s: npt.NDArray[np.float64]
    indices: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    landmarks: npt.NDArray[np.float32]
    crops: npt.NDArray[np.uint8]


class FaceTracker:
    """Gives every detection the number of its face, frame by frame.

    A face is recognized by its position alone: after more than `max_gap_s` without a detection, or
    after a jump to another position, it gets a new number.

    Args:
        max_gap_s: seconds without a detection after which a face loses its number.
    """

    def __init__(self, max_gap_s: float = 0.5) -> None:
        self.max_gap_s = max_gap_s
        self._last_seen: dict[int, tuple[float, Detection]] = {}
        self._faces = 0

    @property
    def known(self) -> frozenset[int]:
        """The numbers of the faces that can still be seen again."""
        return frozenset(self._last_seen)

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
    about 57 MB a minute at 25 frames per second and size 112. `stream_faces` keeps none.

    Args:
        frames: as in `stream_faces`.
        detector: as in `stream_faces`.
        size: as in `stream_faces`.
        zoom: as in `stream_faces`.
        max_gap_s: as in `stream_faces`.
        min_frames: as in `stream_faces`.
        search_every: as in `stream_faces`.
    """
    tracks: dict[int, list[TrackedFace]] = defaultdict(list)
    for tracked in stream_faces(frames, detector, size, zoom, max_gap_s, min_frames, search_every):
        for face in tracked.faces:
            tracks[face.track].append(face)
    return [_track(number, tracks[number]) for number in sorted(tracks)]


def stream_faces(
    frames: Iterable[Frame],
    detector: FaceDetector,
    size: int,
    zoom: float = 1.0,
    max_gap_s: float = 0.5,
    min_frames: int = 3,
    search_every: int = SEARCH_EVERY,
    ahead: int = DETECTED_AHEAD,
) -> Generator[TrackedFrame, None, None]:
    """Yield every frame of a video with its faces, aligned and numbered.

    A face that leaves and comes back is a new track, and a cut to another shot ends all tracks. The
    detector runs in a thread of its own. Frames come with a delay of `LOOK_AHEAD` frames, since
    landmarks are smoothed over the frames before and after, and of up to `LOOK_EVERY_S` until the
    next look at a followed face.

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
        ahead: how many frames the detector may be ahead of the consumer.
    """
    finder = FaceFinder(detector, search_every, max_gap_s)
    smooth_s = _SMOOTH_FOLLOWED_S if can_follow(detector, search_every) else _SMOOTH_S
    tracks: dict[int, _OpenTrack] = {}
    numbers = count(1)
    found_faces = _detect(frames, finder, FaceTracker(max_gap_s))
    with closing(run_ahead(found_faces, ahead)) as detected:
        for frames_seen, (found, neighbors) in enumerate(_with_neighbors(detected), start=1):
            frame, is_last = found.frame, neighbors[-1] is found
            ended = [tracks.pop(key) for key in list(tracks) if key not in found.known]
            for key, detection in found.faces.items():
                landmarks = _smooth_landmarks(key, frame.time_s, neighbors, smooth_s)
                crop = align_face(frame.image, landmarks, size, zoom)
                smooth = replace(detection, landmarks=landmarks)
                mark = quality_mark(landmarks, crop)
                face = TrackedFace(0, frame.index, frame.time_s, smooth, crop, mark)
                tracks.setdefault(key, _OpenTrack()).held.append(face)
            needed = min(min_frames, frames_seen) if is_last else min_frames
            faces = [face for track in tracks.values() for face in track.release(needed, numbers)]
            if is_last:
                ended += tracks.values()
            yield TrackedFrame(frame, faces, [track.number for track in ended if track.number])


@dataclass(frozen=True, eq=False)
class TrackedFace:
    """A face in a frame.

    Attributes:
        track: number of its track, from 1.
        index: number of the frame in the source.
        time_s: when the frame is shown, in seconds.
        detection: box, score, and landmarks smoothed over neighboring frames.
        crop: uint8 RGB (S, S, 3), aligned.
        mark: why the face cannot be read, empty if it can; see `quality_mark`.
    """

    track: int
    index: int
    time_s: float
    detection: Detection
    crop: npt.NDArray[np.uint8]
    mark: str


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """A frame of a video with its faces.

    Attributes:
        frame: the frame.
        faces: the faces in it, and before them those in earlier frames that only now turn out not
            to be false detections.
        ended: numbers of the tracks that have ended: no later frame shows them.
    """

    frame: Frame
    faces: Sequence[TrackedFace]
    ended: Sequence[int]


@dataclass(eq=False)
class _OpenTrack:
    """A track that may go on.

    Attributes:
        number: of the face, 0 until it has been seen often enough.
        held: the faces that were not yielded yet.
    """

    number: int = 0
    held: list[TrackedFace] = field(default_factory=list)

    def release(self, needed: int, numbers: Iterator[int]) -> list[TrackedFace]:
        """Return the faces that can be yielded, with their number."""
        if not self.number and len(self.held) >= needed:
            self.number = next(numbers)
        if not self.number:
            return []
        held, self.held = self.held, []
        return [replace(face, track=self.number) for face in held]


@dataclass(frozen=True, eq=False)
class _Found:
    """The faces in a frame by the tracker's numbers, and all faces that it knows after it."""

    frame: Frame
    faces: dict[int, Detection]
    known: frozenset[int]


def _detect(frames: Iterable[Frame], finder: FaceFinder, tracker: FaceTracker) -> Iterator[_Found]:
    """Yield each frame with its faces by number; a cut to another shot starts anew."""
    starts_shot = CutFinder()
    before: _Found | None = None
    skipped: list[Frame] = []
    for frame in frames:
        if starts_shot(frame.image):
            finder.forget()
            tracker.forget()
        if before and not finder.needs_look(frame):
            skipped.append(frame)
            continue
        found = _Found(frame, dict(tracker.update(frame, finder(frame))), tracker.known)
        yield from (_between(before, between, found) for between in skipped if before)
        yield found
        before, skipped = found, []
    yield from (replace(before, frame=last) for last in skipped if before)


def _between(before: _Found, frame: Frame, after: _Found) -> _Found:
    """Return a frame with the faces of the two around it; before a cut, those of the one before."""
    passed_s = frame.time_s - before.frame.time_s
    weight = passed_s / (after.frame.time_s - before.frame.time_s)
    faces = {}
    for key, face in before.faces.items():
        if key in after.faces:
            faces[key] = interpolated(face, after.faces[key], weight)
        elif key not in after.known:
            faces[key] = face
    return _Found(frame, faces, before.known)


def _with_neighbors(frames: Iterable[_Found]) -> Iterator[tuple[_Found, list[_Found]]]:
    """Yield each frame together with its neighbors before and after, and itself among them."""
    size = 2 * LOOK_AHEAD + 1
    window: deque[_Found | None] = deque([None] * size, maxlen=size)
    for item in chain(frames, repeat(None, LOOK_AHEAD)):
        window.append(item)
        middle = window[LOOK_AHEAD]
        if middle is not None:
            yield middle, [neighbor for neighbor in window if neighbor is not None]


def _smooth_landmarks(
    face: int, time_s: float, neighbors: Sequence[_Found], smooth_s: float
) -> npt.NDArray[np.float32]:
    """Return a face's landmarks at a time, averaged over the neighboring frames with a Gaussian.

    The detector's landmarks jitter by a hundredth of the face's width. Averaging reduces the
    difference between neighboring crops by a third, and since it is symmetric, it does not lag
    behind a moving head.
    """
    timed = [
        (found.frame.time_s, found.faces[face].landmarks)
        for found in neighbors
        if face in found.faces
    ]
    offsets = np.array([other_s for other_s, _ in timed]) - time_s
    weights = np.exp(-0.5 * (offsets / smooth_s) ** 2)
    landmarks = np.average([points for _, points in timed], axis=0, weights=weights)
    return landmarks.astype(np.float32)


def _track(face: int, frames: Sequence[TrackedFace]) -> Track:
    return Track(
        track=face,
        times_s=np.array([frame.time_s for frame in frames], dtype=np.float64),
        indices=np.array([frame.index for frame in frames], dtype=np.int64),
        boxes=np.stack([frame.detection.box for frame in frames]),
        scores=np.array([frame.detection.score for frame in frames], dtype=np.float32),
        landmarks=np.stack([frame.detection.landmarks for frame in frames]),
        crops=np.stack([frame.crop for frame in frames]),
    )
