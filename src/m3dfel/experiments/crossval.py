"""Cross-validation: train and evaluate every fold, as the papers report DFEW."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from m3dfel.config import DataConfig, TrainConfig, with_overrides
from m3dfel.data.manifest import Manifest, read_manifests
from m3dfel.data.splits import identities, keep_labels
from m3dfel.errors import InputError
from m3dfel.evaluation.runs import Run, pool
from m3dfel.experiments.tables import published_rows, summarize, write_tables
from m3dfel.experiments.variants import train_all


def crossval(base: TrainConfig, folds: Sequence[int] = ()) -> pd.DataFrame:
    """Train and measure every fold; write mean and spread, with published results below them.

    Args:
        base: the configuration; its output folder receives `fold-<fold>` and the tables. Data
            without official folds are split into `data.folds`, which can be `identity` to leave
            one person out at a time.
        folds: which folds; empty for all.

    Returns:
        One row for the mean over the folds, one for the clips of all folds together, one for the
        mean of the epochs that are best on test (as published code reports it) where they were
        measured, one per fold or person, then published results.

    Raises:
        InputError: the data have no folds, or the configuration, the data or a folder is unusable.
    """
    manifest = read_manifests(base.data.paths, base.data.official_fold, base.data.labels)
    names = _fold_names(manifest, base.data)
    folds = folds or range(1, len(names) + 1)
    wrong = [fold for fold in folds if not 1 <= fold <= len(names)]
    if wrong:
        raise InputError(f"there is no fold {wrong[0]}: the folds are 1 to {len(names)}")
    runs = train_all(
        [
            with_overrides(
                base, {"data.fold": fold, "output": str(Path(base.output) / f"fold-{fold}")}
            )
            for fold in folds
        ]
    )
    groups: dict[str, Sequence[Run]] = {
        "ours, mean of the folds": runs,
        "ours, clips of all folds": [pool(runs)],
    }
    if base.test_every_epoch:
        groups["ours, epochs chosen on test"] = [run.best_on_test() for run in runs]
    groups |= {f"ours, {names[n - 1]}": [run] for n, run in zip(folds, runs, strict=True)}
    table = pd.concat([summarize(groups), published_rows(manifest.dataset)], ignore_index=True)
    write_tables(table, Path(base.output))
    return table


def _fold_names(manifest: Manifest, data: DataConfig) -> list[str]:
    """Return a name for each fold: its number, or the person it leaves out."""
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
