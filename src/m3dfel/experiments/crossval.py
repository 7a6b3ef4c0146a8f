"""Cross-validation: train and evaluate every fold, as the papers report DFEW."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from m3dfel.config import TrainConfig
from m3dfel.data.manifest import read_manifests
from m3dfel.errors import InputError
from m3dfel.evaluation.runs import Run, pool
from m3dfel.experiments.folds import fold_configs, fold_names
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
    manifest = read_manifests(base.data)
    names = fold_names(manifest, base.data)
    folds = folds or range(1, len(names) + 1)
    wrong = [fold for fold in folds if not 1 <= fold <= len(names)]
    if wrong:
        raise InputError(f"there is no fold {wrong[0]}: the folds are 1 to {len(names)}")
    runs = train_all(fold_configs(base, folds))
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
