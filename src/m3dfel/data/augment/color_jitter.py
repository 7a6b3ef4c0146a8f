"""The color jitter of a batch as tensors, for training on a GPU.

The processes that read clips draw the changes, with the random numbers of `frame_augmentation`, and
the model's device makes them. So the processes have less to do, and the clips stay the same within
a few gray levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from m3dfel.opencv import LUMINANCE

# The steps before and after the hue is turned, and a step that blends nothing.
_BLENDS = 3
_NO_BLEND = (1.0, 0.0, 0.0)

NO_JITTER = torch.tensor([*[_NO_BLEND] * _BLENDS, (0.0, 0.0, 0.0), *[_NO_BLEND] * _BLENDS])
"""The color change that leaves a clip as it is."""


def jitter_as_tensor(parameters: Mapping[str, Any]) -> Float[Tensor, "7 3"]:
    """Return the parameters of torchvision's `ColorJitter` as a tensor.

    Brightness, contrast and saturation blend a pixel with black, with the mean luminance of its
    frame and with its own luminance. Their order is random, but a GPU is fastest if all clips take
    the same steps: up to three blends before the hue is turned, and up to three after.

    Returns:
        A row per step. Of a blend: the fraction of the pixel that is kept, and the fractions of the
        mean luminance and of the pixel's own in what it is blended with. Of the hue: the fraction
        of a turn, in the first column.
    """
    blends = (
        (parameters["brightness_factor"], 0.0, 0.0),
        (parameters["contrast_factor"], 1.0, 0.0),
        (parameters["saturation_factor"], 0.0, 1.0),
    )
    order = parameters["fn_idx"].tolist()
    hue = order.index(3)
    change = NO_JITTER.clone()
    change[_BLENDS, 0] = parameters["hue_factor"]
    for step, operation in enumerate(order):
        if step != hue:
            row = step if step < hue else _BLENDS + step - hue
            change[row] = torch.tensor(blends[operation])
    return change


def apply_color_jitter(
    clips: UInt8[Tensor, "B T 3 H W"], changes: Float[Tensor, "B 7 3"] | None
) -> UInt8[Tensor, "B T 3 H W"]:
    """Change the colors of each clip of a batch, on its device; None leaves them as they are."""
    if changes is None:
        return clips
    colors = clips.float()
    luminance = colors.new_tensor(LUMINANCE).view(3, 1, 1)
    for step, rows in enumerate(changes.view(len(clips), -1, 3, 1, 1, 1, 1).unbind(1)):
        kept, of_mean, of_own = rows.unbind(1)
        if step == _BLENDS:
            colors = _turn_hue(colors, kept)
        else:
            own = (colors * luminance).sum(2, keepdim=True)
            other = of_mean * own.mean((3, 4), keepdim=True) + of_own * own
            # Fractions are cut off, as torchvision does.
            colors = torch.lerp(other, colors, kept).clamp(0, 255).floor()
    return colors.to(torch.uint8)


def _turn_hue(
    colors: Float[Tensor, "B T 3 H W"], turns: Float[Tensor, "B 1 1 1 1"]
) -> Float[Tensor, "B T 3 H W"]:
    """Turn the hue of pixels from 0 to 255 in the color space HSV."""
    value = colors.amax(2, keepdim=True)
    chroma = value - colors.amin(2, keepdim=True)
    red, green, blue = ((colors - value) / chroma.clamp_min(1)).split(1, 2)
    is_red, is_green = red == 0, green == 0
    hue = torch.where(is_red, green - blue, torch.where(is_green, 2 + blue - red, 4 + red - green))
    # How far each channel is from the hue, in sixths of a turn, says how much chroma it loses.
    channels = colors.new_tensor((5.0, 3.0, 1.0)).view(3, 1, 1)
    distance = (channels + hue + 6 * turns) % 6
    lost = torch.minimum(distance, 4 - distance).clamp(0, 1)
    return (value - chroma * lost).round()
