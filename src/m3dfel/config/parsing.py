"""From nested settings, as recipes and the command line give them, to a configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser
from pydantic import ValidationError

from m3dfel.config.bounded_yaml import read_yaml
from m3dfel.config.ranges import out_of_range
from m3dfel.config.recipes import find_recipe
from m3dfel.config.settings import TrainConfig
from m3dfel.errors import InputError, wrong_value


def from_settings(settings: Mapping[str, Any]) -> TrainConfig:
    """Return the configuration that nested settings describe; it is not checked as a whole.

    Raises:
        InputError: an unknown setting, or a value of the wrong type or out of range.
    """
    parser = _parser()
    try:
        config = TrainConfig(**parser.instantiate(parser.parse_object(dict(settings))).as_dict())
    except ArgumentError as error:
        raise InputError(f"wrong configuration: {explain(error)}") from error
    if problems := out_of_range(config):
        raise InputError("wrong configuration: " + "; ".join(problems))
    return config


@cache
def _parser() -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TrainConfig)
    return parser


def read_recipe(name: str, overrides: Mapping[str, Any] | None = None) -> TrainConfig:
    """Return the configuration of a recipe.

    Args:
        name: of a recipe that ships with the package, or the path of a YAML file.
        overrides: as for `with_overrides`.

    Raises:
        InputError: there is no such recipe, or a setting is wrong.

    Example:
        >>> from m3dfel.config import read_recipe
        >>> read_recipe("dfew", {"data.path": "DFEW", "output": "runs/dfew"}).optim.batch_size
        256
    """
    settings = read_yaml(find_recipe(name).read_text(encoding="utf-8"))
    return with_overrides(from_settings(settings), overrides or {})


def with_overrides(config: TrainConfig, overrides: Mapping[str, Any]) -> TrainConfig:
    """Return a copy of a configuration with some settings replaced.

    Args:
        config: the original.
        overrides: from dotted name, such as `model.bag_size`, to the new value. A part's option is
            named after its mapping: `model.aggregation_options.norm`. Naming an aggregation resets
            its options.

    Raises:
        InputError: an unknown setting, or a value of the wrong type or out of range.
    """
    settings = plain_settings(config)
    if "model.aggregation" in overrides:
        settings["model"]["aggregation_options"] = {}
    for name, value in overrides.items():
        *groups, last = name.split(".")
        group: Any = settings
        for part in groups:
            if isinstance(group, dict) and part.endswith("_options"):
                group[part] = group[part] or {}
            group = group.get(part) if isinstance(group, dict) else None
        is_option = groups[-1:] != [] and groups[-1].endswith("_options")
        is_setting = isinstance(group, dict) and last in group and last not in _GROUPS
        if not isinstance(group, dict) or not (is_option or is_setting):
            raise InputError(f"no setting {name!r}: `m3dfel train --help` explains all of them")
        group[last] = value
    return from_settings(settings)


def plain_settings(config: TrainConfig) -> dict[str, Any]:
    """Return the settings as they are read back from YAML: with lists instead of tuples."""
    return json.loads(json.dumps(asdict(config)))


_GROUPS = ("data", "model", "augment", "loss", "optim")


def explain(error: ArgumentError) -> str:
    """Return what jsonargparse found wrong, as one sentence that names the setting."""
    names: list[str] = []
    root: BaseException = error
    while root.__cause__:
        root = root.__cause__
        quoted = str(root).split('"')
        if quoted[0] == "Parser key ":
            names.append(quoted[1])
    name = ".".join(names)
    if isinstance(root, ValidationError):
        return wrong_value(name, root.errors()[0])
    reason = " ".join(str(root).split())
    for theirs, ours in _PLAINER.items():
        reason = reason.replace(theirs, ours)
    return f"{name}: {reason}" if name else reason


_PLAINER = {
    "typing.": "",
    "<class '": "",
    "'>": "",
    "Expected a ": "expected ",
    ". Got value: ": ", got ",
}
"""What is plainer in jsonargparse's messages."""
