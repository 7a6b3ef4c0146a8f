"""Batch normalization with statistics shared by all processes of a run.

It makes training on several processes equal to training on one. torch's `SyncBatchNorm` works on
GPUs only; this works on any device.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class _Sum(torch.autograd.Function):
    """Sum a tensor over all processes; the gradient is summed over them too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        total = gradient.clone()
        dist.all_reduce(total)
        return total


class SharedBatchNorm3d(nn.BatchNorm3d):
    """Batch normalization with the statistics of the batches of all processes together.

    Input and output are (M, C, t, H, W); M may differ between the processes.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x = input.float()
        count = torch.tensor(x.numel() / x.shape[1], device=x.device)
        count = _Sum.apply(count)
        mean = _Sum.apply(x.sum((0, 2, 3, 4))) / count
        centered = x - mean.view(1, -1, 1, 1, 1)
        var = _Sum.apply(centered.square().sum((0, 2, 3, 4))) / count
        self._update_running_statistics(mean.detach(), (var * count / (count - 1)).detach())
        scale = self.weight * torch.rsqrt(var + self.eps)
        shifted = centered * scale.view(1, -1, 1, 1, 1) + self.bias.view(1, -1, 1, 1, 1)
        return shifted.to(input.dtype)

    def _update_running_statistics(self, mean: Tensor, var: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var, self.momentum)


def share_batch_norm(model: nn.Module) -> None:
    """Replace a model's `BatchNorm3d` layers by `SharedBatchNorm3d`, in place.

    A process group must be initialized.
    """
    assert dist.is_initialized()
    for module in model.modules():
        if type(module) is nn.BatchNorm3d:
            module.__class__ = SharedBatchNorm3d
