"""The stages of a run: cheaper ones on smaller clips first, then the run itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from m3dfel.config.settings import Stage, TrainConfig


def stages(config: TrainConfig) -> list[TrainConfig]:
    """Return what a configuration trains, in order; each starts from the weights of the last one.

    The final one is the run itself. The folders of the others, `stage-1` and so on, are inside its
    folder.
    """
    runs = [_stage(config, stage, number) for number, stage in enumerate(config.stages, 1)]
    runs.append(replace(config, stages=[]))
    for index, before in enumerate(runs[:-1], 1):
        model = replace(runs[index].model, weights=before.output)
        runs[index] = replace(runs[index], model=model)
    return runs


def _stage(config: TrainConfig, stage: Stage, number: int) -> TrainConfig:
    data = replace(
        config.data,
        balance=stage.balance,
        prior_correction=0.0,
        neutral_probability=stage.neutral_probability,
    )
    if stage.path:
        data = replace(data, path=stage.path, mixing_weights=[], folds=0, fold=1)
    model = replace(
        config.model,
        frames=stage.frames,
        bag_size=stage.bag_size,
        size=stage.size or config.model.size,
        # Around a single instance, there is nothing else to see.
        context=config.model.context if stage.bag_size > 1 else 0,
    )
    if stage.aggregation:
        model = replace(model, aggregation=stage.aggregation, aggregation_options={})
    optim = replace(
        config.optim,
        epochs=stage.epochs,
        epoch_clips=stage.epoch_clips,
        lr=stage.lr,
        warmup_epochs=min(config.optim.warmup_epochs, stage.epochs),
    )
    return replace(
        config,
        output=str(Path(config.output) / f"stage-{number}"),
        data=data,
        model=model,
        optim=optim,
        stages=[],
        target_accuracy=0.0,
        precision=stage.precision or config.precision,
    )
