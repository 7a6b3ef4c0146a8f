"""Measure how small or blurred a face may be for the bundled model to recognize it.

    python benchmarks/quality.py stills.csv

Shrinks or blurs the validation pictures step by step and prints the model's accuracy. The
thresholds in `m3dfel.video.quality` come from this table.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import torch
from rows import Row, shared

from m3dfel.data.augment.transforms import resize_middle
from m3dfel.data.manifest import Clip, read_manifest
from m3dfel.data.reading import read_picture
from m3dfel.data.splits import keep_labels
from m3dfel.evaluation.metrics import Metrics, compute_metrics
from m3dfel.models.checkpoints import BUNDLED, load_model
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.video.align import TEMPLATE
from m3dfel.video.quality import sharpness

EYES = (38, 24, 16, 12, 10, 8, 6, 4)  # pixels
SIGMAS = (0, 1, 2, 3, 4, 6, 8)  # pixels
EVERY = 3
BATCH = 32
# Distance between the eyes in a crop of side 1.
EYE_DISTANCE = TEMPLATE[1, 0] - TEMPLATE[0, 0]


def shrunk(picture: np.ndarray, eyes: float) -> np.ndarray:
    """Return the picture shrunk to so many pixels between the eyes, and enlarged again."""
    side = max(round(eyes / EYE_DISTANCE), 2)
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, picture.shape[:2], interpolation=cv2.INTER_LINEAR)


def blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma else picture


@torch.inference_mode()
def measure(
    model: M3DFEL, clips: list[Clip], degrade: Callable[[np.ndarray], np.ndarray]
) -> tuple[Metrics, np.ndarray]:
    """Return how well the model recognizes degraded pictures, and how sharp they are."""
    crops, logits = [], []
    for clip in clips:
        picture = degrade(read_picture(clip.path).permute(1, 2, 0).numpy())
        picture = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)
        crops.append(resize_middle(picture, model.size, model.zoom))
    sharp = [sharpness(crop.permute(1, 2, 0).numpy()) for crop in crops]
    for pictures in torch.stack(crops).split(BATCH):
        # All instances of a still picture are the same: one is enough.
        instances = pictures[:, None].expand(-1, model.encoded_length, -1, -1, -1)
        features = model.encode(instances, torch.zeros(len(pictures), dtype=torch.int64))
        logits.append(model.fuse(features[:, None].expand(-1, model.bag_size, -1)))
    targets = torch.tensor([model.labels.index(clip.emotion) for clip in clips])
    return compute_metrics(torch.cat(logits), targets, model.labels), np.array(sharp)


def val_clips(path: str, model: M3DFEL, every: int) -> list[Clip]:
    return keep_labels(read_manifest(path).split("val"), model.labels)[::every]


def rows(short: bool = False) -> list[Row]:
    model = load_model(BUNDLED)
    stills = shared("data/stills/stills.csv")
    clips = val_clips(str(stills), model, every=100 if short else 2 * EVERY)
    clear = measure(model, clips, lambda picture: picture)[0].war
    small = measure(model, clips, lambda picture: shrunk(picture, 12))[0].war
    soft = measure(model, clips, lambda picture: blurred(picture, 2))[0].war
    return [
        Row("WAR at 12 px between the eyes", 100 * small, "%", "as they are", 100 * clear),
        Row("WAR blurred by 2 px", 100 * soft, "%", "as they are", 100 * clear),
    ]


def main(path: str) -> None:
    model = load_model(BUNDLED)
    clips = val_clips(path, model, EVERY)
    print(f"{len(clips)} pictures")
    ways = [(f"eyes {eyes:2d} px", partial(shrunk, eyes=eyes)) for eyes in EYES]
    ways += [(f"blur {sigma:2d} px", partial(blurred, sigma=sigma)) for sigma in SIGMAS]
    for name, degrade in ways:
        metrics, sharp = measure(model, clips, degrade)
        print(
            f"{name}   sharpness {np.median(sharp):.4f} (1 % below {np.quantile(sharp, 0.01):.4f})"
            f"  WAR {metrics.war:.3f}  UAR {metrics.uar:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1])
