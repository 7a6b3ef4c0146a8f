"""Measure a run's models and choose the epochs that its results report."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from lightning_fabric import Fabric

from m3dfel.config import TrainConfig
from m3dfel.data.batches import evaluation_loader
from m3dfel.data.dataset import EvaluationClips
from m3dfel.data.manifest import Clip
from m3dfel.evaluation.measure import SplitOutputs, measure
from m3dfel.models.m3dfel import M3DFEL


def measure_split(
    fabric: Fabric,
    model: M3DFEL,
    clips: Sequence[Clip],
    config: TrainConfig,
    *,
    mixed: bool = False,
) -> SplitOutputs:
    """Return a model's outputs on the clips of a split; each process measures a part of them.

    Args:
        fabric: the processes, and the precision of the run.
        model: on Fabric's device.
        clips: of the split.
        config: of the run.
        mixed: use the precision of the run, which is faster if it is mixed: enough to compare
            epochs. Otherwise single precision, as `evaluate` does.
    """
    optim = config.optim
    loader = evaluation_loader(
        EvaluationClips.of(model, clips, config.data.window_s),
        max(optim.batch_size // (optim.accumulate * fabric.world_size), 1),
        config.workers,
        fabric.global_rank,
        fabric.world_size,
        pin_memory=fabric.device.type == "cuda",
    )
    with fabric.autocast() if mixed else nullcontext():
        return measure(model, loader)


def best_epoch(history: list[dict[str, Any]], split: str, metric: str) -> dict[str, Any] | None:
    """Return the first epoch with the highest metric on a split, None if it was never measured.

    Args:
        history: a row per epoch.
        split: `val` or `test`.
        metric: `war`, `uar`, or `mean`, the mean of both.
    """
    names = ("war", "uar") if metric == "mean" else (metric,)
    return max(
        (row for row in history if split in row),
        key=lambda row: sum(row[split][name] for name in names),
        default=None,
    )


def reported_epochs(history: list[dict[str, Any]], config: TrainConfig) -> dict[str, Any]:
    """Return copies of the epochs that are reported, by how they were chosen."""
    epochs = {"last": history[-1], "best_on_val": best_epoch(history, "val", config.select_metric)}
    if config.test_every_epoch:
        epochs["best_on_test"] = best_epoch(history, "test", config.select_metric)
    return {choice: dict(row) for choice, row in epochs.items() if row}
