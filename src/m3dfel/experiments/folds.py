"""The folds of a data set, and the configuration that trains each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from m3dfel.config import DataConfig, TrainConfig, with_overrides
from m3dfel.data.manifest import Manifest
from m3dfel.data.splits import identities, keep_labels
from m3dfel.errors import InputError


def fold_names(manifest: Manifest, data: DataConfig) -> list[str]:
    """Return a name for each fold: its number, or the person it leaves out.

    Raises:
        InputError: the data have no folds.
    """
    if data.folds == "identity":
        left_out = identities(keep_labels(manifest.clips, data.labels))
        several = len(manifest.datasets) > 1
        return [f"{manifest.datasets[i]} {name}" if several else name for i, name in left_out]
    count = data.folds or manifest.folds
    if not count:
        raise InputError(
            f"{data.path} has no official folds: set their number, such as --data.folds 5, leave "
            "one person out at a time with --data.folds identity, or use `m3dfel train`, which "
            "measures the data's own split"
        )
    return [f"fold {number}" for number in range(1, count + 1)]


def fold_configs(base: TrainConfig, folds: Sequence[int]) -> list[TrainConfig]:
    """Return the configuration of each of the folds; the output folders are `fold-<fold>`."""
    return [
        with_overrides(base, {"data.fold": fold, "output": str(Path(base.output) / f"fold-{fold}")})
        for fold in folds
    ]
