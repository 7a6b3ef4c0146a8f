"""The training clips of a run: their batches, and how often training sees each class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from m3dfel.config import DataConfig, TrainConfig
from m3dfel.data.batches import EpochBatches, training_loader
from m3dfel.data.dataset import TrainingClips
from m3dfel.data.manifest import Clip


def training_batches(
    fabric: Fabric, clips: Sequence[Clip], config: TrainConfig
) -> tuple[EpochBatches, Any]:
    """Return the training batches of this process.

    Returns:
        The batch sampler, whose `epoch` is set before every epoch, and the loader.
    """
    data, model, optim = config.data, config.model, config.optim
    batches = EpochBatches(
        len(clips),
        optim.batch_size,
        config.seed,
        draw_weights(clips, data),
        fabric.global_rank,
        fabric.world_size,
        optim.accumulate,
        optim.epoch_clips,
    )
    training_clips = TrainingClips(
        clips,
        data.labels,
        model.frames,
        model.size,
        config.augment,
        config.seed,
        data.neutral_mix,
        model.grayscale,
        config.loss.votes,
    )
    on_gpu = fabric.device.type == "cuda"
    loader = training_loader(training_clips, batches, config.workers, pin_memory=on_gpu)
    return batches, fabric.setup_dataloaders(loader, use_distributed_sampler=False)


def class_counts(clips: Sequence[Clip], labels: Sequence[str]) -> list[int]:
    """Return the number of clips of each class."""
    counts = Counter(clip.emotion for clip in clips)
    return [counts[label] for label in labels]


def draw_weights(clips: Sequence[Clip], data: DataConfig) -> Tensor | None:
    """Return how often training draws each clip, up to a constant factor: float64 (M,).

    None if every clip is drawn once per epoch.
    """
    if not data.balance and not data.shares:
        return None
    targets = torch.tensor([data.labels.index(clip.emotion) for clip in clips])
    counts = torch.bincount(targets).clamp(min=1).double()
    weights = counts[targets] ** -data.balance
    if data.shares:
        datasets = torch.tensor([clip.dataset for clip in clips])
        shares = torch.tensor(data.shares).double()
        weights *= (shares / torch.bincount(datasets, weights, len(shares)))[datasets]
    return weights


def sampled_class_counts(clips: Sequence[Clip], data: DataConfig) -> list[float]:
    """Return how often training samples each class, up to a constant factor."""
    weights = draw_weights(clips, data)
    if weights is None:
        return [float(n) for n in class_counts(clips, data.labels)]
    targets = torch.tensor([data.labels.index(clip.emotion) for clip in clips])
    return torch.bincount(targets, weights, len(data.labels)).tolist()
