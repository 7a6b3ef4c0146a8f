"""Checks of a whole configuration, before any long work starts."""

from __future__ import annotations

from collections.abc import Iterator

from m3dfel.config.ranges import out_of_range
from m3dfel.config.settings import TrainConfig
from m3dfel.config.stages import stages
from m3dfel.emotions import parse_label_set
from m3dfel.errors import InputError


def check(config: TrainConfig) -> None:
    """Check every setting of a run, and how the settings of it and of its stages fit together.

    Raises:
        InputError: naming every wrong setting, its value and what it must be.
    """
    problems = out_of_range(config)
    if not problems:
        problems = [*_contradictions(config)]
        for number, stage in enumerate(stages(config)[:-1], 1):
            found = (problem for problem in _contradictions(stage) if problem not in problems)
            problems += [f"stage {number}: {problem}" for problem in found]
    if problems:
        raise InputError("wrong configuration: " + "; ".join(problems))


def _contradictions(config: TrainConfig) -> Iterator[str]:
    """Yield a problem for each pair of settings that do not fit together."""
    data, model, augment, optim = config.data, config.model, config.augment, config.optim
    if not config.output:
        yield "output is '' but must be a folder for the run"
    if not data.paths or not all(data.paths):
        yield f"data.path is {data.path!r} but must be a data set, a manifest or `synthetic`"
    if data.mixing_weights and len(data.mixing_weights) != len(data.paths):
        yield (
            f"data.mixing_weights is {data.mixing_weights} but must be one number for each path of "
            "data.path"
        )
    if data.folds == 1:
        yield "data.folds is 1 but must be 0, 2 or more, or `identity`"
    if isinstance(data.folds, int) and 0 < data.folds < data.fold:
        yield f"data.fold is {data.fold} but must be 1 to {data.folds} (data.folds)"
    try:
        if data.labels != (labels := list(parse_label_set(data.labels))):
            yield f"data.labels is {data.labels} but must be written {labels}"
    except InputError as error:
        yield str(error)
    if model.frames and model.bag_size and model.frames % model.bag_size:
        yield (
            f"model.bag_size is {model.bag_size} but must be a divisor of model.frames "
            f"({model.frames})"
        )
    if model.context and model.bag_size == 1:
        yield (
            f"model.context is {model.context} but must be 0 if model.bag_size is 1: around a "
            "single instance, there is nothing else to see"
        )
    for name, pair in ("crop_scale", augment.crop_scale), ("crop_ratio", augment.crop_ratio):
        if pair[0] > pair[1]:
            yield f"augment.{name} is {pair!r} but the first must not exceed the second"
    if optim.warmup_epochs > optim.epochs:
        yield (
            f"optim.warmup_epochs is {optim.warmup_epochs} but must be at most optim.epochs "
            f"({optim.epochs})"
        )
    if optim.batch_size % optim.accumulate:
        yield (
            f"optim.batch_size is {optim.batch_size} but must be a multiple of optim.accumulate "
            f"({optim.accumulate})"
        )
    if optim.min_lr > optim.lr:
        yield f"optim.min_lr is {optim.min_lr} but must be at most optim.lr ({optim.lr})"
