"""Many runs, one table: folds, ablations and comparisons, as the papers report them.

Each is a list of variants of one configuration. Every variant is trained in a folder of its own by
`training.train`, which returns at once where a run is finished and goes on where one was stopped;
then `summary` makes the table. So each command can be stopped at any time, and given again goes on.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from rich.console import Console

from m3dfel.config import TrainConfig, check, previous_stage, with_overrides
from m3dfel.data.manifest import read_manifest
from m3dfel.errors import InputError
from m3dfel.evaluation.runs import Run, read_run
from m3dfel.experiments.tables import compare_groups, published_rows, summarize, write_tables
from m3dfel.files import atomic_write
from m3dfel.training.loop import train

_FRAMES = "frames"  # stands for the clip's number of frames: every frame is an instance


@dataclass(frozen=True)
class Variant:
    """A row of a table: what is changed in the configuration, and the runs' folder.

    Attributes:
        name: of the row.
        changes: from dotted setting to value.
        folder: below the output.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    folder: str = "unchanged"


def _method(backbone: str, aggregation: str, bag_size: int | str) -> dict[str, Any]:
    return {
        "model.backbone": backbone,
        "model.aggregation": aggregation,
        "model.bag_size": bag_size,
    }


METHODS = {
    "m3dfel": Variant("M3DFEL"),
    "r3d": Variant("R3D-18, whole clip", _method("r3d", "mean", 1)),
    "r2plus1d": Variant("R(2+1)D-18, whole clip", _method("r2plus1d", "mean", 1)),
    "mc3": Variant("MC3-18, whole clip", _method("mc3", "mean", 1)),
    "resnet-lstm": Variant("ResNet-18 + LSTM", _method("resnet", "lstm", _FRAMES)),
    "resnet-transformer": Variant(
        "ResNet-18 + Transformer", _method("resnet", "transformer", _FRAMES)
    ),
    "mil-max": Variant("frame-wise MIL, max", _method("resnet", "max", _FRAMES)),
    "mil-mean": Variant("frame-wise MIL, mean", _method("resnet", "mean", _FRAMES)),
    "mil-attention": Variant(
        "frame-wise MIL, gated attention", _method("resnet", "attention", _FRAMES)
    ),
}
"""What `compare` knows: the configuration's own model, as M3DFEL, and the baselines."""


def compare(base: TrainConfig, seeds: Sequence[int], methods: Sequence[str] = ()) -> pd.DataFrame:
    """Train methods in the same protocol and write how they compare to the first.

    Args:
        base: the protocol; its output receives `<method>/seed-<seed>` and the tables.
        seeds: of the runs of each method.
        methods: keys of `METHODS`; none for all.

    Returns:
        The summary's table.

    Raises:
        InputError: an unknown method, or a configuration, data or folder that cannot be used.
    """
    chosen = methods or list(METHODS)
    unknown = [name for name in chosen if name not in METHODS]
    if unknown:
        raise InputError(f"no method {', '.join(unknown)}: there are {', '.join(METHODS)}")
    variants = [
        Variant(
            METHODS[name].name,
            {
                setting: base.model.frames if value == _FRAMES else value
                for setting, value in METHODS[name].changes.items()
            },
            name,
        )
        for name in chosen
    ]
    return _over_seeds(base, variants, seeds)


def ablate(base: TrainConfig, seeds: Sequence[int], vary: Sequence[str]) -> pd.DataFrame:
    """Train the configuration unchanged and with one setting changed at a time; write the table.

    Args:
        base: the configuration; its output receives a folder for each change and the tables.
        seeds: of the runs of each change.
        vary: `SETTING=VALUE,VALUE…`, such as `model.bag_size=1,2,4,8,16`; values are YAML.

    Returns:
        The summary's table; the unchanged configuration comes first.

    Raises:
        InputError: a change that cannot be read or made, or data or a folder that cannot be used.
    """
    variants = [Variant("unchanged")]
    for change in vary:
        setting, values = _read_change(change)
        for value in values:
            varied = with_overrides(base, {setting: value})
            if varied != base:
                told = value if isinstance(value, str) else json.dumps(value)
                folder = f"{setting}={told}".replace("/", "-")
                variants.append(Variant(f"{setting} = {told}", {setting: value}, folder))
    if len(variants) == 1:
        raise InputError("nothing is varied: give --vary SETTING=VALUE,VALUE… with other values")
    return _over_seeds(base, variants, seeds)


