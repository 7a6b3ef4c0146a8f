"""Average the probabilities of neighboring clips over time."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


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
        unreadable: (B,), clips whose face is unreadable: left out of every average.
        spread: the Gaussian's standard deviation in clips; 0 for no averaging.

    Returns:
        (C,), NaN if the clip's own face is unreadable.
    """
    if unreadable[clip]:
        return np.full(probabilities.shape[1], np.nan)
    if not spread:
        return probabilities[clip]
    distances = np.arange(len(probabilities)) - clip
    weights = np.exp(-0.5 * (distances / spread) ** 2) * ~unreadable
    return weights @ probabilities / weights.sum()


def kernel_radius(spread: float) -> int:
    """Return how many clips before and after a clip its average covers, at least one.

    They reach four standard deviations; beyond is less than a ten-thousandth of the weight.

    Args:
        spread: the Gaussian's standard deviation in clips.
    """
    return max(1, math.ceil(4 * spread - 1e-6))
