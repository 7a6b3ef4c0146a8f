"""The residual networks of 18 layers that read an instance: R3D, R(2+1)D, MC3 and ResNet.

The paper's backbone is torchvision's R3D-18 without its classifier. R(2+1)D-18 and MC3-18 (Tran et
al., "A Closer Look at Spatiotemporal Convolutions", CVPR 2018) and ResNet-18, which reads each
frame on its own (He et al., CVPR 2016), are what it is compared with. All four are one network with
different convolutions, which can also be narrower or shallower for small machines; at width 64 and
depth 18 each equals torchvision's network, whose weights it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, hub, nn

from m3dfel import torchvision_compat as torchvision
from m3dfel.errors import InputError
from m3dfel.models.backbones import BACKBONES


class _InstanceConv(nn.Conv3d):
    """A 3×7×7 or 3×3×3 convolution that does no needless work for one frame or one instance."""

    def forward(self, input: Tensor) -> Tensor:
        weight, padding = self.weight, tuple(map(int, self.padding))
        if input.shape[2] == 1:  # the kernel's rest only meets padding
            weight, padding = weight[:, :, 1:2], (0, *padding[1:])
        if not self.training and _needs_onednn(input):
            return torch.mkldnn_convolution(
                input, weight, self.bias, padding, self.stride, self.dilation, self.groups
            )
        return F.conv3d(input, weight, self.bias, self.stride, padding)


def _needs_onednn(input: Tensor) -> bool:
    """Return whether to call oneDNN where torch would not, although that takes 0.4 of the time.

    Torch calls it for two small instances or more, but not for one, as in live recognition.
    """
    if torch.compiler.is_compiling():  # then the number of instances is no number yet
        return False
    alone = len(input) == 1 and input.is_cpu and input.dtype == torch.float32
    return alone and torch.backends.mkldnn.is_available()


def _conv_3d(in_channels: int, channels: int, _: int, stride: int) -> nn.Module:
    return _InstanceConv(in_channels, channels, 3, stride, padding=1, bias=False)


def _conv_2d(in_channels: int, channels: int, _: int, stride: int) -> nn.Module:
    """A convolution in space alone."""
    strides = (1, stride, stride)
    return nn.Conv3d(in_channels, channels, (1, 3, 3), strides, (0, 1, 1), bias=False)


def _conv_2plus1d(in_channels: int, channels: int, between: int, stride: int) -> nn.Module:
    """A convolution in space, then one in time."""
    in_space = _conv_2d(in_channels, between, 0, stride)
    strides = (stride, 1, 1)
    in_time = nn.Conv3d(between, channels, (3, 1, 1), strides, (1, 0, 0), bias=False)
    return nn.Sequential(in_space, nn.BatchNorm3d(between), nn.ReLU(inplace=True), in_time)


_Conv: TypeAlias = Callable[[int, int, int, int], nn.Module]
"""Makes a convolution from its input channels, its output channels, those between, its stride."""


class _Block(nn.Module):
    """Two convolutions, added to their input or to a shortcut from it."""

    def __init__(
        self, conv: _Conv, in_channels: int, channels: int, stride: int, shortcut: nn.Module | None
    ) -> None:
        super().__init__()
        # So that a convolution in space and one in time have as many weights as one in 3D.
        between = 27 * in_channels * channels // (9 * in_channels + 3 * channels)
        self.conv1 = nn.Sequential(
            conv(in_channels, channels, between, stride),
            nn.BatchNorm3d(channels),
            nn.ReLU(inplace=True),
        )
        self.conv2 = nn.Sequential(conv(channels, channels, between, 1), nn.BatchNorm3d(channels))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        residual = x if self.downsample is None else self.downsample(x)
        summed: Tensor = self.conv2(self.conv1(x)).add_(residual)
        return self.relu(summed)


class VideoResNet(nn.Sequential):
    """Residual network with global average pooling: (M, 3, t, H, W) → (M, 8·width).

    Subclasses say which stem, convolutions and published weights make their network.

    Args:
        width: channels of the stem and the first stage; the four stages have 1, 2, 4 and 8 times as
            many.
        depth: 18 (two blocks a stage) or 10 (one).

    Raises:
        InputError: a width below 1.
    """

    convolutions: ClassVar[tuple[_Conv, _Conv, _Conv, _Conv]]
    weights: ClassVar[str]  # torchvision's name
    # Of Kinetics-400, on which torchvision's video networks were trained.
    mean: ClassVar[tuple[float, float, float]] = (0.43216, 0.394666, 0.37645)
    std: ClassVar[tuple[float, float, float]] = (0.22803, 0.22145, 0.216989)

    def __init__(self, *, width: int = 64, depth: Literal[10, 18] = 18) -> None:
        if width < 1:
            raise InputError(f"the width of the backbone is {width} but must be 1 or more")
        blocks = 2 if depth == 18 else 1
        first, second, third, fourth = self.convolutions
        super().__init__(
            nn.Sequential(*self.stem(width)),
            _stage(first, width, width, blocks, stride=1),
            _stage(second, width, 2 * width, blocks, stride=2),
            _stage(third, 2 * width, 4 * width, blocks, stride=2),
            _stage(fourth, 4 * width, 8 * width, blocks, stride=2),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
        )
        self.out_features = 8 * width
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, input: Float[Tensor, "M C t H W"]) -> Float[Tensor, "M F"]:
        return super().forward(input)

    @staticmethod
    def stem(width: int) -> list[nn.Module]:
        """Return the layers before the first stage."""
        return _normalized(_InstanceConv(3, width, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False))

    def load_pretrained(self) -> None:
        """Load torchvision's weights, downloaded unless cached, into width 64 and depth 18.

        Raises:
            InputError: another width or depth, or the weights cannot be downloaded.
        """
        weights = torchvision.get_weight(self.weights)
        try:
            fetched = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
        except Exception as error:  # no network, or a damaged file, which can fail in any way
            raise InputError(
                f"cannot download the pretrained weights from {weights.url} ({error}): "
                f"connect, or put that file into {Path(hub.get_dir(), 'checkpoints')}, or choose "
                "random weights with --model.weights none"
            ) from error
        # Kernels of an image network become kernels of single frames.
        state = {
            self.own_name(name): value.unsqueeze(2) if value.ndim == 4 else value
            for name, value in fetched.items()
            if not name.startswith("fc.")
        }
        try:
            self.load_state_dict(state)
        except RuntimeError as error:
            raise InputError(
                "the pretrained weights fit only width 64 and depth 18: choose these, or random "
                "weights with --model.weights none"
            ) from error

    @staticmethod
    def own_name(name: str) -> str:
        """Return our name of a weight, given torchvision's."""
        part, _, rest = name.partition(".")
        return f"{'0' if part == 'stem' else part.removeprefix('layer')}.{rest}"


