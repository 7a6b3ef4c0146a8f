"""The clips of a run: splits, training batches, and how often training sees each class."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from m3dfel.config import DataConfig, TrainConfig
from m3dfel.data.batches import EpochBatches, training_loader
from m3dfel.data.dataset import TrainingClips, label_distribution
from m3dfel.data.manifest import Clip, Manifest, read_manifests
from m3dfel.data.movements import Movements
from m3dfel.data.splits import split_clips
from m3dfel.models.m3dfel import M3DFEL

logger = logging.getLogger(__name__)


def read_data(runs: Sequence[TrainConfig]) -> list[tuple[Manifest, dict[str, list[Clip]]]]:
    """Return the manifest and the splits of each stage of a run; the same data are read once.

    Raises:
        InputError: the data cannot be used.
    """
    manifests: dict[tuple[Any, ...], Manifest] = {}
    data = []
    for run in runs:
        source = (*run.data.paths, run.data.official_fold)
        if source not in manifests:
            manifests[source] = read_manifests(run.data)
        data.append((manifests[source], split_clips(manifests[source], run.data, run.seed)))
    return data


def training_batches(
    fabric: Fabric,
    clips: Sequence[Clip],
    model: M3DFEL,
    config: TrainConfig,
    movements: Movements | None = None,
) -> tuple[EpochBatches, Any]:
    """Return the training batches of this process.

    If no clip has votes although the run learns from votes, a warning says so.

    Returns:
        The batch sampler, whose `epoch` is set before every epoch, and the loader.
    """
    if config.loss.votes and not any(clip.votes for clip in clips):
        logger.warning(
            "loss.votes is set, but no training clip of %s has votes: all labels count as certain",
            ", ".join(config.data.paths),
        )
    weights = draw_weights(clips, config.data)
    batches = EpochBatches(len(clips), config, weights, fabric.global_rank, fabric.world_size)
    training_clips = TrainingClips(model, clips, config, movements)
    on_gpu = fabric.device.type == "cuda"
    loader = training_loader(training_clips, batches, config.workers, pin_memory=on_gpu)
    return batches, fabric.setup_dataloaders(loader, use_distributed_sampler=False)


def draw_weights(clips: Sequence[Clip], data: DataConfig) -> Tensor | None:
    """Return how often training draws each clip, up to a constant factor: float64 (M,).

    None if every clip is drawn once per epoch. Where annotators voted, the emotion with most votes
    decides how often a clip is drawn.
    """
    if not data.balance and not data.mixing_weights:
        return None
    targets = torch.tensor([data.labels.index(clip.emotion) for clip in clips])
    weights = torch.bincount(targets).double()[targets] ** -data.balance
    if data.mixing_weights:
        datasets = torch.tensor([clip.dataset for clip in clips])
        mixing = torch.tensor(data.mixing_weights).double()
        weights *= (mixing / torch.bincount(datasets, weights, len(mixing)))[datasets]
    return weights


def class_counts(
    clips: Sequence[Clip], config: TrainConfig, weights: Tensor | None = None
) -> Tensor:
    """Return how often each of the C classes is the target of a clip: float64 (C,).

    Args:
        clips: of the training split.
        config: whose `loss.votes` says whether the votes for a class count, or the labels.
        weights: how often each clip counts, (M,); None to count every clip once.
    """
    labels = config.data.labels
    if config.loss.votes:
        targets = torch.stack([label_distribution(clip, labels) for clip in clips]).double()
        return targets.sum(0) if weights is None else weights @ targets
    indices = torch.tensor([labels.index(clip.emotion) for clip in clips])
    return torch.bincount(indices, weights, len(labels)).double()
