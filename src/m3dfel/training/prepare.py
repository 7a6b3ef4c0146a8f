"""Complete and check the configuration of a run, before any long work starts."""

from __future__ import annotations

import inspect
from dataclasses import asdict, fields, replace
from typing import Any

from m3dfel.config import ModelConfig, TrainConfig
from m3dfel.config.checks import check
from m3dfel.config.stages import stages
from m3dfel.errors import InputError
from m3dfel.models.aggregations import AGGREGATIONS
from m3dfel.models.backbones import BACKBONES
from m3dfel.models.checkpoints import load_model
from m3dfel.models.exported import ExportedModel
from m3dfel.models.m3dfel import M3DFEL


def prepare(config: TrainConfig) -> TrainConfig:
    """Return a configuration with every setting of its model, after checking all of them.

    Raises:
        InputError: a setting is wrong, or there is no model of the name in `model.weights`.
    """
    complete = with_architecture(config)
    check(complete)
    for run in stages(complete):
        model = asdict(run.model)
        BACKBONES.check(model["backbone"], model["backbone_options"])
        AGGREGATIONS.check(model["aggregation"], model["aggregation_options"])
    return complete


def with_architecture(config: TrainConfig) -> TrainConfig:
    """Return a configuration whose model has every setting.

    A setting that is not named is that of the trained model the run starts from, if there is one,
    else the default of `M3DFEL`. The options of another backbone or aggregation are not taken over.

    Raises:
        InputError: there is no such trained model, or it is exported.

    Example:
        >>> from m3dfel.config import TrainConfig, with_overrides
        >>> config = with_overrides(TrainConfig(), {"model.weights": "bundled", "model.frames": 8})
        >>> model = with_architecture(config).model
        >>> model.frames, model.size, model.backbone_options
        (8, 64, {'depth': 18, 'width': 32})
    """
    named = {name: value for name, value in asdict(config.model).items() if value is not None}
    if len(named) == len(fields(ModelConfig)):
        return config
    settings = _settings_of(config.model.weights)
    trains = config.optim.trains
    if trains("backbone") or trains("movement_head") or "movements" in named:
        settings["movement_classifier"] = False  # what it knows would no longer be right
    starts_anew = named.get("movement_classifier") and not settings["movement_classifier"]
    if starts_anew and not trains("movement_classifier"):
        raise InputError(
            "model.movement_classifier is true, but it would never learn: add movement_classifier "
            "to optim.parts"
        )
    if "movements" in named:
        settings["reported_movements"] = ()  # whoever names movements wants to see them
    for part in "backbone", "aggregation":
        options = f"{part}_options"
        same = named.get(part, settings[part]) == settings[part]
        named[options] = (settings[options] or {} if same else {}) | named.get(options, {})
    return replace(config, model=ModelConfig(**settings | named))


def _settings_of(weights: str) -> dict[str, Any]:
    """Return the settings of the model that a run starts from, apart from its weights."""
    names = [field.name for field in fields(ModelConfig) if field.name != "weights"]
    if weights in ("pretrained", "none"):
        parameters = inspect.signature(M3DFEL.__init__).parameters
        return {name: parameters[name].default for name in names}
    trained = load_model(weights)
    if isinstance(trained, ExportedModel):
        raise InputError(f"{weights} is an exported model: start from the model that was trained")
    return {name: trained.settings[name] for name in names}
