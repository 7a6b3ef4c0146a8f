"""Run a model over the clips of a split, deterministically.

Training calls `measure` after each epoch and `evaluate` once; what it returns holds everything that
metrics, calibration and tables are computed from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from m3dfel.data.batches import Batch
from m3dfel.errors import InputError
from m3dfel.models.m3dfel import M3DFEL


@dataclass(frozen=True)
class SplitOutputs:
    """A model's outputs on a split, in the order of the split; the same on every process.

    Attributes:
        indices: int64 (M,), the index of each clip in the split; clips that could not be read are
            missing.
        logits: float32 (M, C).
        targets: int64 (M,), 0 to C - 1.
        evidence: float32 (M, N, C), what each instance adds to the logits.
    """

    indices: Tensor
    logits: Tensor
    targets: Tensor
    evidence: Tensor

    def calibrated(self, shift: Tensor, temperature: float) -> SplitOutputs:
        """Return the outputs with `shift`, (C,), added to the logits and then divided."""
        instances = self.evidence.shape[1]
        return replace(
            self,
            logits=(self.logits + shift) / temperature,
            evidence=(self.evidence + shift / instances) / temperature,
        )


def measure(model: M3DFEL, batches: Iterable[Batch | None]) -> SplitOutputs:
    """Run a model over evaluation batches.

    The outputs of a clip of several windows are their means, so its probabilities are proportional
    to the geometric means of those of the windows.

    Args:
        model: it runs in evaluation mode; its own mode is restored afterwards.
        batches: of an evaluation loader; with several processes, the batches of this one.

    Returns:
        The outputs of all processes together.

    Raises:
        InputError: none of the clips could be read.
    """
    device = model.mean.device
    was_training = model.training
    model.eval()
    parts: list[tuple[Tensor, ...]] = []
    with torch.inference_mode():
        for batch in batches:
            if batch is not None:
                clips = batch["clips"].to(device, non_blocking=True)
                logits, evidence = model.fuse_with_evidence(_encode_different(model, clips))
                outputs = (batch["indices"], logits.float(), batch["targets"], evidence.float())
                parts.append(outputs)
    model.train(was_training)
    # Only here, so that the next clips reach a GPU while it still computes.
    parts = [tuple(column.cpu() for column in part) for part in parts]
    if dist.is_initialized():
        parts_by_process: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(parts_by_process, parts)
        parts = [part for process_parts in parts_by_process for part in process_parts]
    if not parts:
        raise InputError("none of the clips could be read: run `m3dfel data check`")
    indices, logits, targets, evidence = (torch.cat(column) for column in zip(*parts, strict=True))
    clips, clip_of = indices.unique(return_inverse=True)
    clip_targets = torch.empty_like(clips).scatter_(0, clip_of, targets)
    return SplitOutputs(
        clips, group_means(logits, clip_of), clip_targets, group_means(evidence, clip_of)
    )


def group_means(values: Tensor, groups: Tensor) -> Tensor:
    """Return the mean of the rows (M, …) of each group, given the number of each row's group."""
    counts = groups.bincount()
    sums = values.new_zeros(len(counts), *values.shape[1:]).index_add_(0, groups, values)
    return sums / counts.view(-1, *[1] * (values.ndim - 1))


def _encode_different(model: M3DFEL, clips: Tensor) -> Tensor:
    """Return the instance features (B, N, F) of clips, uint8 (B, T, 3, S, S).

    Instances that equal the first of their bag, such as all those of a still, are encoded once;
    where the model mirrors every second instance, those that equal the first mirrored one as well.
    """
    bags = model.cut(clips)
    numbers = torch.arange(model.bag_size, device=clips.device)
    first = numbers % 2 if model.mirror else torch.zeros_like(numbers)
    differs = (bags != bags[:, first]).flatten(2).any(2) | (numbers == first)
    features = model.encode(bags[differs], numbers.expand_as(differs)[differs])
    order = differs.flatten().cumsum(0).view_as(differs) - 1
    return features[torch.where(differs, order, order[:, first])]
