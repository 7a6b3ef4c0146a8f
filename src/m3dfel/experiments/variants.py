"""Training many variants of one configuration, one after another.

Every run has its own folder. `training.train` skips a finished run and resumes an interrupted one,
so a command over many runs can be stopped and repeated at any time.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from m3dfel.config import TrainConfig, with_overrides
from m3dfel.config.stages import stages
from m3dfel.data.manifest import read_manifests
from m3dfel.evaluation.runs import Run, pool, read_run
from m3dfel.experiments.folds import fold_configs, fold_names
from m3dfel.experiments.tables import compare_groups, write_tables
from m3dfel.files import atomic_write
from m3dfel.training.loop import train
from m3dfel.training.prepare import prepare


@dataclass(frozen=True)
class Variant:
    """A variant of a configuration: one row of a table.

    Attributes:
        name: of the row.
        folder: of its runs, relative to the output folder.
        overrides: from a setting's dotted name to its value.
    """

    name: str
    folder: str
    overrides: Mapping[str, Any] = field(default_factory=dict)


def train_variants(
    base: TrainConfig, variants: Sequence[Variant], seeds: Sequence[int]
) -> pd.DataFrame:
    """Train every variant with every seed, and write how they compare with the first variant.

    Data that `data.folds` splits are measured whole: each fold is trained, and the clips of all
    folds count as those of one run.

    Args:
        base: the configuration; its output folder receives `<folder>/seed-<seed>`, with folds a
            `fold-<fold>` in each, and the tables.
        variants: of the configuration.
        seeds: for the runs of each variant.

    Returns:
        The table of `compare_groups`, one row per variant.

    Raises:
        InputError: a configuration, the data or a folder is unusable.
    """
    configs = [
        with_overrides(
            base,
            {
                **variant.overrides,
                "seed": seed,
                "output": str(Path(base.output) / variant.folder / f"seed-{seed}"),
            },
        )
        for variant in variants
        for seed in seeds
    ]
    runs = _train_folds(configs) if base.data.folds else train_all(configs)
    groups = {
        variant.name: runs[index * len(seeds) : (index + 1) * len(seeds)]
        for index, variant in enumerate(variants)
    }
    table = compare_groups(groups)
    write_tables(table, Path(base.output))
    return table


def _train_folds(configs: Sequence[TrainConfig]) -> list[Run]:
    """Train every fold of each configuration of the same data; return one run for each."""
    data = configs[0].data
    manifest = read_manifests(data)
    folds = range(1, len(fold_names(manifest, data)) + 1)
    runs = train_all([run for config in configs for run in fold_configs(config, folds)])
    return [pool(runs[i : i + len(folds)]) for i in range(0, len(runs), len(folds))]


def train_all(configs: Sequence[TrainConfig]) -> list[Run]:
    """Train runs one after another, after checking all their configurations.

    Raises:
        InputError: a configuration, the data or a folder is unusable.
    """
    configs = [prepare(config) for config in configs]
    console = Console(stderr=True)
    start_s, trained = time.monotonic(), 0
    for index, config in enumerate(configs):
        if not _is_finished(config):
            line = f"run {index + 1} of {len(configs)}"
            if trained:
                remaining = sum(not _is_finished(later) for later in configs[index:])
                minutes = (time.monotonic() - start_s) / trained * remaining / 60
                line += f", about {minutes:.0f} minutes left"
            console.print(line, style="bold", highlight=False)
            trained += 1
            _copy_stages(config, configs[:index])
        train(config, resume=True)
    return [read_run(config.output) for config in configs]


def _copy_stages(config: TrainConfig, earlier: Sequence[TrainConfig]) -> None:
    """Copy the stages that an earlier run has trained in the same way.

    Most overrides affect only the run itself, so its stages need not be trained again.
    """
    for other in earlier:
        for stage, same in zip(_stages_of(config), _stages_of(other), strict=False):
            if stage != same:
                break
            source, target = (Path(run.output, stage.output) for run in (other, config))
            if not target.exists() and (source / "results.json").exists():
                with atomic_write(target) as copy:
                    shutil.copytree(source, copy)


def _stages_of(config: TrainConfig) -> list[TrainConfig]:
    """Return the stages that come before the run itself, with folders relative to its own."""
    return stages(replace(config, output=""))[:-1]


def _is_finished(config: TrainConfig) -> bool:
    return (Path(config.output) / "results.json").exists()
