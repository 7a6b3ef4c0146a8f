"""Sampling: which frames of a video make up the clip.

The T frames of a clip are spread evenly over the n frames of the video: frame i comes from the i-th
of T equal parts. Training takes a random position within the part, the same in all parts (the
paper: int(n·i/T) plus a random offset); evaluation takes the middle, so the same video always gives
the same clip. Videos with fewer than T frames repeat frames in order.
"""

from __future__ import annotations

import torch
from torch import Tensor


def centered_indices(available: int, frames: int) -> Tensor:
    """Return the indices of the frames for evaluation, in the middle of each part.

    Args:
        available: n, the number of frames in the video, 1 or more.
        frames: T, the number of frames in the clip, 1 or more.

    Returns:
        int64 (T,), in ascending order, each from 0 to n - 1.

    Example:
        >>> from m3dfel.data.sampling import centered_indices
        >>> centered_indices(40, 4).tolist()
        [5, 15, 25, 35]
    """
    return _indices(available, frames, 0.5)


def random_indices(available: int, frames: int) -> Tensor:
    """Return the indices of the frames for training, at one random offset in all parts.

    Arguments and result are those of `centered_indices`; the offset is from torch's generator.
    """
    return _indices(available, frames, float(torch.rand(())))


def _indices(available: int, frames: int, position: float) -> Tensor:
    parts = (torch.arange(frames, dtype=torch.float64) + position) / frames
    return (parts * available).long().clamp(max=available - 1)
