"""Sampling: which frames of a video make up the clip.

The T frames of a clip are spread evenly over the n frames of the video: frame i comes from the i-th
of T equal parts. Training takes a random position within the part, the same in all parts (the
paper: int(n·i/T) plus a random offset); evaluation takes the middle, so the same video always gives
the same clip. Videos with fewer than T frames repeat frames in order.

With `window_s`, the T frames are spread over a window of that many seconds instead, as long as the
clips that `m3dfel predict` reads: training takes a random window, evaluation several that together
span the video. Then neither the speed of a movement nor the length of a video depends on the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from m3dfel.video.decode import PICTURES_PER_S

ChooseFrames: TypeAlias = Callable[[int, int, float], Tensor]
"""Returns the indices of the frames to read, given n, T and the frames per second."""

MAX_WINDOWS = 4
"""At most so many windows of a video are evaluated."""


def centered_indices(
    available: int, frames: int, fps: float = PICTURES_PER_S, window_s: float = 0.0
) -> Tensor:
    """Return the indices of the frames for evaluation, in the middle of each part.

    Args:
        available: n, the number of frames in the video, 1 or more.
        frames: T, the number of frames in the clip, 1 or more.
        fps: frames per second of the video.
        window_s: length of a window in seconds; 0 for the whole video.

    Returns:
        int64 (W·T,), window by window, ascending in each, from 0 to n - 1. The W windows are evenly
        spaced from the start of the video to its end, no more than cover it once, and at most
        `MAX_WINDOWS`; without `window_s`, there is one.

    Example:
        >>> from m3dfel.data.sampling import centered_indices
        >>> centered_indices(40, 4).tolist()
        [5, 15, 25, 35]
        >>> centered_indices(40, 4, fps=25, window_s=0.8).reshape(-1, 4).tolist()
        [[2, 7, 12, 17], [22, 27, 32, 37]]
    """
    length = _window_length(available, fps, window_s)
    count = min(MAX_WINDOWS, math.ceil(available / length))
    starts = torch.linspace(0, available - length, count, dtype=torch.float64)
    return torch.cat([_indices(available, frames, 0.5, length, float(start)) for start in starts])


def random_indices(
    available: int, frames: int, fps: float = PICTURES_PER_S, window_s: float = 0.0
) -> Tensor:
    """Return the indices of the frames for training, at one random offset in all parts.

    Arguments are those of `centered_indices`; the result, (T,), is of one random window. The random
    numbers are from torch's generator.
    """
    length = _window_length(available, fps, window_s)
    position = float(torch.rand(()))
    start = float(torch.rand(())) * (available - length) if length < available else 0.0
    return _indices(available, frames, position, length, start)


def _window_length(available: int, fps: float, window_s: float) -> float:
    """Return the length of a window in frames, at least one and at most the whole video."""
    return min(max(window_s * fps, 1.0), available) if window_s else float(available)


def _indices(available: int, frames: int, position: float, length: float, start: float) -> Tensor:
    parts = (torch.arange(frames, dtype=torch.float64) + position) / frames
    return (start + parts * length).long().clamp(max=available - 1)
