"""Ablations: the configuration unchanged, and with one setting changed at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from m3dfel.config import TrainConfig, with_overrides
from m3dfel.config.bounded_yaml import read_yaml
from m3dfel.errors import InputError
from m3dfel.experiments.variants import Variant, train_variants
from m3dfel.training.prepare import with_architecture


def ablate(base: TrainConfig, seeds: Sequence[int], vary: Sequence[str]) -> pd.DataFrame:
    """Train the configuration unchanged and with one setting changed at a time; write the table.

    Args:
        base: the configuration; its output folder receives a folder per change and the tables.
        seeds: for the runs of each change.
        vary: `SETTING=VALUE,VALUE…`, such as `model.bag_size=1,2,4,8,16`; values are YAML.

    Returns:
        One row per change; the first is the unchanged configuration.

    Raises:
        InputError: a change is unreadable or invalid, or the data or a folder is unusable.
    """
    variants, unchanged = [Variant("unchanged", "unchanged")], with_architecture(base)
    for change in vary:
        setting, values = _parse_change(change)
        for value in values:
            if with_architecture(with_overrides(base, {setting: value})) != unchanged:
                text = value if isinstance(value, str) else json.dumps(value)
                folder = f"{setting}={text}".replace("/", "-")
                variants.append(Variant(f"{setting} = {text}", folder, {setting: value}))
    if len(variants) == 1:
        raise InputError(
            "nothing to vary: all values given to --vary are those of the configuration"
        )
    return train_variants(base, variants, seeds)


def _parse_change(change: str) -> tuple[str, list[Any]]:
    """Return the setting and the values of `SETTING=VALUE,VALUE…`."""
    setting, _, text = change.partition("=")
    try:
        values = read_yaml(f"[{text}]")
    except ValueError:
        values = []
    if not values:
        raise InputError(f"cannot read {change!r}: write SETTING=VALUE,VALUE…")
    return setting.strip(), values
