"""Instances and clips along a track, and probabilities over time.

Between the tracks of the video room and the tables of a prediction: cuts a track into instances,
and averages the answers of overlapping clips. Only arrays here, no model.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

# A track of one frame lasts as long as a frame at 25 frames per second.
_SINGLE_FRAME_S = 0.04
# Time stamps carry rounding errors: a frame that starts this little after a moment counts as shown.
_ROUNDING_S = 1e-6


@dataclass(frozen=True, eq=False)
class Instance:
    """Consecutive frames of a track that the backbone reads together.

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
        context: frames before and after an instance that are read with it; as in a clip, the first
            and the last one that is taken from the track are repeated.
    """

    def __init__(
        self, bag_size: int, instance_length: int, clip_s: float, context: int = 0
    ) -> None:
        self.bag_size, self.instance_length, self.context = bag_size, instance_length, context
        self.instance_s = clip_s / bag_size
        self._times_s: list[float] = []
        self._crops: deque[npt.NDArray[np.uint8]] = deque()
        self._instances = 0

    def add(self, time_s: float, crop: npt.NDArray[np.uint8]) -> list[Instance]:
        """Add the next frame of the track; return the instances that are now complete.

        An instance is complete once a frame follows the last one that it needs.
        """
        self._times_s.append(time_s)
        self._crops.append(crop)
        complete = self._instances
        while self._moments_s(complete)[-1] + _ROUNDING_S < time_s:
            complete += 1
        if complete < self.bag_size:
            return []
        borders_s = [self._start_s(number) for number in range(self._instances, complete + 1)]
        instances = self._cut(borders_s)
        self._drop_crops()
        return instances

    def end(self) -> list[Instance]:
        """Return the last instances of the track: all of them if it is shorter than a clip.

        If less than half an instance is left, there are none: the track ends with the last one.
        """
        if not self._instances:
            borders_s = np.linspace(self._times_s[0], self.end_s, self.bag_size + 1).tolist()
        else:
            start_s = self._start_s(self._instances)
            count = math.floor((self.end_s - start_s) / self.instance_s + 0.5 + _ROUNDING_S)
            starts_s = [self._start_s(self._instances + number) for number in range(count)]
            borders_s = [*starts_s, self.end_s]
        instances = self._cut(borders_s, is_end=True)
        self._crops.clear()
        return instances

    @property
    def end_s(self) -> float:
        """When the last frame so far disappears, in seconds."""
        steps_s = np.diff(self._times_s)
        return self._times_s[-1] + float(np.median(steps_s) if len(steps_s) else _SINGLE_FRAME_S)

    def _start_s(self, number: int) -> float:
        return self._times_s[0] + number * self.instance_s

    def _moments_s(self, number: int) -> npt.NDArray[np.float64]:
        """Return the moments at which the frames of an instance and its context are shown."""
        span_s = self._start_s(number), self._start_s(number + 1)
        return middles(*span_s, self.instance_length, self.context)

    def _cut(self, borders_s: Sequence[float], is_end: bool = False) -> list[Instance]:
        """Return the next instances of the track, given where they start and end."""
        spans_s = [*pairwise(borders_s)]
        if not spans_s:
            return []
        moments_s = [middles(*span, self.instance_length, self.context) for span in spans_s]
        # Beyond the first and the last frame that are taken from the track, these are repeated.
        first_s = moments_s[0][self.context] if not self._instances else -np.inf
        last_s = moments_s[-1][-1 - self.context] if is_end else np.inf
        dropped = len(self._times_s) - len(self._crops)
        times_s = np.array(self._times_s[dropped:])
        instances = []
        for (start_s, end_s), moments in zip(spans_s, moments_s, strict=True):
            kept = frames_at(times_s, moments.clip(first_s, last_s))
            crops = np.stack([self._crops[index] for index in kept])
            instances.append(Instance(self._instances, start_s, end_s, kept + dropped, crops))
            self._instances += 1
        return instances

    def _drop_crops(self) -> None:
        """Drop the crops of all frames that end before the next instance starts."""
        dropped = len(self._times_s) - len(self._crops)
        times_s = np.array(self._times_s[dropped:])
        for _ in range(frames_at(times_s, self._moments_s(self._instances)[:1])[0]):
            self._crops.popleft()


def middles(start_s: float, end_s: float, count: int, around: int = 0) -> npt.NDArray[np.float64]:
    """Return the middles of equal parts of a time span, and of as long parts on either side.

    Args:
        start_s: when the time span starts, in seconds.
        end_s: when it ends.
        count: of the parts of the time span.
        around: how many more there are before it, and after it.

    Returns:
        (count + 2 * around,), in seconds.
    """
    return start_s + (np.arange(-around, count + around) + 0.5) / count * (end_s - start_s)


def frames_at(
    times_s: npt.NDArray[np.float64], moments_s: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Return the index of the frame shown at each moment; before the first frame, 0.

    Args:
        times_s: (T,), when each frame is shown, in ascending order.
        moments_s: (K,), in seconds.
    """
    return np.maximum(np.searchsorted(times_s, moments_s + _ROUNDING_S, side="right") - 1, 0)


def mean_between(
    values: npt.NDArray[np.float64],
    times_s: npt.NDArray[np.float64],
    starts_s: npt.NDArray[np.float64],
    ends_s: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Return the mean of per-frame values over the frames shown during each of K time spans.

    Args:
        values: (T, D).
        times_s: (T,), when each frame is shown, in ascending order.
        starts_s: (K,).
        ends_s: (K,).

    Returns:
        (K, D). A span without a frame of its own takes the one shown at its start.
    """
    first = frames_at(times_s, starts_s)
    after = np.maximum(np.searchsorted(times_s, ends_s - _ROUNDING_S), first + 1)
    sums = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(0)])
    return (sums[after] - sums[first]) / (after - first)[:, None]


def smooth_probabilities(
    clip: int,
    probabilities: npt.NDArray[np.float64],
    unreadable: npt.NDArray[np.bool_],
    spread: float,
) -> npt.NDArray[np.float64]:
    """Average the probabilities around a clip with a Gaussian, which is symmetric: no lag.

    Args:
        clip: index of the clip.
        probabilities: (B, C), of clips at equal distances, among them the clip itself.
        unreadable: (B,), clips whose face cannot be read: left out of every average.
        spread: the Gaussian's standard deviation in clips; 0 for no averaging.

    Returns:
        (C,), NaN if the clip's own face cannot be read.
    """
    if unreadable[clip]:
        return np.full(probabilities.shape[1], np.nan)
    if not spread:
        return probabilities[clip]
    distances = np.arange(len(probabilities)) - clip
    weights = np.exp(-0.5 * (distances / spread) ** 2) * ~unreadable
    return weights @ probabilities / weights.sum()


def smoothing_reach(spread: float) -> int:
    """Return how many clips before and after a clip its average covers, at least one.

    They reach four standard deviations; beyond is less than a ten-thousandth of the weight.

    Args:
        spread: the Gaussian's standard deviation in clips.
    """
    return max(1, math.ceil(4 * spread - _ROUNDING_S))


def prevailing_mark(marks: Sequence[str]) -> str:
    """Return the most common mark if more than half of a clip's frames have one, else empty.

    Args:
        marks: of each frame, empty where the face can be read.
    """
    counts = Counter(mark for mark in marks if mark)
    return counts.most_common(1)[0][0] if 2 * counts.total() > len(marks) else ""
