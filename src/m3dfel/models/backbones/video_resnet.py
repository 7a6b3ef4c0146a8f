"""The backbone: what reads one instance, the strong short-term motion.

The paper's is torchvision's R3D-18 without its classifier. Beside it stand the networks it is
compared with: R(2+1)D-18 and MC3-18 (Tran et al., "A Closer Look at Spatiotemporal Convolutions",
CVPR 2018), and ResNet-18 (He et al., CVPR 2016), which reads each frame by itself. They are one
network but for their convolutions, and are built here from torchvision's own blocks so that they
can also be narrower or shallower for small machines; at width 64 and depth 18 each is torchvision's
network, entry by entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor, hub, nn

from m3dfel._torchvision import (
    BasicBlock,
    Conv2Plus1D,
    Conv3DNoTemporal,
    Conv3DSimple,
    MC3_18_Weights,
    R2Plus1D_18_Weights,
    R3D_18_Weights,
    ResNet18_Weights,
)
from m3dfel.errors import InputError

KINETICS = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class _StemConv(nn.Conv3d):
    """A 3×7×7 or 3×3×3 convolution that does no work on the padding before and after one frame."""

    def forward(self, input: Tensor) -> Tensor:
        if input.shape[2] > 1:
            return super().forward(input)
        middle = self.weight[:, :, 1:2]  # the rest of the kernel would meet nothing but padding
        return F.conv3d(input, middle, self.bias, self.stride, (0, *self.padding[1:]))


class _BlockConv(_StemConv, Conv3DSimple):  # type: ignore[misc]  # torchvision has no types
    """The same for torchvision's blocks, which call it with their own words."""


def _stem(width: int) -> list[nn.Module]:
    """Return the stem of R3D and MC3."""
    return _normalized(_StemConv(3, width, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False))


def _stem_2plus1d(width: int) -> list[nn.Module]:
    """Return the stem of R(2+1)D: across the picture, then along time."""
    between = round(45 / 64 * width)
    return [
        *_normalized(nn.Conv3d(3, between, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False)),
        *_normalized(nn.Conv3d(between, width, (3, 1, 1), 1, (1, 0, 0), bias=False)),
    ]


def _stem_2d(width: int) -> list[nn.Module]:
    """Return the stem of ResNet, which alone of the four halves the picture twice."""
    return [
        *_normalized(nn.Conv3d(3, width, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False)),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
    ]


def _normalized(conv: nn.Conv3d) -> list[nn.Module]:
    return [conv, nn.BatchNorm3d(conv.out_channels), nn.ReLU(inplace=True)]


@dataclass(frozen=True)
class _Kind:
    """What makes one of the networks: its stem, the convolutions of its stages, its weights."""

    stem: Callable[[int], list[nn.Module]]
    convs: tuple[Any, Any, Any, Any]
    weights: Any
    normalization: tuple[tuple[float, float, float], tuple[float, float, float]] = KINETICS


_KINDS = {
    "r3d": _Kind(_stem, (_BlockConv,) * 4, R3D_18_Weights.KINETICS400_V1),
    "r2plus1d": _Kind(_stem_2plus1d, (Conv2Plus1D,) * 4, R2Plus1D_18_Weights.KINETICS400_V1),
    "mc3": _Kind(_stem, (_BlockConv, *(Conv3DNoTemporal,) * 3), MC3_18_Weights.KINETICS400_V1),
    "resnet": _Kind(
        _stem_2d, (Conv3DNoTemporal,) * 4, ResNet18_Weights.IMAGENET1K_V1, normalization=IMAGENET
    ),
}


class Backbone(nn.Sequential):
    """Residual network with global average pooling: (M, 3, t, H, W) → (M, 8·width).

    Args:
        kind: `r3d`, `r2plus1d`, `mc3`, or `resnet`, whose answer to several frames is the mean of
            its answers to each.
        width: channels of the stem and the first stage; the four stages have 1, 2, 4 and 8 times
            as many.
        depth: 18 (two blocks a stage) or 10 (one).

    Raises:
        InputError: a kind or depth that cannot be.
    """

    def __init__(self, kind: str = "r3d", width: int = 64, depth: int = 18) -> None:
        if depth not in (10, 18):
            raise InputError(f"the backbone's depth is {depth} but must be 10 or 18")
        if kind not in _KINDS:
            raise InputError(f"the backbone is {kind!r} but must be one of {', '.join(_KINDS)}")
        made, blocks = _KINDS[kind], 2 if depth == 18 else 1
        first, second, third, fourth = made.convs
        super().__init__(
            nn.Sequential(*made.stem(width)),
            _stage(first, width, width, blocks, stride=1),
            _stage(second, width, 2 * width, blocks, stride=2),
            _stage(third, 2 * width, 4 * width, blocks, stride=2),
            _stage(fourth, 4 * width, 8 * width, blocks, stride=2),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
        )
        self.kind = kind
        self.out_features = 8 * width
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _stage(conv: Any, entering: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    shortcut = None
    if stride != 1 or entering != channels:
        strides = conv.get_downsample_stride(stride)
        shortcut = nn.Sequential(
            nn.Conv3d(entering, channels, 1, stride=strides, bias=False), nn.BatchNorm3d(channels)
        )
    first = BasicBlock(entering, channels, conv, stride, shortcut)
    rest = [BasicBlock(channels, channels, conv) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def normalization(kind: str) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return the mean and standard deviation of the frames on which a kind was pretrained."""
    return _KINDS[kind].normalization


def load_pretrained(backbone: Backbone) -> None:
    """Fill a backbone of width 64 and depth 18 with torchvision's weights, fetched when not cached.

    They were learned on Kinetics-400; those of `resnet` on ImageNet-1k.

    Raises:
        InputError: the backbone has another width or depth, or the weights cannot be had.
    """
    weights = _KINDS[backbone.kind].weights
    try:
        fetched = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except Exception as error:  # no network, or a damaged file, which can fail in any way
        raise InputError(
            f"the pretrained weights cannot be had from {weights.url} ({error}): connect, or put "
            f"that file whole into {Path(hub.get_dir(), 'checkpoints')}, or choose random weights "
            "with --model.weights none"
        ) from error
    rename = _from_resnet if backbone.kind == "resnet" else _from_video_resnet
    # The kernels of a network for pictures become those of single frames.
    state = {
        rename(name): value.unsqueeze(2) if value.ndim == 4 else value
        for name, value in fetched.items()
        if not name.startswith("fc.")
    }
    try:
        backbone.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(
            "the pretrained weights fit only width 64 and depth 18: choose these, or random "
            "weights with --model.weights none"
        ) from error


def _from_video_resnet(name: str) -> str:
    place, _, rest = name.partition(".")
    return f"{'0' if place == 'stem' else place.removeprefix('layer')}.{rest}"


def _from_resnet(name: str) -> str:
    parts = name.split(".")
    if parts[0] in _RESNET_PARTS:
        return f"0.{_RESNET_PARTS[parts[0]]}.{parts[1]}"
    stage, block, part, *rest = parts
    side = part if part == "downsample" else f"conv{part[-1]}.{_RESNET_PARTS[part[:-1] + '1']}"
    return ".".join([stage.removeprefix("layer"), block, side, *rest])


_RESNET_PARTS = {"conv1": "0", "bn1": "1"}
