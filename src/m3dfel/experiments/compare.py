"""Comparing methods: M3DFEL and baselines, trained and evaluated in the same protocol.

To add a method, add a line to `METHODS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from m3dfel.config import TrainConfig
from m3dfel.errors import InputError
from m3dfel.experiments.variants import Variant, train_variants
from m3dfel.training.prepare import with_architecture

_ALL_FRAMES = "frames"  # as a bag size: every frame is an instance


@dataclass(frozen=True)
class Method:
    """A method to compare.

    Attributes:
        name: as the tables show it.
        settings: from a setting's dotted name to its value; the others are the configuration's.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def _baseline(name: str, backbone: str, aggregation: str, bag_size: int | str) -> Method:
    settings = {
        "model.backbone": backbone,
        "model.aggregation": aggregation,
        "model.bag_size": bag_size,
    }
    return Method(name, settings)


METHODS: dict[str, Method] = {
    "m3dfel": Method("M3DFEL"),
    "r3d": _baseline("R3D-18, whole clip", "r3d", "mean", 1),
    "r2plus1d": _baseline("R(2+1)D-18, whole clip", "r2plus1d", "mean", 1),
    "mc3": _baseline("MC3-18, whole clip", "mc3", "mean", 1),
    "resnet-lstm": _baseline("ResNet-18 + LSTM", "resnet", "lstm", _ALL_FRAMES),
    "resnet-transformer": _baseline(
        "ResNet-18 + Transformer", "resnet", "transformer", _ALL_FRAMES
    ),
    "mil-max": _baseline("frame-wise MIL, max", "resnet", "max", _ALL_FRAMES),
    "mil-mean": _baseline("frame-wise MIL, mean", "resnet", "mean", _ALL_FRAMES),
    "mil-attention": _baseline(
        "frame-wise MIL, gated attention", "resnet", "attention", _ALL_FRAMES
    ),
}
"""The methods of `compare`, by name. `m3dfel` is the model of the configuration, as it is."""


def compare(base: TrainConfig, seeds: Sequence[int], methods: Sequence[str] = ()) -> pd.DataFrame:
    """Train methods in the same protocol, and write how they compare with the first of them.

    Args:
        base: the protocol; its output folder receives `<method>/seed-<seed>` and the tables.
        seeds: for the runs of each method.
        methods: keys of `METHODS`; empty for all.

    Returns:
        One row per method.

    Raises:
        InputError: a method is unknown, or the configuration, the data or a folder is unusable.
    """
    names = methods or list(METHODS)
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise InputError(f"unknown method {', '.join(unknown)}: use one of {', '.join(METHODS)}")
    frames = with_architecture(base).model.frames or 0
    variants = [
        Variant(METHODS[name].name, name, _overrides(METHODS[name], frames)) for name in names
    ]
    return train_variants(base, variants, seeds)


def _overrides(method: Method, frames: int) -> dict[str, Any]:
    """Return a method's settings for clips of so many frames."""
    return {
        setting: frames if value == _ALL_FRAMES else value
        for setting, value in method.settings.items()
    }
