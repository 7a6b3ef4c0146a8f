"""Small data and small runs that several tests share."""

from pathlib import Path

import cv2
import numpy as np

from m3dfel.config import OptimConfig, TrainConfig


def write_frames(folder: Path, count: int, side: int = 24, shade: int = 0) -> None:
    """Write frames `1.jpg` … that grow brighter, so that their order shows."""
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        picture = np.full((side, side, 3), min(shade + 4 * number, 255), np.uint8)
        cv2.imwrite(str(folder / f"{number}.jpg"), picture)


def tiny(output: Path, data: Path | str, **optim: float) -> TrainConfig:
    """A run that ends in seconds."""
    config = TrainConfig(output=str(output), accelerator="cpu", workers=0, seed=1)
    config.data.path = str(data)
    config.data.val_fraction = 0.4
    model = config.model
    model.weights, model.width, model.depth, model.size = "none", 4, 10, 16
    model.frames, model.bag_size = 8, 2
    config.optim = OptimConfig(epochs=2, warmup_epochs=1, batch_size=4, lr=1e-2)
    for name, value in optim.items():
        setattr(config.optim, name, value)
    return config
