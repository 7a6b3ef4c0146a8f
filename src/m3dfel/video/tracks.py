"""Track faces: join detections over time, and align the face in each frame.

The last step of the video room: its aligned crops with their times are ready to be cut into clips.
It is a stream: a crop leaves as soon as it is known to show a face. Detections in neighboring
frames are matched so that the total overlap of their boxes is largest (Hungarian algorithm, as in
SORT, Bewley et al., 2016).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain, count, pairwise, repeat

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from m3dfel.video import DETECT_EVERY
from m3dfel.video.align import TEMPLATE, align_face
from m3dfel.video.boxes import MIN_OVERLAP, box_overlaps, interpolated
from m3dfel.video.cuts import CutFinder
from m3dfel.video.decode import Frame, Picture
from m3dfel.video.faces import Detection, FaceDetector
from m3dfel.video.follow import FaceFinder, can_follow
from m3dfel.video.prefetch import AHEAD, prefetch
from m3dfel.video.quality import quality_mark

# Landmarks are smoothed with a Gaussian of this standard deviation, over a few frames on each side;
# more where faces are followed, since there the detector sees them at fewer pixels.
_SMOOTH_S = 0.04
_SMOOTH_FOLLOWED_S = 0.05

# A track with fewer frames is a false detection, unless its shot is shorter.
_MIN_FRAMES = 3

# A face that is missing for longer is another one when it comes back: seconds, or frames where
# these are rare.
_GAP_S, _GAP_FRAMES = 0.5, 2.5
_RECENT_FRAMES = 25  # whose distances say how rare frames are

MAX_HOLD_S = 600.0
"""A frame that is held for longer, as where time stamps jump, ends all tracks."""

# Frames that detection may be ahead of recognition, which now and then takes a long step; and those
# of a camera that may wait between two steps: what waits is old when it is shown.
_DETECTED_AHEAD, _LIVE_AHEAD = 24, 1

SMOOTH_AHEAD = 2
"""Frames after a frame that are needed to smooth its landmarks."""


@dataclass(frozen=True, eq=False)
class TrackedFace:
    """A face in a frame.

    Attributes:
        track: number of its track, from 1.
        frame: the frame.
        detection: box, score, and landmarks smoothed over neighboring frames.
        crop: uint8 RGB (S, S, 3), aligned.
        mark: why the face is unreadable, empty if it is not; see `quality_mark`.
    """

    track: int
    frame: Frame
    detection: Detection
    crop: Picture
    mark: str


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """A frame of a video with its faces.

    Attributes:
        frame: the frame.
        faces: the faces in it, and before them those in earlier frames that only now turn out not
            to be false detections.
        ended: numbers of the tracks that have ended: no later frame shows them.
        newest_s: time of the newest frame that was read for it.
    """

    frame: Frame
    faces: Sequence[TrackedFace]
    ended: Sequence[int]
    newest_s: float


def track_faces(
    frames: Iterable[Frame],
    detector: FaceDetector,
    size: int,
    zoom: float = 1.0,
    *,
    detect_every: int = DETECT_EVERY,
    live: bool = False,
) -> Generator[TrackedFrame, None, None]:
    """Yield every frame of a video with its faces, aligned and numbered.

    A face that leaves and comes back is a new track, and a cut to another shot ends all tracks.
    Reading and detection run in threads of their own. Frames come with a delay of `SMOOTH_AHEAD`
    frames, since landmarks are smoothed over the frames before and after, and of up to
    `WINDOW_EVERY_S` until a followed face is detected again.

    Args:
        frames: in the order of their times.
        detector: finds the faces in a frame.
        size: S, side of the crops in pixels.
        zoom: enlarge the middle 1/zoom of the template's width and height to fill the crop.
        detect_every: detect faces in the full frame every N frames, or every half second if that
            is sooner; in between, known faces are followed, which takes a tenth of the time.
        live: the frames come from a camera, so that hardly any may wait.
    """
    read_ahead, detect_ahead = (_LIVE_AHEAD,) * 2 if live else (AHEAD, _DETECTED_AHEAD)
    finder = FaceFinder(detector, detect_every)
    smooth_s = _SMOOTH_FOLLOWED_S if can_follow(detector, detect_every) else _SMOOTH_S
    tracks: dict[int, _OpenTrack] = {}
    numbers = count(1)
    with (
        closing(prefetch(frames, read_ahead)) as read,
        closing(prefetch(_detect(read, finder, FaceTracker()), detect_ahead)) as detected,
    ):
        shot_frames = 0
        for found, neighbors in _with_neighbors(detected):
            shot_frames = 1 if found.starts_shot else shot_frames + 1
            frame, following = found.frame, neighbors[neighbors.index(found) + 1 :]
            ended = [tracks.pop(key) for key in list(tracks) if key not in found.known]
            for key, detection in found.faces.items():
                landmarks = _smooth_landmarks(key, frame.time_s, neighbors, smooth_s)
                crop = align_face(frame.image, landmarks, size, zoom)
                smooth = replace(detection, landmarks=landmarks)
                face = TrackedFace(0, frame, smooth, crop, quality_mark(landmarks, crop))
                tracks.setdefault(key, _OpenTrack()).held.append(face)
            ends_shot = not following or following[0].starts_shot
            needed = min(_MIN_FRAMES, shot_frames) if ends_shot else _MIN_FRAMES
            faces = [face for track in tracks.values() for face in track.release(needed, numbers)]
            if not following:
                ended += tracks.values()
            ended_numbers = [track.number for track in ended if track.number]
            yield TrackedFrame(frame, faces, ended_numbers, neighbors[-1].newest_s)


def aligned_faces(
    frames: Iterable[Frame],
    resize: Callable[[Picture], Picture],
    *,
    live: bool = False,
) -> Generator[TrackedFrame, None, None]:
    """Yield frames that already show one aligned face each, as `track_faces` yields those it finds.

    Args:
        frames: in the order of their times; after `MAX_HOLD_S` without one, a new track starts.
        resize: turns a frame into a crop.
        live: the frames come from a camera, so that hardly any may wait.
    """
    track = 1
    with closing(prefetch(frames, _LIVE_AHEAD if live else AHEAD)) as read:
        for frame, following in pairwise(chain(read, [None])):
            assert frame
            height, width = frame.image.shape[:2]
            box = np.array([0, 0, width, height], dtype=np.float32)
            detection = Detection(box, 1.0, (TEMPLATE * box[2:]).astype(np.float32))
            face = TrackedFace(track, frame, detection, resize(frame.image), mark="")
            ends = not following or following.time_s - frame.time_s > MAX_HOLD_S
            newest_s = following.time_s if following else frame.time_s
            yield TrackedFrame(frame, [face], [track] if ends else [], newest_s)
            track += ends


class FaceTracker:
    """Gives every detection the number of its face, frame by frame.

    A face is recognized by its position alone: after some time without a detection, or after a jump
    to another position, it gets a new number.
    """

    def __init__(self) -> None:
        self._last_seen: dict[int, tuple[float, Detection]] = {}
        self._shown: set[int] = set()
        self._times_s: deque[float] = deque(maxlen=_RECENT_FRAMES)
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
        last_seen, self._last_seen = self._last_seen, {}
        for face, (time_s, detection) in last_seen.items():
            if not self._is_gap(time_s, frame.time_s):
                self._last_seen[face] = time_s, detection
            elif face in self._shown and frame.time_s - time_s <= MAX_HOLD_S:
                # The frame before was held until now, and with it the faces that it shows.
                self._last_seen[face] = frame.time_s, detection
        self._times_s.append(frame.time_s)
        known = self._match(detections)
        numbered = []
        for i, detection in enumerate(detections):
            face = known[i] if i in known else self._new_face()
            self._last_seen[face] = (frame.time_s, detection)
            numbered.append((face, detection))
        self._shown = {face for face, _ in numbered}
        return numbered

    def _is_gap(self, start_s: float, end_s: float) -> bool:
        """Return whether a face is missing for too long, given how rare frames are."""
        steps_s = np.diff([*self._times_s, end_s])
        steps_s = steps_s[steps_s > 0]
        usual_s = float(np.median(steps_s)) if len(steps_s) else 0.0
        return end_s - start_s > max(_GAP_S, _GAP_FRAMES * usual_s)

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


@dataclass(eq=False)
class _OpenTrack:
    """A track that may go on.

    Attributes:
        number: of the track, 0 until the face has been seen often enough.
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
    starts_shot: bool
    newest_s: float


