"""Comparing methods: M3DFEL and baselines, trained and evaluated in the same protocol.

To add a method, add a line to `METHODS`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from m3dfel.config import TrainConfig
from m3dfel.errors import InputError
from m3dfel.experiments.variants import Variant, train_variants
from m3dfel.training.prepare import with_architecture

_FRAMES = "frames"  # as a bag size: every frame is an instance


def _parts(backbone: str, aggregation: str, bag_size: int | str) -> dict[str, int | str]:
    return {
        "model.backbone": backbone,
        "model.aggregation": aggregation,
        "model.bag_size": bag_size,
    }


METHODS: dict[str, tuple[str, dict[str, int | str]]] = {
    "m3dfel": ("M3DFEL", {}),
    "r3d": ("R3D-18, whole clip", _parts("r3d", "mean", 1)),
    "r2plus1d": ("R(2+1)D-18, whole clip", _parts("r2plus1d", "mean", 1)),
    "mc3": ("MC3-18, whole clip", _parts("mc3", "mean", 1)),
    "resnet-lstm": ("ResNet-18 + LSTM", _parts("resnet", "lstm", _FRAMES)),
    "resnet-transformer": ("ResNet-18 + Transformer", _parts("resnet", "transformer", _FRAMES)),
    "mil-max": ("frame-wise MIL, max", _parts("resnet", "max", _FRAMES)),
    "mil-mean": ("frame-wise MIL, mean", _parts("resnet", "mean", _FRAMES)),
    "mil-attention": ("frame-wise MIL, gated attention", _parts("resnet", "attention", _FRAMES)),
}
"""The methods of `compare`, by name: as the tables show it, and the settings that differ.

`m3dfel` is the model of the configuration, as it is.
"""


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
    variants = []
    for name in names:
        title, settings = METHODS[name]
        overrides = {s: frames if v == _FRAMES else v for s, v in settings.items()}
        variants.append(Variant(title, name, overrides))
    return train_variants(base, variants, seeds)
