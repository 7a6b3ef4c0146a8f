"""Instances and clips along a track, and probabilities over time.

Between the tracks of the video room and the tables of a prediction: cuts a track into instances,
and averages the answers of overlapping clips. Only arrays here, no model.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

# A track of one frame lasts as long as a frame at 25 frames per second.
_SINGLE_FRAME_S = 0.04
# Time stamps carry rounding errors: a frame that starts this little after a moment counts as shown.
_ROUNDING_S = 1e-6


def cut_track(
    times_s: npt.NDArray[np.float64], bag_size: int, instance_length: int, clip_s: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Cut a track into equal instances, so that N of them cover about `clip_s` seconds.

    A track shorter than a clip is one bag. As in evaluation (`data.sampling`), time is divided into
    equal parts, one for each frame needed, and the frame shown in the middle of each part is taken.
    So a video gives the same clips at any frame rate; frames repeat if the track has too few.

    Args:
        times_s: (T,), when each frame of the track is shown, in ascending order.
        bag_size: N, instances a clip.
        instance_length: frames an instance.
        clip_s: seconds a clip should cover.

    Returns:
        The indices of the frames in the track (M, instance length), M ≥ N, and the borders between
        the instances in seconds (M + 1,).
    """
    step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else _SINGLE_FRAME_S
    start_s, end_s = float(times_s[0]), float(times_s[-1]) + step_s
    instances = max(bag_size, round((end_s - start_s) / (clip_s / bag_size)))
    frames = instances * instance_length
    moments_s = start_s + (np.arange(frames) + 0.5) / frames * (end_s - start_s)
    indices = frames_at(times_s, moments_s).reshape(instances, instance_length)
    return indices, np.linspace(start_s, end_s, instances + 1)


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
    probabilities: npt.NDArray[np.float64],
    times_s: npt.NDArray[np.float64],
    unreadable: npt.NDArray[np.bool_],
    smooth_s: float,
) -> npt.NDArray[np.float64]:
    """Average probabilities over time with a Gaussian, which is symmetric and so adds no delay.

    Args:
        probabilities: (B, C), of each clip.
        times_s: (B,), the middle of each clip in seconds.
        unreadable: (B,), clips whose face cannot be read: left out of every average, NaN in the
            result.
        smooth_s: the Gaussian's standard deviation in seconds; 0 for no averaging.

    Returns:
        (B, C).
    """
    if smooth_s:
        weights = np.exp(-0.5 * ((times_s[:, None] - times_s) / smooth_s) ** 2)
    else:
        weights = np.eye(len(times_s))
    weights = weights * ~unreadable
    total = weights.sum(1, keepdims=True)
    zeros = np.zeros_like(probabilities)
    averages = np.divide(weights @ probabilities, total, where=total > 0, out=zeros)
    return np.where(unreadable[:, None], np.nan, averages)


def clip_marks(
    frame_marks: npt.NDArray[np.str_], indices: npt.NDArray[np.int64], bag_size: int
) -> list[str]:
    """Return the mark of each clip, from the marks of its frames.

    Args:
        frame_marks: (T,), of the track's frames, empty where the face can be read.
        indices: (M, instance length), as `cut_track` returns them.
        bag_size: N, instances a clip.

    Returns:
        B = M - N + 1 marks: the most common of a clip's frames if more than half of them have a
        mark, else empty.
    """
    return [
        _prevailing_mark(frame_marks[np.unique(indices[start : start + bag_size])])
        for start in range(len(indices) - bag_size + 1)
    ]


def _prevailing_mark(marks: npt.NDArray[np.str_]) -> str:
    counts = Counter(mark for mark in marks.tolist() if mark)
    return counts.most_common(1)[0][0] if 2 * counts.total() > len(marks) else ""