def _detect(frames: Iterable[Frame], finder: FaceFinder, tracker: FaceTracker) -> Iterator[_Found]:
    """Yield each frame with its faces by number; a cut to another shot starts anew."""
    is_cut = CutFinder()
    before: _Found | None = None
    skipped: list[Frame] = []
    for frame in frames:
        starts_shot = is_cut(frame.image)
        if starts_shot:
            finder.forget()
            tracker.forget()
        if before and not finder.needs_detection(frame):
            skipped.append(frame)
            continue
        faces = dict(tracker.update(frame, finder(frame)))
        found = _Found(frame, faces, tracker.known, starts_shot, frame.time_s)
        yield from (_between(before, between, found) for between in skipped if before)
        yield found
        before, skipped = found, []
    if before:
        yield from (
            replace(before, frame=last, starts_shot=False, newest_s=skipped[-1].time_s)
            for last in skipped
        )


def _between(before: _Found, frame: Frame, after: _Found) -> _Found:
    """Return a frame with the faces of the two around it; before a cut, those of the one before."""
    passed_s, whole_s = (one.time_s - before.frame.time_s for one in (frame, after.frame))
    weight = passed_s / whole_s if whole_s else 0.0
    faces = {}
    for key, face in before.faces.items():
        if key in after.faces:
            faces[key] = interpolated(face, after.faces[key], weight)
        elif key not in after.known:
            faces[key] = face
    return _Found(frame, faces, before.known, False, after.frame.time_s)


def _with_neighbors(frames: Iterable[_Found]) -> Iterator[tuple[_Found, list[_Found]]]:
    """Yield each frame together with its neighbors before and after, and itself among them."""
    size = 2 * SMOOTH_AHEAD + 1
    window: deque[_Found | None] = deque([None] * size, maxlen=size)
    for item in chain(frames, repeat(None, SMOOTH_AHEAD)):
        window.append(item)
        middle = window[SMOOTH_AHEAD]
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
