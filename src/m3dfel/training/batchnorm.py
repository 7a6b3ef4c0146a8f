"""Batch normalization over all processes of a run.

With its batch spread over several processes, a network normalizes as one process would only when
they share the statistics. torch does so on GPUs alone; this is the same for any device.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes; its gradient is summed the same way."""

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
    """Batch normalization whose training statistics are those of the processes' batches together.

    Input and output (M, C, t, H, W); the sum of M over the processes is the batch.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x = input.float()
        count = torch.tensor(x.numel() / x.shape[1], device=x.device)
        count = _Sum.apply(count)
        mean = _Sum.apply(x.sum((0, 2, 3, 4))) / count
        centred = x - mean.view(1, -1, 1, 1, 1)
        var = _Sum.apply(centred.square().sum((0, 2, 3, 4))) / count
        self._remember(mean.detach(), (var * count / (count - 1)).detach())
        scale = self.weight * torch.rsqrt(var + self.eps)
        shifted = centred * scale.view(1, -1, 1, 1, 1) + self.bias.view(1, -1, 1, 1, 1)
        return shifted.to(input.dtype)

    def _remember(self, mean: Tensor, var: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var, self.momentum)


def share_batch_norm(model: nn.Module) -> None:
    """Make a model's batch normalizations share their statistics, in place.

    Needs an initialized process group when the model is used.
    """
    assert dist.is_initialized()
    for module in model.modules():
        if type(module) is nn.BatchNorm3d:
            module.__class__ = SharedBatchNorm3d
