"""Cut a track into instances while its frames come in.

Between the tracks of the video room and the model. Only arrays here, no model.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from m3dfel.video.times import ROUNDING_S, bin_centers, frames_at

# How long a frame is shown if nothing else is known: as at 25 frames per second.
_SINGLE_FRAME_S = 0.04


@dataclass(frozen=True, eq=False)
class Instance:
    """Consecutive frames of a track that the backbone encodes together.

    Attributes:
        number: of the instance in its track, from 0.
        start_s: seconds.
        end_s: seconds.
        frames: int64 (t,), positions in the track of its frames and its context.
        crops: uint8 RGB (t, S, S, 3).
    """

    number: int
    start_s: float
    end_s: float
    frames: npt.NDArray[np.int64]
    crops: npt.NDArray[np.uint8]


class InstanceCutter:
    """Cuts a track into instances while its frames come in, and keeps no crop longer than needed.

    Each instance covers `clip_s / bag_size` seconds, from the start of the track on; the last one
    covers what is left, if that is at least half as long. As in evaluation (`data.sampling`), the
    time of an instance is divided into equal parts, one for each of its frames, and the frame shown
    in the middle of each part is taken. So a video gives the same instances at any frame rate;
    frames repeat if the track has too few.

    A track shorter than a clip is one bag, which divides the whole track evenly. So no instance is
    complete before the first N are.

    Args:
        bag_size: N, instances a clip.
        instance_length: frames an instance.
        clip_s: seconds a clip covers.
        context: frames before and after an instance that are encoded with it; as in a clip, the
            first and the last one that is taken from the track are repeated.
    """

    def __init__(
        self, bag_size: int, instance_length: int, clip_s: float, context: int = 0
    ) -> None:
        self.bag_size, self.instance_length, self.context = bag_size, instance_length, context
        self.instance_s = clip_s / bag_size
        self._times_s: list[float] = []
        self._last_shown_s: float | None = None
        self._crops: deque[npt.NDArray[np.uint8]] = deque()
        self._instances = 0

    def add(
        self, time_s: float, crop: npt.NDArray[np.uint8], shown_s: float | None = None
    ) -> Iterator[Instance]:
        """Add the next frame of the track; yield the instances that are now complete.

        An instance is complete once a frame follows the last one that it needs. A frame that was
        held for long completes many, which are made one by one.

        Args:
            time_s: when the frame is shown.
            crop: uint8 RGB (S, S, 3).
            shown_s: for how long it is shown; None if unknown.
        """
        self._times_s.append(time_s)
        self._last_shown_s = shown_s
        self._crops.append(crop)
        complete = self._instances
        while self._moments_s(complete)[-1] + ROUNDING_S < time_s:
            complete += 1
        if complete < self.bag_size:
            return
        borders_s = [self._start_s(number) for number in range(self._instances, complete + 1)]
        yield from self._cut(borders_s)
        self._drop_crops()

    def end(self) -> Iterator[Instance]:
        """Yield the last instances of the track: all of them if it is shorter than a clip.

        If less than half an instance is left, there are none: the track ends with the last one.
        """
        if not self._instances:
            borders_s = np.linspace(self._times_s[0], self.end_s, self.bag_size + 1).tolist()
        else:
            start_s = self._start_s(self._instances)
            count = math.floor((self.end_s - start_s) / self.instance_s + 0.5 + ROUNDING_S)
            starts_s = [self._start_s(self._instances + number) for number in range(count)]
            borders_s = [*starts_s, self.end_s]
        yield from self._cut(borders_s, is_end=True)
        self._crops.clear()

    @property
    def end_s(self) -> float:
        """When the last frame so far disappears, in seconds."""
        if self._last_shown_s is not None:
            return self._times_s[-1] + self._last_shown_s
        steps_s = np.diff(self._times_s)
        usual_s = float(np.median(steps_s)) if len(steps_s) else 0.0
        return self._times_s[-1] + (usual_s or _SINGLE_FRAME_S)

    def _start_s(self, number: int) -> float:
        return self._times_s[0] + number * self.instance_s

    def _moments_s(self, number: int) -> npt.NDArray[np.float64]:
        """Return the moments at which the frames of an instance and its context are shown."""
        span_s = self._start_s(number), self._start_s(number + 1)
        return bin_centers(*span_s, self.instance_length, self.context)

    def _cut(self, borders_s: Sequence[float], is_end: bool = False) -> Iterator[Instance]:
        """Yield the next instances of the track, given where they start and end."""
        spans_s = [*pairwise(borders_s)]
        if not spans_s:
            return
        moments_s = [bin_centers(*span, self.instance_length, self.context) for span in spans_s]
        # Beyond the first and the last frame that are taken from the track, these are repeated.
        first_s = moments_s[0][self.context] if not self._instances else -np.inf
        last_s = moments_s[-1][-1 - self.context] if is_end else np.inf
        dropped = len(self._times_s) - len(self._crops)
        times_s = np.array(self._times_s[dropped:])
        for (start_s, end_s), moments in zip(spans_s, moments_s, strict=True):
            kept = frames_at(times_s, moments.clip(first_s, last_s))
            crops = np.stack([self._crops[index] for index in kept])
            self._instances += 1
            yield Instance(self._instances - 1, start_s, end_s, kept + dropped, crops)

    def _drop_crops(self) -> None:
        """Drop the crops of all frames that end before the next instance starts."""
        dropped = len(self._times_s) - len(self._crops)
        times_s = np.array(self._times_s[dropped:])
        for _ in range(frames_at(times_s, self._moments_s(self._instances)[:1])[0]):
            self._crops.popleft()
