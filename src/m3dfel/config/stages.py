"""The stages of a run: cheaper ones on smaller clips first, then the run itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from m3dfel.config.parsing import with_overrides
from m3dfel.config.settings import TrainConfig
from m3dfel.errors import InputError


def stages(config: TrainConfig) -> list[TrainConfig]:
    """Return what a configuration trains, in order; each starts from the weights of the last one.

    The final one is the run itself. The folders of the others, `stage-1` and so on, are inside its
    folder.

    Raises:
        InputError: a stage names an unknown setting, or a value of the wrong type or out of range.
    """
    run = replace(config, stages=[])
    runs = [_stage(run, overrides, n) for n, overrides in enumerate(config.stages, 1)] + [run]
    for index, before in enumerate(runs[:-1], 1):
        model = replace(runs[index].model, weights=before.output)
        runs[index] = replace(runs[index], model=model)
    return runs


def _stage(run: TrainConfig, overrides: Mapping[str, Any], number: int) -> TrainConfig:
    output = str(Path(run.output) / f"stage-{number}")
    try:
        return with_overrides(run, {**overrides, "stages": [], "output": output})
    except InputError as error:
        raise InputError(f"stage {number}: {error}") from error
