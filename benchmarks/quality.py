"""From which size and sharpness on the bundled model can read a face.

    python benchmarks/quality.py stills.csv

Makes the validation pictures smaller or blurs them, step by step, and prints what the model still
recognises of them. The thresholds in `m3dfel.video.quality` are read off these tables.
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
EYES = TEMPLATE[1, 0] - TEMPLATE[0, 0]


def smaller(picture: np.ndarray, eyes: float) -> np.ndarray:
    """The picture as it looks when so many pixels lie between the eyes, enlarged again."""
    side = max(round(eyes / EYES), 2)
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, picture.shape[:2], interpolation=cv2.INTER_LINEAR)


def blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma else picture


def measure(model: M3DFEL, clips: list[Clip], change: Callable[[np.ndarray], np.ndarray]) -> str:
    see = evaluation_transform(model.size, model.zoom)
    seen, logits = [], []
    for clip in clips:
        picture = change(read_picture(clip.path).permute(1, 2, 0).numpy())
        seen.append(see(torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)))
    sharp = [sharpness(picture.permute(1, 2, 0).numpy()) for picture in seen]
    for pictures in torch.stack(seen).split(BATCH):
        # Every instance of a picture that does not move is the same.
        frames = model.normalize(pictures)[:, :, None]
        features = model.backbone(frames.expand(-1, -1, model.instance_length, -1, -1))
        logits.append(model.fuse(features[:, None].expand(-1, model.bag_size, -1)))
    targets = torch.tensor([model.labels.index(clip.emotion) for clip in clips])
    found = compute_metrics(torch.cat(logits), targets, model.labels)
    return (
        f"sharpness {np.median(sharp):.4f} (1 % below {np.quantile(sharp, 0.01):.4f})  "
        f"WAR {found.war:.3f}  UAR {found.uar:.3f}"
    )


@torch.inference_mode()
def main(path: str) -> None:
    model = load_model(BUNDLED)
    clips = keep_labels(read_manifest(path).split("val"), model.labels)[::EVERY]
    print(f"{len(clips)} pictures")
    for eyes in (38, 24, 16, 12, 10, 8, 6, 4):
        print(f"eyes {eyes:2d} px   {measure(model, clips, lambda p, e=eyes: smaller(p, e))}")
    for sigma in (0, 1, 2, 3, 4, 6, 8):
        print(f"blur {sigma:2d} px   {measure(model, clips, lambda p, s=sigma: blurred(p, s))}")


if __name__ == "__main__":
    main(sys.argv[1])
