"""From data sets of clips to batches for the model: which clips, in which order.

The order depends on the seed and the epoch alone. With several processes, each takes its own part
of every batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypedDict

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from m3dfel.config import TrainConfig
from m3dfel.data.dataset import EvaluationClips, Sample, TrainingClips
from m3dfel.data.seeds import combine_seeds
from m3dfel.errors import InputError
from m3dfel.opencv import cv2


class Batch(TypedDict):
    """A batch from a loader.

    Attributes:
        clips: uint8 (B, T, 3, S, S).
        targets: int64 (B,), indices into the label set, or float (B, C), votes.
        indices: int64 (B,), indices of the clips in the data set.
        movements: float (B, T, K), NaN where unknown; None if nobody asks for them.
    """

    clips: Tensor
    targets: Tensor
    indices: Tensor
    movements: Tensor | None


class EpochBatches:
    """A batch sampler for training on one process; set its `epoch` before each pass.

    All processes draw the same order, and each takes its own part of every batch. Clips at the end
    that do not fill a batch are left out of the epoch; a data set smaller than a batch is one
    batch.

    Args:
        available: the number of clips.
        config: the run: its seed, and the size of its batches and epochs.
        weights: how often each clip is drawn, with replacement, up to a constant factor: float
            (available,). None to draw every clip once per epoch.
        rank: index of this process.
        processes: number of processes.

    Raises:
        InputError: the batch size cannot be divided among processes and parts, or there are fewer
            clips than processes.
    """

    def __init__(
        self,
        available: int,
        config: TrainConfig,
        weights: Tensor | None = None,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        optim, parts = config.optim, config.optim.accumulate
        if optim.batch_size % (processes * parts):
            raise InputError(
                f"optim.batch_size is {optim.batch_size} but must be a multiple of {processes} "
                f"processes × {parts} accumulated parts"
            )
        self.clips = min(optim.epoch_clips or available, available)
        divisible = self.clips - self.clips % (processes * parts)
        if not divisible:
            raise InputError(f"{self.clips} training clips are too few for {processes} processes")
        self.batch_size = min(optim.batch_size, divisible)
        self.available, self.weights = available, weights
        self.seed, self.rank, self.processes, self.parts = config.seed, rank, processes, parts
        self.epoch = 0

    def __len__(self) -> int:
        return self.clips // self.batch_size * self.parts

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        generator = torch.Generator().manual_seed(combine_seeds(self.seed, self.epoch))
        if self.weights is None:
            order = torch.randperm(self.available, generator=generator)[: self.clips]
        else:
            order = torch.multinomial(self.weights, self.clips, True, generator=generator)
        for start in range(0, self.clips - self.batch_size + 1, self.batch_size):
            batch = order[start : start + self.batch_size]
            for part in batch.chunk(self.parts):
                own = part[self.rank :: self.processes]
                yield [(self.epoch, index) for index in own.tolist()]


def training_loader(
    data: TrainingClips, batches: EpochBatches, workers: int, pin_memory: bool = False
) -> DataLoader[Sample]:
    """Return the loader of training batches; set `batches.epoch` before each pass.

    Args:
        data: the clips.
        batches: their order.
        workers: processes that read clips.
        pin_memory: put batches into memory from which a GPU copies while it computes.
    """
    return _ForkingLoader(
        data,
        batch_sampler=batches,  # type: ignore[arg-type]  # its indices are (epoch, index)
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=pin_memory,
        collate_fn=_collate,
    )


def evaluation_loader(
    data: EvaluationClips,
    batch_size: int,
    workers: int,
    rank: int = 0,
    processes: int = 1,
    pin_memory: bool = False,
) -> DataLoader[list[Sample]]:
    """Return the loader of one process's part of the clips, in order, without repetition.

    A batch has all windows of `batch_size` clips; it is None if none of these can be read.
    """
    own = list(range(rank, len(data), processes))
    batches = [own[start : start + batch_size] for start in range(0, len(own), batch_size)]
    return _ForkingLoader(
        data,
        batch_sampler=batches,
        num_workers=workers,
        pin_memory=pin_memory,
        collate_fn=_collate_windows,
    )


class _ForkingLoader(DataLoader[Any]):
    """Starts its workers while OpenCV has no threads.

    A fork does not copy threads: a worker would wait forever for those of OpenCV. It also needs
    none, since the workers already use all cores.
    """

    def __iter__(self) -> Any:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            return super().__iter__()
        finally:
            cv2.setNumThreads(threads)


def _collate_windows(clips: list[list[Sample]]) -> Batch | None:
    samples = [sample for windows in clips for sample in windows]
    return _collate(samples) if samples else None


def _collate(samples: list[Sample]) -> Batch:
    targets: list[Any] = [sample.target for sample in samples]
    movements = [sample.movements for sample in samples if sample.movements is not None]
    return Batch(
        clips=torch.stack([sample.clip for sample in samples]),
        targets=torch.stack(targets) if isinstance(targets[0], Tensor) else torch.tensor(targets),
        indices=torch.tensor([sample.index for sample in samples]),
        movements=torch.stack(movements) if movements else None,
    )
