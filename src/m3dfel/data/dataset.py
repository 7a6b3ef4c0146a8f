"""From the manifest's clips to batches for the model.

A clip is read, sampled and transformed here; it leaves as uint8 and is normalized by the model on
its own device. Every random choice comes from (seed, epoch, clip) alone, so the numbers are the
same whatever the number of workers or processes, and after a resumed run.
"""

from __future__ import annotations

import logging
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from m3dfel._opencv import cv2
from m3dfel.config import AugmentConfig
from m3dfel.data.manifest import Clip, Manifest, Problem, read_manifest
from m3dfel.data.sampling import centred_indices, random_indices
from m3dfel.data.stills import moving_clip, static_clip
from m3dfel.data.transforms import evaluation_transform, training_transform
from m3dfel.errors import InputError
from m3dfel.synthetic.clips import SyntheticClip, parse_synthetic, render
from m3dfel.video.decode import frame_files, read_video

logger = logging.getLogger(__name__)


class Batch(TypedDict):
    """What a loader yields: clips uint8 (B, T, 3, S, S), targets and indices int64 (B,)."""

    clips: Tensor
    targets: Tensor
    indices: Tensor


Sample = tuple[Tensor, int, int]
"""A clip uint8 (T, 3, S, S), its label's place in the label set, its place in the data set."""


class EvaluationClips(Dataset[Sample | None]):
    """Clips as they are measured: centred frames, resized, the same every time.

    A clip that cannot be read is None, told once in the log, and missing from the batches.

    Args:
        clips: clips whose emotions are all in the label set.
        labels: the label set.
        frames: T, frames a clip.
        size: height and width of a frame in pixels.
        zoom: how much closer than the clips the model looks.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        labels: Sequence[str],
        frames: int,
        size: int,
        zoom: float = 1.0,
    ) -> None:
        self.clips, self.labels, self.frames, self.size = clips, tuple(labels), frames, size
        self.transform = evaluation_transform(size, zoom)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Sample | None:
        clip = self.clips[index]
        try:
            frames = read_clip(clip, self.frames, self.size, centred_indices)
        except InputError as error:
            logger.warning("left out: %s", error)
            return None
        return self.transform(frames), self.labels.index(clip.emotion), index


class TrainingClips(Dataset[Sample]):
    """Clips as they are learned from: random frames and random transforms.

    Its keys are (epoch, index), so that a worker that lives on through the epochs needs no word of
    which it is in. In the place of a clip that cannot be read stands the next that can.

    Args:
        clips: clips whose emotions are all in the label set.
        labels: the label set.
        frames: T, frames a clip.
        size: height and width of a frame in pixels.
        augment: the random transforms.
        seed: the run's seed.
        neutral_mix: chance that an expressive still is mixed with a neutral one of the same person.
        grayscale: draw stills in luminance only, at a third of the work, for a model that sees no
            more.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        labels: Sequence[str],
        frames: int,
        size: int,
        augment: AugmentConfig,
        seed: int,
        neutral_mix: float = 0.0,
        grayscale: bool = False,
    ) -> None:
        self.clips, self.labels, self.frames, self.size = clips, tuple(labels), frames, size
        self.augment, self.seed, self.neutral_mix = augment, seed, neutral_mix
        self.grayscale = grayscale
        self.transform = training_transform(size, augment)
        self.transform_still = training_transform(size, augment, crop=False)
        self.neutral_of = _neutral_stills(clips)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, wanted = key
        with _seeded(combine_seeds(self.seed, epoch, wanted)):
            for step in range(len(self)):
                index = (wanted + step) % len(self)
                try:
                    return self._draw(index), self.labels.index(self.clips[index].emotion), index
                except InputError as error:
                    logger.warning("left out: %s", error)
        raise InputError("not one training clip can be read: run `m3dfel data check`")

    def _draw(self, index: int) -> Tensor:
        clip = self.clips[index]
        if clip.kind != "still":
            read = read_clip(clip, self.frames, self.size, random_indices)
            return self.transform(read)
        neutral = self._neutral(clip)
        frames, _ = moving_clip(
            read_picture(clip.path, self.grayscale),
            self.frames,
            self.size,
            self.augment.crop_scale,
            None if neutral is None else read_picture(neutral.path, self.grayscale),
        )
        return self.transform_still(frames).expand(-1, 3, -1, -1)

    def _neutral(self, clip: Clip) -> Clip | None:
        choices = self.neutral_of.get(clip.identity, [])
        if clip.emotion == "neutral" or not choices or torch.rand(()) >= self.neutral_mix:
            return None
        return choices[int(torch.randint(len(choices), ()))]


