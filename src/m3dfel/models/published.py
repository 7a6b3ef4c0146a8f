"""Reads the authors' published weights into our model.

Their checkpoints are `.pth` files that contain objects of other classes beside the weights
(command-line arguments, NumPy numbers, a training recorder); these are replaced by empty stand-ins,
so nothing in the file is ever executed. `_NAMES` maps the names of the published model (TFace,
attribute/M3DFEL) to ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from m3dfel.models.m3dfel import M3DFEL

_NAMES = {
    "features": "backbone",
    "lstm": "aggregation.lstm",
    "to_qkv": "aggregation.qkv",
    "norm.weight": "aggregation.norm.gamma",
    "norm.bias": "aggregation.norm.beta",
    "norm.mean_weight": "aggregation.norm.mean_lambda",
    "norm.var_weight": "aggregation.norm.var_lambda",
    "pwconv": "aggregation.pooling",
    "fc": "classifier",
}


class _StandIn:
    """Replaces any object that is not a weight and ignores what it would be built from."""

    def __init__(self, *parts: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def read_published(path: Path) -> M3DFEL:
    """Read a checkpoint of the published model, whose classes are in the order of `EMOTIONS`.

    Bag size, width and depth follow from the weights; variances are computed as in the published
    code. The published code does not normalize its input, and neither does the model returned: its
    `mean` is 0 and its `std` 1.

    Args:
        path: the `.pth`, with or without `state_dict`, its names with or without `module.`.

    Raises:
        InputError: missing, not a checkpoint, or not of this model.
    """
    weights = {}
    for name, value in _state_dict(path).items():
        published = name.removeprefix("module.")
        for theirs, ours in _NAMES.items():
            if published == theirs or published.startswith(theirs + "."):
                weights[ours + published.removeprefix(theirs)] = value
    try:
        # Per-channel parameters are published as (1, C, 1).
        for name in ("aggregation.norm.gamma", "aggregation.norm.beta"):
            weights[name] = weights[name].flatten()
        model = M3DFEL(
            bag_size=weights["aggregation.pooling.weight"].shape[1],
            backbone_options={
                "width": weights["backbone.0.0.weight"].shape[0],
                "depth": 18 if "backbone.1.1.conv1.0.weight" in weights else 10,
            },
            aggregation_options={"unbiased": True},
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
        )
        model.load_state_dict(weights)
    except (KeyError, IndexError, RuntimeError) as error:
        raise InputError(
            f"{path} is a checkpoint but not of M3DFEL with {len(EMOTIONS)} emotions: "
            f"{str(error).strip().splitlines()[-1].strip()}"
        ) from error
    return model


def _state_dict(path: Path) -> dict[str, Tensor]:
    try:
        foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        stand_ins: list[Any] = [(_StandIn, name) for name in foreign]
        with torch.serialization.safe_globals(stand_ins):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"no checkpoint at {path}: check the path") from error
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(
            f"{path} cannot be read as a checkpoint: is it a complete .pth file?"
        ) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state:
        raise InputError(f"{path} contains no weights: expected a state_dict")
    if not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path} contains no weights: expected a state_dict with tensors only")
    return state
