"""Training clips per second on one core, beside a loader in the published way.

    python benchmarks/loader.py

Writes a made-up data set in the layout of DFEW to a temporary folder (32 JPEG frames of 224×224 a
clip) and reads 16 frames of each clip by the settings of the recipe `dfew`: random crop, flip,
color jitter with hue, to 112×112. All loaders take turns in one process with one thread.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image
from rows import Row
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from m3dfel.config import AugmentConfig, OptimConfig, TrainConfig
from m3dfel.data.batches import EpochBatches, training_loader
from m3dfel.data.dataset import TrainingClips
from m3dfel.data.manifest import Clip, read_manifest
from m3dfel.data.packed.packing import pack
from m3dfel.emotions import EMOTIONS
from m3dfel.opencv import cv2
from m3dfel.synthetic.clips import parse_synthetic, render
from m3dfel.torchvision_compat import v2

SIDE, FRAMES, SIZE, CHOSEN, BATCH, WARM_UP = 224, 32, 112, 16, 8, 6
PUBLISHED = "published way, JPEG folders"
AUGMENT = AugmentConfig()
FORMAT = SimpleNamespace(labels=EMOTIONS, frames=CHOSEN, size=SIZE, zoom=1.0, grayscale=False)

F = v2.functional  # on PIL pictures, it calls PIL
ADJUSTMENTS = (
    (F.adjust_brightness, "brightness_factor"),
    (F.adjust_contrast, "contrast_factor"),
    (F.adjust_saturation, "saturation_factor"),
    (F.adjust_hue, "hue_factor"),
)


# --- the data set --------------------------------------------------------------------------------


def write_dfew(root: Path, clips: int) -> None:
    """Write drawn faces, enlarged and with camera noise, as JPEG files of quality 90."""
    labels = root / "EmoLabel_DataSplit"
    for split in ("train", "test"):
        (labels / f"{split}(single-labeled)").mkdir(parents=True)
    lines = [f"{order},{order % 7 + 1}" for order in range(1, clips + 1)]
    for fold in range(1, 6):
        for split in ("train", "test"):
            file = labels / f"{split}(single-labeled)" / f"set_{fold}.csv"
            file.write_text("\n".join(["order,label", *lines[split == "test" :: 2]]) + "\n")
    for order in range(1, clips + 1):
        write_frames(root / "Clip" / "clip_224x224" / f"{order:05d}", order)


def write_frames(folder: Path, order: int) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(order)
    faces = render(parse_synthetic(f"synthetic:0/{order}/0/{EMOTIONS[order % 7]}"), range(4), 112)
    for index in range(FRAMES):
        face = cv2.resize(faces[index // 8], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        noise = cv2.GaussianBlur(rng.normal(0, 8, face.shape).astype(np.float32), (0, 0), 0.8)
        picture = np.clip(face + noise, 0, 255).astype(np.uint8)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
        cv2.imwrite(str(folder / f"{index + 1}.jpg"), picture[..., ::-1], quality)


# --- the published way ---------------------------------------------------------------------------


class PublishedClips(Dataset[tuple[Tensor, int, int]]):
    """Frame by frame with PIL: one crop, flip and jitter for all frames of a clip."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self.clips = clips
        self.crop = v2.RandomResizedCrop(SIZE, AUGMENT.crop_scale, AUGMENT.crop_ratio)
        self.jitter = v2.ColorJitter(*[AUGMENT.jitter] * 3, hue=AUGMENT.jitter)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        clip = self.clips[index]
        names = (entry.name for entry in os.scandir(clip.path))
        files = sorted(names, key=lambda name: int(name.partition(".")[0]))
        start = random.random()
        chosen = [files[int((i + start) * len(files) / CHOSEN)] for i in range(CHOSEN)]
        frames = [Image.open(Path(clip.path, name)).convert("RGB") for name in chosen]
        box = self.crop.make_params(frames[:1])
        frames = [F.resized_crop(frame, **box, size=[SIZE, SIZE]) for frame in frames]
        if random.random() < AUGMENT.flip:
            frames = [F.horizontal_flip(frame) for frame in frames]
        change = self.jitter.make_params(frames[:1])
        for operation in change["fn_idx"].tolist():
            adjust, name = ADJUSTMENTS[operation]
            frames = [adjust(frame, change[name]) for frame in frames]
        pixels = torch.from_numpy(np.stack([np.asarray(frame) for frame in frames]))
        # Published loaders end with numbers from 0 to 1; our model converts them on its device.
        values = pixels.permute(0, 3, 1, 2).contiguous().float().div(255)
        return values, EMOTIONS.index(clip.emotion), index


# --- measuring -----------------------------------------------------------------------------------


def our_batches(data: Path) -> Iterator[int]:
    """Yield the size of each batch, forever."""
    clips = read_manifest(str(data)).clips
    config = TrainConfig(augment=AUGMENT, optim=OptimConfig(batch_size=BATCH))
    batches = EpochBatches(len(clips), config)
    training_clips = TrainingClips(FORMAT, clips, config)
    loader = training_loader(training_clips, batches, workers=0)
    for batches.epoch in itertools.count():
        yield from (len(batch["clips"]) for batch in loader)


def published_batches(data: Path) -> Iterator[int]:
    clips = PublishedClips(read_manifest(str(data)).clips)
    loader = DataLoader(clips, BATCH, shuffle=True, drop_last=True)
    while True:
        yield from (len(batch[0]) for batch in loader)


def size_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def measure(clips: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Return the clips per second of each loader, and the size of what it reads in MB."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        data = root / "DFEW"
        write_dfew(data, clips)
        store = root / "store"
        pack(str(data), str(store))
        ways = {
            PUBLISHED: (published_batches(data), size_mb(data)),
            "ours, JPEG folders": (our_batches(data), size_mb(data)),
            "ours, packed store": (our_batches(store), size_mb(store)),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(rounds + WARM_UP):
            for name, (batches, _) in ways.items():
                start = time.process_time()
                read = next(batches)
                if turn >= WARM_UP:
                    rates[name].append(read / (time.process_time() - start))
    return {name: (statistics.median(rates[name]), size) for name, (_, size) in ways.items()}


def rows(short: bool = False) -> list[Row]:
    measured = measure(16, 2) if short else measure(48, 60)
    baseline = measured.pop(PUBLISHED)[0]
    return [
        Row(f"training clips on one core: {name}", rate, "clips/s", PUBLISHED, baseline)
        for name, (rate, _) in measured.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--batches", type=int, default=60)
    options = parser.parse_args()
    measured = measure(options.clips, options.batches)
    print(f"{options.clips} clips, one thread, OpenCV {cv2.__version__}, torch {torch.__version__}")
    baseline = measured[PUBLISHED][0]
    for name, (rate, size) in measured.items():
        print(
            f"{name:56} {rate:6.1f} clips/s  {rate / baseline:5.2f} times the published way  "
            f"{size:6.1f} MB"
        )


if __name__ == "__main__":
    main()