def _neutral_stills(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    neutral: dict[str, list[Clip]] = {}
    for clip in clips:
        if clip.kind == "still" and clip.emotion == "neutral" and clip.identity:
            neutral.setdefault(clip.identity, []).append(clip)
    return neutral


def combine_seeds(*numbers: int) -> int:
    """Return one seed for several numbers, far apart for neighbours."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch's generator for a while; `manual_seed` would record a traceback each time."""
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before)


# --- batches -------------------------------------------------------------------------------------


class EpochBatches:
    """The training batches of one process: a batch sampler whose order depends on the epoch.

    Every process draws the same order and takes its own part of each batch. The last clips that do
    not fill a batch wait for another epoch; a data set smaller than a batch is one batch.

    Args:
        targets: the label of every clip.
        batch_size: clips a batch, over all processes.
        seed: the run's seed.
        balance: 0 to draw every clip once an epoch; towards 1 the classes evenly, with replacement.
        rank: this process.
        processes: how many there are.
        parts: parts each process's share of a batch is cut into, for gradient accumulation.
        epoch_clips: clips an epoch draws; 0, or more than there are, for as many as there are.
    """

    def __init__(
        self,
        targets: Sequence[int],
        batch_size: int,
        seed: int,
        balance: float = 0.0,
        rank: int = 0,
        processes: int = 1,
        parts: int = 1,
        epoch_clips: int = 0,
    ) -> None:
        if batch_size % (processes * parts):
            raise InputError(
                f"optim.batch_size is {batch_size} but must be a multiple of {processes} processes "
                f"× {parts} accumulated parts"
            )
        self.clips = min(epoch_clips or len(targets), len(targets))
        fit = self.clips - self.clips % (processes * parts)
        if not fit:
            raise InputError(f"{self.clips} training clips are too few for {processes} processes")
        self.batch_size = min(batch_size, fit)
        self.available = len(targets)
        self.seed, self.rank, self.processes, self.parts = seed, rank, processes, parts
        self.epoch = 0
        counts = torch.bincount(torch.tensor(targets)).clamp(min=1).double()
        self.weights = counts[torch.tensor(targets)] ** -balance if balance else None

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
                mine = part[self.rank :: self.processes]
                yield [(self.epoch, index) for index in mine.tolist()]


def training_loader(data: TrainingClips, batches: EpochBatches, workers: int) -> DataLoader[Sample]:
    """Return the loader of training batches; set `batches.epoch` before each pass."""
    return DataLoader(
        data,
        batch_sampler=batches,  # type: ignore[arg-type]  # its indices are (epoch, index)
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=_collate,
        worker_init_fn=_one_thread,
    )


def evaluation_loader(
    data: EvaluationClips, batch_size: int, workers: int, rank: int = 0, processes: int = 1
) -> DataLoader[Sample | None]:
    """Return the loader of one process's share of the clips, in order, none twice."""
    mine = list(range(rank, len(data), processes))
    batches = [mine[start : start + batch_size] for start in range(0, len(mine), batch_size)]
    return DataLoader(
        data,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_one_thread,
    )


def _collate(samples: list[Sample | None]) -> Batch | None:
    read = [sample for sample in samples if sample is not None]
    if not read:
        return None
    clips, targets, indices = zip(*read, strict=True)
    return Batch(
        clips=torch.stack(clips), targets=torch.tensor(targets), indices=torch.tensor(indices)
    )


def _one_thread(_: int) -> None:
    # Workers are the parallelism; threads within them would only fight for the cores.
    torch.set_num_threads(1)