@BACKBONES.register("r3d")
class R3D(VideoResNet):
    """R3D-18, the paper's: 3D convolutions throughout."""

    convolutions = (_conv_3d, _conv_3d, _conv_3d, _conv_3d)
    weights = "R3D_18_Weights.KINETICS400_V1"


@BACKBONES.register("mc3")
class MC3(VideoResNet):
    """MC3-18: 3D convolutions in the stem and first stage, then 2D."""

    convolutions = (_conv_3d, _conv_2d, _conv_2d, _conv_2d)
    weights = "MC3_18_Weights.KINETICS400_V1"


@BACKBONES.register("r2plus1d")
class R2Plus1D(VideoResNet):
    """R(2+1)D-18: every convolution first in space, then in time."""

    convolutions = (_conv_2plus1d, _conv_2plus1d, _conv_2plus1d, _conv_2plus1d)
    weights = "R2Plus1D_18_Weights.KINETICS400_V1"

    @staticmethod
    def stem(width: int) -> list[nn.Module]:
        between = round(45 / 64 * width)
        return [
            *_normalized(nn.Conv3d(3, between, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False)),
            *_normalized(nn.Conv3d(between, width, (3, 1, 1), 1, (1, 0, 0), bias=False)),
        ]


@BACKBONES.register("resnet")
class ResNet(VideoResNet):
    """ResNet-18 on each frame; the features of an instance are the mean over its frames."""

    convolutions = (_conv_2d, _conv_2d, _conv_2d, _conv_2d)
    weights = "ResNet18_Weights.IMAGENET1K_V1"
    mean = (0.485, 0.456, 0.406)  # of ImageNet
    std = (0.229, 0.224, 0.225)

    @staticmethod
    def stem(width: int) -> list[nn.Module]:
        """Return the layers before the first stage; unlike the others they halve the size twice."""
        return [
            *_normalized(nn.Conv3d(3, width, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False)),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        ]

    @staticmethod
    def own_name(name: str) -> str:
        parts = name.split(".")
        if parts[0] in _UNIT_PARTS:
            return f"0.{_UNIT_PARTS[parts[0]]}.{parts[1]}"
        stage, block, part, *rest = parts
        branch = part if part == "downsample" else f"conv{part[-1]}.{_UNIT_PARTS[part[:-1] + '1']}"
        return ".".join([stage.removeprefix("layer"), block, branch, *rest])


# A convolution and the normalization behind it are one unit in a video network.
_UNIT_PARTS = {"conv1": "0", "bn1": "1"}


def _normalized(conv: nn.Conv3d) -> list[nn.Module]:
    return [conv, nn.BatchNorm3d(conv.out_channels), nn.ReLU(inplace=True)]


def _stage(conv: _Conv, in_channels: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    shortcut = None
    if stride != 1 or in_channels != channels:
        strides = (1, stride, stride) if conv is _conv_2d else (stride, stride, stride)
        shortcut = nn.Sequential(
            nn.Conv3d(in_channels, channels, 1, stride=strides, bias=False),
            nn.BatchNorm3d(channels),
        )
    first = _Block(conv, in_channels, channels, stride, shortcut)
    rest = [_Block(conv, channels, channels, 1, None) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)
