"""Times of single steps on this machine, each beside what it is compared with.

    python benchmarks/speed.py

The median of several runs. Run it on an otherwise idle machine.
"""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from rows import Row, table
from torch import nn

from m3dfel import M3DFEL
from m3dfel.config import AugmentConfig
from m3dfel.data.augment.stills import moving_clip
from m3dfel.data.augment.transforms import Transform, training_transform
from m3dfel.models.checkpoints import BUNDLED, load_model

RUNS = 15
BATCH = 48
AUGMENT = AugmentConfig(crop_scale=(0.4, 0.8), jitter=0.0, blur=0.25, noise=10.0, erase=0.3)


def milliseconds(work: Callable[[], object], runs: int) -> float:
    """Return the median time of some work, after a few turns to warm up."""
    times = []
    for _ in range(math.ceil(runs / 5) + runs):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[-runs:])


def read(model: M3DFEL, clips: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return model(clips)


def pixels(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def with_padding(model: M3DFEL) -> M3DFEL:
    """The same model with plain convolutions, which also work on the padding around one frame."""
    plain = copy.deepcopy(model)
    for module in plain.modules():
        if isinstance(module, nn.Conv3d):
            module.forward = partial(nn.Conv3d.forward, module)
    return plain


def with_flow(model: M3DFEL) -> M3DFEL:
    """The same model, which also sees the optical flow."""
    seeing = M3DFEL(**model.settings | {"flow": True}).eval()
    return seeing.to(memory_format=torch.channels_last_3d)


def learn(network: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> None:
    F.cross_entropy(network(inputs), targets).backward()


def create_clips(picture: torch.Tensor, size: int, transform: Transform) -> list[torch.Tensor]:
    return [transform(moving_clip(picture, 1, size, AUGMENT.crop_scale)) for _ in range(BATCH)]


def single_frame_model(size: int) -> M3DFEL:
    """The bundled model's first stage, in training."""
    model = M3DFEL(
        frames=1,
        size=size,
        bag_size=1,
        backbone_options={"width": 32},
        aggregation="mean",
        grayscale=True,
    )
    return model.train().to(memory_format=torch.channels_last_3d)


def rows(short: bool = False) -> list[Row]:
    torch.manual_seed(0)
    runs = 1 if short else RUNS
    bundled, published = load_model(BUNDLED), M3DFEL().eval()
    size = bundled.size
    clip, large = pixels(1, 16, 3, size, size), pixels(1, 16, 3, 112, 112)
    one_clip = milliseconds(partial(read, bundled, clip), runs)
    transform = training_transform(size, AUGMENT, crop=False)
    frame_model = single_frame_model(size)
    clips = frame_model.normalize(pixels(BATCH, 1, 3, size, size))
    targets = torch.randint(7, (BATCH,))
    return [
        Row(
            "one clip, bundled model",
            one_clip,
            "ms",
            "published settings",
            milliseconds(partial(read, published, large), runs),
        ),
        Row(
            "one clip, bundled model",
            one_clip,
            "ms",
            "with padding around single frames",
            milliseconds(partial(read, with_padding(bundled), clip), runs),
        ),
        Row(
            "one clip, bundled model with optical flow",
            milliseconds(partial(read, with_flow(bundled), clip), runs),
            "ms",
            "without",
            one_clip,
        ),
        Row(
            f"creating {BATCH} clips of one frame from stills",
            milliseconds(partial(create_clips, pixels(1, 128, 128), size, transform), runs),
            "ms",
            "a training step on them",
            milliseconds(partial(learn, frame_model, clips, targets), runs),
        ),
    ]


if __name__ == "__main__":
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}\n\n{table(rows())}")
