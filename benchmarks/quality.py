"""Measure how small or blurred a face may be for the bundled model to recognise it.

    python benchmarks/quality.py stills.csv

Shrinks or blurs the validation pictures step by step and prints the model's accuracy. The
thresholds in `m3dfel.video.quality` come from this table.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import cv2
import numpy as np
import torch

from m3dfel.checkpoints import BUNDLED, load_model
from m3dfel.data.manifest import Clip, read_manifest
from m3dfel.data.reading import read_picture
from m3dfel.data.splits import keep_labels
from m3dfel.data.transforms import evaluation_transform
from m3dfel.evaluation.metrics import compute_metrics
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.video.align import TEMPLATE
from m3dfel.video.quality import sharpness

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


def measure(model: M3DFEL, clips: list[Clip], degrade: Callable[[np.ndarray], np.ndarray]) -> str:
    transform = evaluation_transform(model.size, model.zoom)
    crops, logits = [], []
    for clip in clips:
        picture = degrade(read_picture(clip.path).permute(1, 2, 0).numpy())
        crops.append(transform(torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)))
    sharp = [sharpness(crop.permute(1, 2, 0).numpy()) for crop in crops]
    for pictures in torch.stack(crops).split(BATCH):
        # All instances of a still picture are the same: one is enough.
        frames = model.normalize(pictures)[:, :, None]
        features = model.backbone(frames.expand(-1, -1, model.instance_length, -1, -1))
        logits.append(model.fuse(features[:, None].expand(-1, model.bag_size, -1)))
    targets = torch.tensor([model.labels.index(clip.emotion) for clip in clips])
    metrics = compute_metrics(torch.cat(logits), targets, model.labels)
    return (
        f"sharpness {np.median(sharp):.4f} (1 % below {np.quantile(sharp, 0.01):.4f})  "
        f"WAR {metrics.war:.3f}  UAR {metrics.uar:.3f}"
    )


@torch.inference_mode()
def main(path: str) -> None:
    model = load_model(BUNDLED)
    clips = keep_labels(read_manifest(path).split("val"), model.labels)[::EVERY]
    print(f"{len(clips)} pictures")
    for eyes in (38, 24, 16, 12, 10, 8, 6, 4):
        print(f"eyes {eyes:2d} px   {measure(model, clips, lambda p, e=eyes: shrunk(p, e))}")
    for sigma in (0, 1, 2, 3, 4, 6, 8):
        print(f"blur {sigma:2d} px   {measure(model, clips, lambda p, s=sigma: blurred(p, s))}")


if __name__ == "__main__":
    main(sys.argv[1])
