"""The clips of a split as PyTorch data sets: read, sampled and transformed.

A clip leaves as uint8 and is normalized by the model, on the model's device. Every random choice
depends on (seed, epoch, clip) alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from m3dfel.config import TrainConfig
from m3dfel.data.augment.frame_augmentation import FrameAugmentation
from m3dfel.data.augment.stills import moving_clip
from m3dfel.data.augment.transforms import resize_middle, training_transform
from m3dfel.data.manifest import Clip
from m3dfel.data.movements import Movements
from m3dfel.data.reading import read_clip, read_frames, read_picture
from m3dfel.data.sampling import centered_indices, random_indices
from m3dfel.data.seeds import combine_seeds, seeded
from m3dfel.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """A clip from a data set.

    Attributes:
        clip: uint8 (T, 3, S, S).
        target: an index into the label set or, for training on votes, float (C,) with sum 1.
        index: which clip of the data set it is.
        movements: float (T, K), what moves in each frame, NaN where unknown; None if nobody asks.
    """

    clip: Tensor
    target: int | Tensor
    index: int
    movements: Tensor | None = None


class ClipFormat(Protocol):
    """The clips that a model takes; `M3DFEL` has these attributes."""

    labels: tuple[str, ...]
    frames: int
    size: int
    zoom: float
    grayscale: bool


class EvaluationClips(Dataset[list[Sample]]):
    """Clips for evaluation: centered frames, resized, the same every time.

    Each is a list of samples, one for each window of the clip, all with its index; without
    `window_s`, there is one. It is empty if the clip cannot be read, with a warning in the log.

    Args:
        model: what they are for.
        clips: clips whose emotions are all in its label set.
        window_s: seconds of the video that a sample covers; 0 for all of it.
    """

    def __init__(self, model: ClipFormat, clips: Sequence[Clip], window_s: float = 0.0) -> None:
        # Not the model itself, which every process that reads clips would copy.
        self.labels, self.frames, self.size = model.labels, model.frames, model.size
        self.clips, self.zoom = clips, model.zoom
        self.choose = partial(centered_indices, window_s=window_s)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> list[Sample]:
        clip = self.clips[index]
        # A still is the same in all frames: one is enough to transform.
        frames = 1 if clip.kind == "still" else self.frames
        try:
            read = read_clip(clip, frames, self.size, self.choose)
        except InputError as error:
            logger.warning("left out: %s", error)
            return []
        target = self.labels.index(clip.emotion)
        windows = resize_middle(read, self.size, self.zoom).split(frames)
        return [Sample(w.expand(self.frames, -1, -1, -1), target, index) for w in windows]


class TrainingClips(Dataset[Sample]):
    """Clips for training: random frames and random transforms.

    Keys are (epoch, index), so that persistent workers keep no epoch state. A clip that cannot be
    read is replaced by the next one that can.

    Args:
        model: what they are for; if it sees no color, stills are read as luminance only, which is
            three times less work.
        clips: clips whose emotions are all in its label set.
        config: the run: its seed, its random transforms, and what its clips show.
        movements: what moves in the faces, to be learned as well.
    """

    def __init__(
        self,
        model: ClipFormat,
        clips: Sequence[Clip],
        config: TrainConfig,
        movements: Movements | None = None,
    ) -> None:
        self.labels, self.frames, self.size = model.labels, model.frames, model.size
        self.clips, self.grayscale = clips, model.grayscale
        self.config, self.movements = config, movements
        self.choose = partial(random_indices, window_s=config.data.window_s)
        self.augment_frames = FrameAugmentation(model.size, config.augment)
        self.transform = training_transform(model.size, config.augment)
        self.transform_still = training_transform(model.size, config.augment, crop=False)
        self.neutral_stills = _neutral_stills(clips)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, first = key
        with seeded(combine_seeds(self.config.seed, epoch, first)):
            for step in range(len(self)):
                index = (first + step) % len(self)
                try:
                    clip, movements = self._read(self.clips[index])
                    target = self._target(self.clips[index])
                    return Sample(clip, target, index, movements)
                except InputError as error:
                    logger.warning("left out: %s", error)
        raise InputError("no training clip can be read: run `m3dfel data check`")

    def _target(self, clip: Clip) -> int | Tensor:
        if self.config.loss.votes:
            return label_distribution(clip, self.labels)
        return self.labels.index(clip.emotion)

    def _read(self, clip: Clip) -> tuple[Tensor, Tensor | None]:
        """Return a clip, and what moves in its frames if that is to be learned."""
        indices: Sequence[int] = [0] * self.frames
        if clip.kind in ("frames", "video"):
            frames = read_frames(clip, self.frames, self.choose)
            indices, read = frames.indices, self.augment_frames(frames)
        else:
            read = self._read_picture(clip)
        return read, self.movements.of(clip, indices) if self.movements else None

    def _read_picture(self, clip: Clip) -> Tensor:
        """Make a clip from a still, or draw a synthetic one."""
        if clip.kind == "synthetic":
            frames = read_clip(clip, self.frames, self.size, self.choose, keep_all=True)
            return self.transform(frames)
        neutral = self._neutral_still(clip)
        frames = moving_clip(
            read_picture(clip.path, self.grayscale),
            self.frames,
            self.size,
            self.config.augment.crop_scale,
            None if neutral is None else read_picture(neutral.path, self.grayscale),
        )
        return self.transform_still(frames).expand(-1, 3, -1, -1)

    def _neutral_still(self, clip: Clip) -> Clip | None:
        choices = self.neutral_stills.get((clip.dataset, clip.identity), [])
        probability = self.config.data.neutral_probability
        if clip.emotion == "neutral" or not choices or torch.rand(()) >= probability:
            return None
        return choices[int(torch.randint(len(choices), ()))]


def _neutral_stills(clips: Sequence[Clip]) -> dict[tuple[int, str], list[Clip]]:
    """Return the neutral stills of each identity of each data set."""
    stills: dict[tuple[int, str], list[Clip]] = {}
    for clip in clips:
        if clip.kind == "still" and clip.emotion == "neutral" and clip.identity:
            stills.setdefault((clip.dataset, clip.identity), []).append(clip)
    return stills


def label_distribution(clip: Clip, labels: Sequence[str]) -> Tensor:
    """Return the fraction of a clip's votes for each label: float32 (C,), with sum 1.

    A clip without votes for any of the labels is certain to show its own emotion.
    """
    votes = dict(clip.votes)
    counts = torch.tensor([votes.get(label, 0.0) for label in labels])
    if not counts.sum():
        counts[list(labels).index(clip.emotion)] = 1.0
    return counts / counts.sum()
