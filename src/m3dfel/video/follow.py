"""Follow known faces through a video instead of detecting faces in every full frame.

Between detection and tracking. Detection in a full frame takes ten times as long as in a small
window around a known face. So the full frame is only searched now and then, for new faces, and when
a face is lost. And ten windows a second are enough: in between, a face moves in a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

import numpy as np
import numpy.typing as npt

from m3dfel.video.boxes import Points, closest_detection, moved, points_of
from m3dfel.video.decode import Frame
from m3dfel.video.faces import WINDOW_SIZE, Detection, FaceDetector, Window, WindowDetector

WINDOW_EVERY_S = 0.1
"""Known faces are detected this often; in frames between, they move in a line."""

# The full frame is searched this often, and in every frame for so long after a face was lost.
_SEARCH_EVERY_S = 0.5

# A window is so many times as large as the longer side of the face's box.
_MARGIN = 1.8
# It stays in place, since a window that moves along makes the landmarks jitter, until the face is
# this far off its center, in sides of the box, or has grown or shrunk by this factor.
_OFF_CENTER = 0.2
_GROWTH = 1.25
# The part of a newly measured offset that is adopted: the rest may be jitter.
_ADOPTED = 0.5


def can_follow(detector: FaceDetector, detect_every: int) -> TypeGuard[WindowDetector]:
    """Return whether known faces are followed, and not all frames searched."""
    return detect_every > 1 and isinstance(detector, WindowDetector)


class FaceFinder:
    """Finds the faces in the frames of a shot, one frame after the other.

    A detector places boxes and landmarks differently at different sizes of a face. So each search
    measures the offset between what the whole frame and the window show, and until the next search
    it is added to what the window shows.

    Args:
        detector: finds the faces in an image. One that is no `WindowDetector` searches all frames.
        detect_every: detect faces in the full frame every N frames; 1 for all frames. They are also
            detected every half second, and in every frame for as long after a face was lost.
    """

    def __init__(self, detector: FaceDetector, detect_every: int) -> None:
        self.detector = detector
        self.detect_every = detect_every
        self.forget()

    def forget(self) -> None:
        """Forget all faces, as after a cut: the next frame is searched."""
        self._faces: list[_Face] = []
        self._last_search = -self.detect_every
        self._last_detection_s = self._last_search_s = self._lost_until_s = -np.inf

    def needs_detection(self, frame: Frame) -> bool:
        """Return whether faces must be detected in a frame.

        If not, they lie between where they are in the frames before and after this one.
        """
        return not (
            can_follow(self.detector, self.detect_every)
            and self._faces
            and frame.time_s - self._last_detection_s < WINDOW_EVERY_S
            and (frame.duration_s or 0.0) < WINDOW_EVERY_S
            and not self._search_is_due(frame)
        )

    def __call__(self, frame: Frame) -> list[Detection]:
        """Return the faces in a frame, from left to right.

        Frames must come in the order of their times; those that need no detection may be left out.
        """
        if not can_follow(self.detector, self.detect_every):
            return self.detector(frame.image)
        faces = self._follow(self.detector, frame.image)
        self._last_detection_s = frame.time_s
        if len(faces) < len(self._faces) or self._search_is_due(frame):
            faces = self._search(self.detector, frame.image, faces)
            self._last_search, self._last_search_s = frame.index, frame.time_s
        if len(faces) < len(self._faces):
            self._lost_until_s = frame.time_s + _SEARCH_EVERY_S
        self._faces = faces
        return sorted((face.seen for face in faces), key=lambda seen: float(seen.box[0]))

    def _search_is_due(self, frame: Frame) -> bool:
        return (
            frame.index - self._last_search >= self.detect_every
            or frame.time_s - self._last_search_s >= _SEARCH_EVERY_S
            or frame.time_s < self._lost_until_s
        )

    def _follow(self, detector: WindowDetector, image: npt.NDArray[np.uint8]) -> list[_Face]:
        """Return the known faces that are still in their windows, each only once."""
        followed: list[_Face] = []
        for face in self._faces:
            views = [
                moved(view, face.offset) for view in detector.detect_window(image, face.window)
            ]
            seen = closest_detection(face.seen, views)
            if (
                seen is None
                or closest_detection(seen, [other.seen for other in followed]) is not None
            ):
                continue
            if _is_central(seen.box, face.window):
                followed.append(replace(face, seen=seen))
            else:
                followed.append(_start(detector, image, seen))
        return followed

    def _search(
        self, detector: WindowDetector, image: npt.NDArray[np.uint8], faces: Sequence[_Face]
    ) -> list[_Face]:
        """Return all faces in an image: the followed ones that it confirms, and new ones."""
        followed = {id(face.seen): face for face in faces}
        found = []
        for detection in detector(image):
            seen = closest_detection(detection, [face.seen for face in followed.values()])
            if seen is None:
                found.append(_start(detector, image, detection))
            else:
                found.append(_adjusted(followed.pop(id(seen)), detection))
        return found


@dataclass(frozen=True, eq=False)
class _Face:
    """A known face.

    Attributes:
        seen: the face in the last frame.
        window: where to detect it in the next.
        offset: (7, 2), x and y of what the whole frame shows minus what the window shows.
    """

    seen: Detection
    window: Window
    offset: Points


def _start(detector: WindowDetector, image: npt.NDArray[np.uint8], seen: Detection) -> _Face:
    """Return a face with a window around it, and the offset measured in this image."""
    window = _window_around(seen.box)
    view = closest_detection(seen, detector.detect_window(image, window))
    return _Face(seen, window, points_of(seen) - points_of(view or seen))


def _adjusted(face: _Face, detection: Detection) -> _Face:
    """Return a followed face moved toward what a search of the whole frame has found."""
    change = _ADOPTED * (points_of(detection) - points_of(face.seen))
    return replace(face, seen=moved(face.seen, change), offset=face.offset + change)


def _window_around(box: npt.NDArray[np.float32]) -> Window:
    """Return the window in which a face is detected that was seen in a box.

    A small face is not enlarged in it.
    """
    side = max(WINDOW_SIZE, 2 * round(_MARGIN * _side(box) / 2))  # even sides are scaled faster
    left, top = (round(float(middle) - side / 2) for middle in _center(box))
    return Window(left, top, side)


def _is_central(box: npt.NDArray[np.float32], window: Window) -> bool:
    """Return whether a face is near the center of its window, and the window of the right size."""
    center = np.array([window.left, window.top]) + window.side / 2
    growth = _window_around(box).side / window.side
    return bool(
        np.abs(_center(box) - center).max() <= _OFF_CENTER * _side(box)
        and 1 / _GROWTH <= growth <= _GROWTH
    )


def _center(box: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return (box[:2] + box[2:]) * np.float32(0.5)


def _side(box: npt.NDArray[np.float32]) -> float:
    return float(np.max(box[2:] - box[:2]))
