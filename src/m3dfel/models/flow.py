"""Optical flow: where every pixel moves, as two more channels of the frames of an instance.

`M3DFEL.encode` adds them just before the backbone, where training, evaluation and streams meet: so
the flow is always that of the frames as the network sees them, cropped, augmented, blended or
mirrored. An instance has no flow from or to other instances, since a stream has none of them yet.

By OpenCV's dense inverse search (Kroeger et al., "Fast Optical Flow using Dense Inverse Search",
ECCV 2016), on the CPU.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from m3dfel.errors import InputError
from m3dfel.opencv import cv2

FLOW_CHANNELS = 2

MIN_FLOW_SIZE = 12
"""Smaller pictures are refused by OpenCV."""


@torch.no_grad()
def optical_flow(gray: Float[Tensor, "M t H W"]) -> Float[Tensor, "M t 2 H W"]:
    """Return how far the pixels of each frame move, right and down, until the next frame.

    The unit is a hundredth of the width of the frames, which suits any size. It does not depend on
    the frame rate of a video, since the frames of an instance are chosen by time.

    The last frame of an instance repeats the flow before it. Frames that are the same, such as
    those of a still, have a flow of exactly 0, and so has a single frame.

    Args:
        gray: the frames of instances, gray values of 0 to 255.
    """
    frames = gray.round().clamp(0, 255).to("cpu", torch.uint8).numpy()
    # On faces with known small motion, the next finer preset (FAST) is a tenth closer to it, at
    # more than twice the time.
    estimator: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    flow = np.zeros((*frames.shape, FLOW_CHANNELS), np.float32)
    for instance, moved in zip(frames, flow, strict=True):
        for index, (frame, following) in enumerate(pairwise(instance)):
            if (frame != following).any():
                moved[index] = estimator.calc(frame, following, None)
        if len(moved) > 1:
            moved[-1] = moved[-2]
    channels_first = torch.from_numpy(flow).permute(0, 1, 4, 2, 3)
    return channels_first.to(gray) * (100 / gray.shape[-1])


def add_flow_channels(backbone: nn.Module) -> None:
    """Let the first convolution of a backbone see the flow too, with weights of 0, in place.

    It still loads the weights of a backbone without flow, such as published ones.

    Raises:
        InputError: the backbone has no convolution of three channels.
    """
    convolutions = (m for m in backbone.modules() if isinstance(m, nn.Conv2d | nn.Conv3d))
    for module in convolutions:
        if module.in_channels == 3 and module.groups == 1:
            module.in_channels += FLOW_CHANNELS
            module.weight = nn.Parameter(_widened(module.weight.detach()))
            module.register_load_state_dict_pre_hook(_widen_loaded)
            return
    raise InputError(
        f"the backbone {type(backbone).__name__} cannot see optical flow, since none of its "
        "convolutions takes the three colors: choose another backbone, or set model.flow to false"
    )


def _widened(weight: Tensor) -> Tensor:
    """Add input channels of 0 to the kernels of a convolution."""
    return F.pad(weight, (0, 0) * (weight.ndim - 2) + (0, FLOW_CHANNELS))


def _widen_loaded(_: nn.Module, weights: dict[str, Tensor], prefix: str, *__: Any) -> None:
    weight = weights.get(f"{prefix}weight")
    if weight is not None and weight.shape[1] == 3:
        weights[f"{prefix}weight"] = _widened(weight)
