"""Times of single steps on this machine, each beside what it is compared with.

    python benchmarks/speed.py

The median of several runs. Run it on an otherwise idle machine.
"""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from rows import Row, table
from torch import nn

from m3dfel import M3DFEL
from m3dfel.config import AugmentConfig
from m3dfel.data.augment.stills import moving_clip
from m3dfel.data.augment.transforms import training_transform
from m3dfel.models.checkpoints import BUNDLED, load_model

RUNS = 15
BATCH, BAGS = 48, 32
AUGMENT = AugmentConfig(crop_scale=(0.4, 0.8), jitter=0.0, blur=0.25, noise=10.0, erase=0.3)


def milliseconds(work: Callable[[], object], runs: int) -> float:
    (median,) = by_turns([work], runs)
    return median


def by_turns(works: Sequence[Callable[[], object]], runs: int) -> list[float]:
    """Return the median of each work in milliseconds; turns keep slow moments from one side."""
    times: list[list[float]] = [[] for _ in works]
    warm_up = math.ceil(runs / 5)
    for turn in range(warm_up + runs):
        for work, of_work in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            if turn >= warm_up:
                of_work.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(of_work) for of_work in times]


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


def learn(network: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> None:
    F.cross_entropy(network(inputs), targets).backward()


def create_clips(picture: torch.Tensor, size: int, transform: nn.Module) -> list[torch.Tensor]:
    return [transform(moving_clip(picture, 1, size, AUGMENT.crop_scale)[0]) for _ in range(BATCH)]


def bag_model(size: int) -> M3DFEL:
    """A model like the bundled one, in training."""
    model = M3DFEL(size=size, backbone_options={"width": 32}, grayscale=True, mirror=True)
    return model.train().to(memory_format=torch.channels_last_3d)


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


def compiled_row(size: int, runs: int) -> Row:
    bags, targets = torch.randn(BAGS, 16, 3, size, size), torch.randint(7, (BAGS,))
    networks = torch.compile(bag_model(size)), bag_model(size)
    compiled, plain = by_turns([partial(learn, net, bags, targets) for net in networks], runs)
    name = f"a training step on {BAGS} bags, compiled"
    return Row(name, compiled, "ms", "as trained without --compile", plain)


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
    compiled = [] if short else [compiled_row(size, runs)]  # compiling takes a while
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
            f"creating {BATCH} clips of one frame from stills",
            milliseconds(partial(create_clips, pixels(1, 128, 128), size, transform), runs),
            "ms",
            "a training step on them",
            milliseconds(partial(learn, frame_model, clips, targets), runs),
        ),
        *compiled,
    ]


if __name__ == "__main__":
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}\n\n{table(rows())}")
