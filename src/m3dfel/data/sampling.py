"""Which frames of a video make the clip.

The clip's T frames are spread evenly over the n frames there are: frame i comes from the i-th of T
equal parts. Training starts at a random place within the part, the same for all (SPEC: int(n·i/T)
plus a random offset); evaluation takes the middle, so that the same video always gives the same
clip. Videos shorter than T repeat frames in order.
"""

from __future__ import annotations

import torch
from torch import Tensor


def centred_indices(available: int, frames: int) -> Tensor:
    """Return the fixed, centred choice of evaluation.

    Args:
        available: n ≥ 1, frames there are.
        frames: T ≥ 1, frames wanted.

    Returns:
        int64 (T,), not falling, each from 0 to n - 1.
    """
    return _indices(available, frames, 0.5)


def random_indices(available: int, frames: int) -> Tensor:
    """Return a random choice for training: one offset, below a T-th of the video, for all frames.

    Args and result are those of `centred_indices`; the randomness is torch's.
    """
    return _indices(available, frames, float(torch.rand(())))


def _indices(available: int, frames: int, place: float) -> Tensor:
    parts = (torch.arange(frames, dtype=torch.float64) + place) / frames
    return (parts * available).long().clamp(max=available - 1)