# --- reading -------------------------------------------------------------------------------------


def read_clip(clip: Clip, frames: int, size: int, choose: Callable[[int, int], Tensor]) -> Tensor:
    """Read the frames of a clip that `choose` picks.

    Args:
        clip: any clip of a manifest.
        frames: T, frames wanted.
        size: pixels a side at which a synthetic clip is drawn; other clips keep their own size.
        choose: from the number of frames there are and T to the indices wanted.

    Returns:
        uint8 (T, 3, H, W).

    Raises:
        InputError: the clip cannot be read; the message names it.
    """
    if clip.kind == "still":
        return static_clip(read_picture(clip.path), frames)
    if clip.kind == "synthetic":
        drawn = parse_synthetic(clip.path)
        indices = choose(drawn.n_frames, frames)
        if choose is random_indices:  # an epoch returns to the clip for other frames
            return _drawn(drawn, range(drawn.n_frames), size)[indices]
        return _drawn(drawn, tuple(indices.tolist()), size)
    if clip.kind == "video":
        images = [frame.image for frame in read_video(clip.path)]
        return _channels_first(np.stack([images[i] for i in choose(len(images), frames).tolist()]))
    files = frame_files(clip.path)
    pictures = [read_picture(str(files[i])) for i in choose(len(files), frames).tolist()]
    if len({picture.shape for picture in pictures}) > 1:
        raise InputError(f"{clip.path} has frames of different sizes: make them one size")
    return torch.stack(pictures)


@lru_cache(maxsize=4096)
def _drawn(clip: SyntheticClip, indices: Sequence[int], size: int) -> Tensor:
    # Drawing costs more than a training step of a small model.
    return _channels_first(render(clip, indices, size))


def read_picture(path: str, grayscale: bool = False) -> Tensor:
    """Read a picture, from a file or from `archive.zip!member`.

    Returns:
        uint8 RGB (3, H, W), or luminance (1, H, W).

    Raises:
        InputError: missing, empty or not a picture.
    """
    archive, _, member = path.partition(".zip!")
    try:
        data = (
            _archive(archive + ".zip", os.getpid()).read(member)
            if member
            else Path(path).read_bytes()
        )
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    wanted = cv2.IMREAD_GRAYSCALE if grayscale else cv2.IMREAD_COLOR
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), wanted) if data else None
    if pixels is None:
        raise InputError(f"{path} is not a picture that can be read: replace or remove it")
    if grayscale:
        return torch.from_numpy(pixels)[None]
    return torch.from_numpy(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)).permute(2, 0, 1)


@cache
def _archive(path: str, process: int) -> zipfile.ZipFile:
    # One handle a process: a forked one would share its place in the file with its parent.
    return zipfile.ZipFile(path)


def _channels_first(frames: np.ndarray) -> Tensor:
    return torch.from_numpy(frames).permute(0, 3, 1, 2)


def check_data(path: str, fold: int = 1) -> Manifest:
    """Read every frame of every clip of a data set; what cannot be read joins the problems.

    Args:
        path: what `read_manifest` reads.
        fold: the official fold (DFEW).

    Returns:
        The manifest, with only the clips that can be read.

    Raises:
        InputError: no data set at the path, or nothing usable in it.
    """
    manifest = read_manifest(path, fold)
    with ThreadPoolExecutor(os.cpu_count()) as readers:
        found = list(
            track(
                readers.map(_problem, manifest.clips),
                "reading every clip",
                len(manifest.clips),
                console=Console(stderr=True),
                transient=True,
            )
        )
    whole = tuple(c for c, what in zip(manifest.clips, found, strict=True) if what is None)
    broken = tuple(
        Problem(clip.path, what)
        for clip, what in zip(manifest.clips, found, strict=True)
        if what is not None
    )
    return replace(manifest, clips=whole, problems=manifest.problems + broken)


def _problem(clip: Clip) -> str | None:
    try:
        read_clip(clip, 0, 16, lambda available, _: torch.arange(available))
    except InputError as error:
        return str(error)
    return None
