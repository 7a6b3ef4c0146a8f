"""The learning rate schedule: linear warm-up, then a cosine."""

from __future__ import annotations

import math

from m3dfel.config import OptimConfig


def learning_rate(epoch: float, optim: OptimConfig) -> float:
    """Return the learning rate after a number of epochs, which may be fractional."""
    if epoch < optim.warmup_epochs:
        return optim.lr * epoch / optim.warmup_epochs
    cosine_epochs = max(optim.epochs - optim.warmup_epochs, 1)
    progress = min((epoch - optim.warmup_epochs) / cosine_epochs, 1.0)
    return optim.min_lr + (optim.lr - optim.min_lr) * (1 + math.cos(math.pi * progress)) / 2