def _read_change(change: str) -> tuple[str, list[Any]]:
    setting, _, values = change.partition("=")
    try:
        read = yaml.safe_load(f"[{values}]")
    except yaml.YAMLError:
        read = []
    if not read:
        raise InputError(f"{change!r} varies nothing: write SETTING=VALUE,VALUE…")
    return setting.strip(), read


def crossval(base: TrainConfig, folds: Sequence[int] = ()) -> pd.DataFrame:
    """Train and measure every fold; write mean and spread, with published results beside them.

    Args:
        base: the configuration; its output receives `fold-<fold>` and the tables. Data without
            official folds are parted as `data.folds` says.
        folds: which; none for all.

    Returns:
        The table: the mean over the folds, the same for the epochs best on test where they were
        measured (as published code chooses), every fold by itself, and published results.

    Raises:
        InputError: data without folds, or a configuration, data or folder that cannot be used.
    """
    manifest = read_manifest(base.data.path, base.data.fold, base.data.labels)
    count = base.data.folds or manifest.folds
    if not count:
        raise InputError(
            f"{base.data.path} has no official folds: `m3dfel train` measures its own split; to "
            "part it into five all the same, give --data.folds 5"
        )
    wanted = folds or range(1, count + 1)
    folders = [Path(base.output) / f"fold-{fold}" for fold in wanted]
    runs = _train_all(
        [
            with_overrides(base, {"data.fold": fold, "output": str(folder)})
            for fold, folder in zip(wanted, folders, strict=True)
        ]
    )
    groups: dict[str, Sequence[Run]] = {"ours, mean of the folds": runs}
    if base.test_every_epoch:
        groups["ours, epochs chosen on test"] = [run.best_on_test() for run in runs]
    groups |= {f"ours, fold {fold}": [run] for fold, run in zip(wanted, runs, strict=True)}
    table = pd.concat([summarize(groups), published_rows(manifest.dataset)], ignore_index=True)
    write_tables(table, Path(base.output))
    return table


def _over_seeds(
    base: TrainConfig, variants: Sequence[Variant], seeds: Sequence[int]
) -> pd.DataFrame:
    configs = [
        with_overrides(
            base,
            {
                **variant.changes,
                "seed": seed,
                "output": str(Path(base.output) / variant.folder / f"seed-{seed}"),
            },
        )
        for variant in variants
        for seed in seeds
    ]
    runs = _train_all(configs)
    groups = {
        variant.name: runs[place * len(seeds) : (place + 1) * len(seeds)]
        for place, variant in enumerate(variants)
    }
    table = compare_groups(groups)
    write_tables(table, Path(base.output))
    return table


def _train_all(configs: Sequence[TrainConfig]) -> list[Run]:
    """Train one run after another; every configuration is checked before the first begins."""
    for config in configs:
        check(config)
    say = Console(stderr=True).print
    began, trained = time.monotonic(), 0
    for place, config in enumerate(configs):
        left = sum(not _finished(later) for later in configs[place:])
        if not _finished(config):
            line = f"run {place + 1} of {len(configs)}"
            if trained:
                minutes = (time.monotonic() - began) / trained * left / 60
                line += f", about {minutes:.0f} minutes left"
            say(line, style="bold", highlight=False)
            trained += 1
            _copy_stage(config, configs[:place])
        train(config, resume=True)
    return [read_run(config.output) for config in configs]


def _copy_stage(config: TrainConfig, earlier: Sequence[TrainConfig]) -> None:
    """Take the stage before from an earlier run that begins with the very same one, if any does.

    What was changed is often nothing that this stage knows of, and it is not trained once more.
    """
    stage = previous_stage(config)
    if not stage or Path(stage.output).exists():
        return
    for other in filter(None, map(previous_stage, earlier)):
        if _finished(other) and replace(other, output="") == replace(stage, output=""):
            with atomic_write(Path(stage.output)) as copied:
                # Without its configuration, which names the other folder: training writes its own.
                shutil.copytree(other.output, copied, ignore=shutil.ignore_patterns("config.yaml"))
            return


def _finished(config: TrainConfig) -> bool:
    return (Path(config.output) / "results.json").exists()
