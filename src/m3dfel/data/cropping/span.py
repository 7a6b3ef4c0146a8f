"""The faces in the span of a label, while its video is read, and the clip that one of them becomes.

A clip has a constant frame rate, at which a face that is lost for a moment is held, as in
prediction. It is encoded while the video is read, so memory does not grow with its length.
"""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any, TypeAlias

import av
import numpy as np
import numpy.typing as npt

from m3dfel.data.layouts import Entry
from m3dfel.video.decode import Frame
from m3dfel.video.encode import Encoder
from m3dfel.video.tracks import TrackedFace

Region: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom of a part of the picture, in pixels."""

MIN_S = 0.2
"""A face that is seen for less long makes no clip."""

# Above 40 dB in luminance, so that no loss is seen, in a sixth of the space of JPEG files.
_CRF = 12


class Span:
    """The faces in the span of a label.

    Args:
        label: its span, person and region.
        size: height and width of the crops in pixels.
        fps: frames per second of the clip.
        region: where the face must be, if the label does not say.
    """

    def __init__(self, label: Entry, size: int, fps: float, region: Region | None = None) -> None:
        self.start_s, self.end_s = label.span_s or (0.0, np.inf)
        self.person, self.region = label.person, label.region or region
        self._size, self._fps = size, fps
        self._frames = 0
        self._takes: dict[int, Take] | None = {}
        self._chosen: Take | None = None

    def add(self, face: TrackedFace) -> None:
        """Add a face in a frame, if it is in the span and in the region."""
        if self._takes is None or not self.covers(face.frame.time_s):
            return
        left, top, right, bottom = face.detection.box.tolist()
        x, y = (left + right) / 2, (top + bottom) / 2
        x1, y1, x2, y2 = self.region or (-np.inf, -np.inf, np.inf, np.inf)
        if x1 <= x <= x2 and y1 <= y <= y2:
            if face.track not in self._takes:
                self._takes[face.track] = Take(self._size, self._fps)
            area = (right - left) * (bottom - top)
            self._takes[face.track].add(face.frame.time_s, face.crop, area)

    def add_frame(self, time_s: float) -> None:
        """Count a frame of the video, if it is in the span."""
        self._frames += self.covers(time_s)

    def covers(self, time_s: float) -> bool:
        """Return whether a moment is in the span."""
        return self.start_s <= time_s < self.end_s

    def close(self) -> Take | None:
        """Return the face that is largest over the span, None without any; forget the others."""
        if self._takes is not None:
            takes = self._takes.values()
            self._chosen = max(takes, key=lambda take: take.area, default=None)
            self._takes = None
            if self._chosen:
                self._chosen.finish()
        return self._chosen

    def facts(self) -> dict[str, Any]:
        """Return the facts of the clip, as in the table of clips, or the problem."""
        take = self.close()
        if not self._frames:
            return {"problem": f"it starts at {self.start_s:g} s, after the end of the video"}
        if take is None:
            return {"problem": "no face in the region" if self.region else "no face"}
        if take.seconds < MIN_S:
            return {"problem": f"a face is seen for only {take.seconds:.2f} s"}
        return {
            "start_s": round(take.start_s, 3),
            "end_s": round(take.start_s + take.seconds, 3),
            "frames": take.frames,
            "left_out": max(0, self._frames - take.seen),
        }


class Take:
    """The crops of one face while it is tracked, as a video in memory.

    Args:
        size: height and width of the crops in pixels.
        fps: frames per second to write.
    """

    def __init__(self, size: int, fps: float) -> None:
        self.area, self.seen, self.frames, self.start_s = 0.0, 0, 0, 0.0
        self._rate = Fraction(fps).limit_denominator(1001)
        self._last: npt.NDArray[np.uint8] | None = None
        self._file = io.BytesIO()
        self._output = av.open(self._file, "w", format="mp4")
        self._encoder = Encoder(
            self._output, (size, size), self._rate, 1 / self._rate, _CRF, one_thread=True
        )

    @property
    def seconds(self) -> float:
        """How long the clip is."""
        return float(self.frames / self._rate)

    @property
    def content(self) -> bytes:
        """The finished file."""
        return self._file.getvalue()

    def add(self, time_s: float, crop: npt.NDArray[np.uint8], area: float) -> None:
        """Add a crop; the one before it is shown until then."""
        if not self.seen:
            self.start_s = time_s
        self.area, self.seen = self.area + area, self.seen + 1
        tick = round((time_s - self.start_s) * float(self._rate))
        while self._last is not None and self.frames < tick:
            self._write(self._last)
        self._last = crop

    def finish(self) -> None:
        """Write what is left."""
        if self._last is not None:
            self._write(self._last)
        self._output.mux(self._encoder.finish())
        self._output.close()

    def _write(self, crop: npt.NDArray[np.uint8]) -> None:
        frame = Frame(self.frames, float(self.frames / self._rate), crop)
        self._output.mux(self._encoder.add(frame))
        self.frames += 1
