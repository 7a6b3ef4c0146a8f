"""R3D: what reads one 3D instance, the strong short-term motion.

The paper's backbone is torchvision's R3D-18 without its classifier (Tran et al., CVPR 2018). Here
it is built from torchvision's own blocks so that it can also be narrower or shallower for small
machines; at width 64 and depth 18 it is the same network, entry by entry.
"""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, hub, nn

from m3dfel._torchvision import BasicBlock, Conv3DSimple, R3D_18_Weights
from m3dfel.errors import InputError


class _StemConv(nn.Conv3d):
    """A 3×7×7 or 3×3×3 convolution that does no work on the padding before and after one frame."""

    def forward(self, input: Tensor) -> Tensor:
        if input.shape[2] > 1:
            return super().forward(input)
        middle = self.weight[:, :, 1:2]  # the rest of the kernel would meet nothing but padding
        return F.conv3d(input, middle, self.bias, self.stride, (0, *self.padding[1:]))


class _BlockConv(_StemConv, Conv3DSimple):  # type: ignore[misc]  # torchvision has no types
    """The same for torchvision's blocks, which call it with their own words."""


class R3D(nn.Sequential):
    """3D residual network with global average pooling: (M, 3, t, H, W) → (M, 8·width).

    Args:
        width: channels of the stem and the first stage; the four stages have 1, 2, 4 and 8 times
            as many.
        depth: 18 (two blocks a stage) or 10 (one).
    """

    def __init__(self, width: int = 64, depth: int = 18) -> None:
        if depth not in (10, 18):
            raise InputError(f"the backbone's depth is {depth} but must be 10 or 18")
        stem = nn.Sequential(
            _StemConv(3, width, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
        )
        blocks = 2 if depth == 18 else 1
        super().__init__(
            stem,
            _stage(width, width, blocks, stride=1),
            _stage(width, 2 * width, blocks, stride=2),
            _stage(2 * width, 4 * width, blocks, stride=2),
            _stage(4 * width, 8 * width, blocks, stride=2),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
        )
        self.out_features = 8 * width
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _stage(entering: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    shortcut = None
    if stride != 1 or entering != channels:
        shortcut = nn.Sequential(
            nn.Conv3d(entering, channels, 1, stride=stride, bias=False), nn.BatchNorm3d(channels)
        )
    first = BasicBlock(entering, channels, _BlockConv, stride, shortcut)
    rest = [BasicBlock(channels, channels, _BlockConv) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def load_kinetics(backbone: R3D) -> None:
    """Fill an R3D-18 of width 64 with torchvision's Kinetics-400 weights, fetched when not cached.

    Raises:
        InputError: the backbone has another width or depth, or the weights cannot be had.
    """
    weights = R3D_18_Weights.KINETICS400_V1
    try:
        fetched = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except Exception as error:  # no network, or a damaged file, which can fail in any way
        raise InputError(
            f"the Kinetics-400 weights cannot be had from {weights.url} ({error}): connect, or put "
            f"that file whole into {Path(hub.get_dir(), 'checkpoints')}, or choose random weights "
            "with --model.weights none"
        ) from error
    places = {"stem": "0", "layer1": "1", "layer2": "2", "layer3": "3", "layer4": "4"}
    state = {}
    for name, value in fetched.items():
        stage, _, rest = name.partition(".")
        if stage in places:
            state[f"{places[stage]}.{rest}"] = value
    try:
        backbone.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(
            "the Kinetics-400 weights fit only width 64 and depth 18: choose these, or random "
            "weights with --model.weights none"
        ) from error
