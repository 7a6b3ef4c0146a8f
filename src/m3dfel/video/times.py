"""Times of frames: which frame is shown at a moment or during a span.

Below everything that looks up frames by time. Only arrays here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

ROUNDING_S = 1e-6
"""Time stamps carry rounding errors: a frame this little after a moment counts as shown."""


def bin_centers(start_s: float, end_s: float, count: int, around: int = 0) -> Values:
    """Return the centers of equal bins of a time span, and of as many more on either side.

    Args:
        start_s: when the time span starts, in seconds.
        end_s: when it ends.
        count: of the parts of the time span.
        around: how many more there are before it, and after it.

    Returns:
        (count + 2 * around,), in seconds.
    """
    return start_s + (np.arange(-around, count + around) + 0.5) / count * (end_s - start_s)


def frames_at(times_s: Values, moments_s: Values) -> npt.NDArray[np.int64]:
    """Return the index of the frame shown at each moment; before the first frame, 0.

    Args:
        times_s: (T,), when each frame is shown, in ascending order.
        moments_s: (K,), in seconds.
    """
    return np.maximum(np.searchsorted(times_s, moments_s + ROUNDING_S, side="right") - 1, 0)


def mean_between(
    values: Values,
    times_s: Values,
    starts_s: Values,
    ends_s: Values,
) -> Values:
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
    after = np.maximum(np.searchsorted(times_s, ends_s - ROUNDING_S), first + 1)
    sums = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(0)])
    return (sums[after] - sums[first]) / (after - first)[:, None]
