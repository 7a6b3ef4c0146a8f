"""Times of single steps on this machine, each beside what it is compared with.

    python benchmarks/speed.py

Prints the median of several runs and the ratio of the two. Run it on an otherwise idle machine.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from m3dfel import M3DFEL
from m3dfel.checkpoints import BUNDLED, load_model
from m3dfel.config import AugmentConfig
from m3dfel.data.stills import moving_clip
from m3dfel.data.transforms import training_transform

RUNS = 15
BATCH = 48
AUGMENT = AugmentConfig(crop_scale=(0.4, 0.8), jitter=0.0, blur=0.25, noise=10.0, erase=0.3)


def milliseconds(work: Callable[[], object]) -> float:
    for _ in range(3):
        work()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def compare(ours: str, one: Callable[[], object], other: str, two: Callable[[], object]) -> None:
    a, b = milliseconds(one), milliseconds(two)
    print(f"{ours}: {a:.1f} ms; {other}: {b:.1f} ms; ratio {b / a:.2f}", flush=True)


def read(model: M3DFEL, clips: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return model(model.normalize(clips))


def pixels(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def with_padding(model: M3DFEL) -> M3DFEL:
    """The same model with plain convolutions, which also work on the padding around one frame."""
    plain = copy.deepcopy(model)
    for module in plain.modules():
        if isinstance(module, nn.Conv3d):
            module.forward = partial(nn.Conv3d.forward, module)
    return plain


def learn(model: M3DFEL, clips: torch.Tensor, targets: torch.Tensor) -> None:
    F.cross_entropy(model(model.normalize(clips)), targets).backward()


def create_clips(picture: torch.Tensor, size: int, transform: nn.Module) -> list[torch.Tensor]:
    return [transform(moving_clip(picture, 1, size, AUGMENT.crop_scale)[0]) for _ in range(BATCH)]


def main() -> None:
    torch.manual_seed(0)
    bundled, published = load_model(BUNDLED), M3DFEL().eval()
    clip, large = pixels(1, 16, 3, bundled.size, bundled.size), pixels(1, 16, 3, 112, 112)
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    compare(
        "one clip, bundled model",
        partial(read, bundled, clip),
        "published settings",
        partial(read, published, large),
    )
    compare(
        "one clip, bundled model",
        partial(read, bundled, clip),
        "the same with padding around single frames",
        partial(read, with_padding(bundled), clip),
    )
    size = bundled.size
    frames = M3DFEL(
        bundled.labels,
        frames=1,
        size=size,
        bag_size=1,
        backbone_options={"width": 24},
        aggregation="mean",
        grayscale=True,
    ).train()
    frames.to(memory_format=torch.channels_last_3d)
    clips, targets = pixels(BATCH, 1, 3, size, size), torch.randint(6, (BATCH,))
    compare(
        f"creating {BATCH} clips of one frame from stills",
        partial(
            create_clips, pixels(1, 128, 128), size, training_transform(size, AUGMENT, crop=False)
        ),
        "a training step on them",
        partial(learn, frames, clips, targets),
    )


if __name__ == "__main__":
    main()
