"""Batch normalization with statistics shared by all processes of a run.

It makes training on several processes equal to training on one, up to rounding. torch's
`SyncBatchNorm` works on GPUs only; this works on any device.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from m3dfel.errors import InputError


class _Sum(torch.autograd.Function):
    """Sum a tensor over all processes; the gradient is summed over them too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return _Sum.apply(gradient)


class SharedBatchNorm(_BatchNorm):
    """Batch normalization with the statistics of the batches of all processes together.

    Input and output are (M, C) or (M, C, …); M may differ between the processes.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x = input.float()
        over = [0, *range(2, x.ndim)]
        per_channel = (1, -1, *(1,) * (x.ndim - 2))
        count = _Sum.apply(torch.tensor(x.numel() / x.shape[1], device=x.device))
        mean = _Sum.apply(x.sum(over)) / count
        centered = x - mean.view(per_channel)
        var = _Sum.apply(centered.square().sum(over)) / count
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * count / (count - 1), self.momentum)
        scale = self.weight * torch.rsqrt(var + self.eps)
        shifted = centered * scale.view(per_channel) + self.bias.view(per_channel)
        return shifted.to(input.dtype)

    def _check_input_dim(self, input: Tensor) -> None:
        pass


class SharedBatchNormAct(SharedBatchNorm):
    """The same for timm's layers that normalize and then apply an activation."""

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:
        return self.act(self.drop(super().forward(input)))


_PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def share_batch_norm(model: nn.Module) -> None:
    """Let the batch normalizations of a model share their statistics, in place.

    A process group must be initialized.

    Raises:
        InputError: a layer is a batch normalization of another kind, which cannot be shared.
    """
    assert dist.is_initialized()
    for module in model.modules():
        # A new class instead of a new module: weights, their names and their users stay.
        if type(module) in _PLAIN:
            module.__class__ = SharedBatchNorm
        elif isinstance(module, _PLAIN) and hasattr(module, "drop") and hasattr(module, "act"):
            module.__class__ = SharedBatchNormAct  # type: ignore[assignment]
        elif isinstance(module, _BatchNorm) and not isinstance(
            module, SharedBatchNorm | nn.SyncBatchNorm
        ):
            raise InputError(
                f"the statistics of {type(module).__name__} cannot be shared by several "
                "processes: train on one, or choose another backbone"
            )
