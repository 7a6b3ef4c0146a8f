"""Cross-validation: train and evaluate every fold, as the papers report DFEW."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from m3dfel.config import TrainConfig, with_overrides
from m3dfel.data.manifest import read_manifests
from m3dfel.errors import InputError
from m3dfel.evaluation.runs import Run
from m3dfel.experiments.tables import published_rows, summarize, write_tables
from m3dfel.experiments.variants import train_all


def crossval(base: TrainConfig, folds: Sequence[int] = ()) -> pd.DataFrame:
    """Train and measure every fold; write mean and spread, with published results below them.

    Args:
        base: the configuration; its output folder receives `fold-<fold>` and the tables. Data
            without official folds are split into `data.folds`.
        folds: which folds; empty for all.

    Returns:
        One row for the mean over the folds, one for the mean of the epochs that are best on test
        (as published code reports it) where they were measured, one per fold, then published
        results.

    Raises:
        InputError: the data have no folds, or the configuration, the data or a folder is unusable.
    """
    manifest = read_manifests(base.data.paths, base.data.fold, base.data.labels)
    count = base.data.folds or manifest.folds
    if not count:
        raise InputError(
            f"{base.data.path} has no official folds: set their number, such as --data.folds 5, or "
            "use `m3dfel train`, which measures the data's own split"
        )
    folds = folds or range(1, count + 1)
    runs = train_all(
        [
            with_overrides(
                base, {"data.fold": fold, "output": str(Path(base.output) / f"fold-{fold}")}
            )
            for fold in folds
        ]
    )
    groups: dict[str, Sequence[Run]] = {"ours, mean of the folds": runs}
    if base.test_every_epoch:
        groups["ours, epochs chosen on test"] = [run.best_on_test() for run in runs]
    groups |= {f"ours, fold {fold}": [run] for fold, run in zip(folds, runs, strict=True)}
    table = pd.concat([summarize(groups), published_rows(manifest.dataset)], ignore_index=True)
    write_tables(table, Path(base.output))
    return table
