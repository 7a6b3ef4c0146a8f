"""Small data and small runs that several tests share."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from m3dfel.config import OptimConfig, TrainConfig
from m3dfel.data.dataset import TrainingClips
from m3dfel.data.frames import Frames
from m3dfel.data.manifest import Clip
from m3dfel.emotions import EMOTIONS
from m3dfel.models.m3dfel import M3DFEL


def write_frames(folder: Path, count: int, side: int = 24, shade: int = 0) -> None:
    """Write frames `1.jpg` … that grow brighter, so that their order shows."""
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        picture = np.full((side, side, 3), min(shade + 4 * number, 255), np.uint8)
        cv2.imwrite(str(folder / f"{number}.jpg"), picture)


def smooth_picture(height: int, width: int, seed: int = 0, blur: float = 6) -> np.ndarray:
    """A colorful RGB picture without sharp edges, as photographs of faces are."""
    noise = np.random.default_rng(seed).normal(0, 1, (height, width, 3))
    blurred = cv2.GaussianBlur(noise, (0, 0), blur)
    return np.clip(120 + 45 * blurred / blurred.std(), 0, 255).astype(np.uint8)


def encoded_frames(pictures: list[np.ndarray], suffix: str = ".png") -> Frames:
    """Frames of a clip as picture files in memory."""
    files = [cv2.imencode(suffix, picture[..., ::-1])[1] for picture in pictures]
    return Frames("clip", [f"{index}{suffix}" for index in range(len(files))], files)


@dataclass(frozen=True)
class ClipFormat:
    """The clips that a model takes, without a model."""

    frames: int = 4
    size: int = 16
    labels: tuple[str, ...] = EMOTIONS
    zoom: float = 1.0
    grayscale: bool = False


def training_clips(
    clips: Sequence[Clip], frames: int = 8, labels: Sequence[str] = EMOTIONS, **settings: object
) -> TrainingClips:
    """Clips as a run with these settings of `TrainConfig` learns from them."""
    model = ClipFormat(frames, labels=tuple(labels))
    return TrainingClips(model, clips, TrainConfig(**settings))


def in_batches_of(batch_size: int, **optim: int) -> TrainConfig:
    """A run of which only the size and the order of its batches matter."""
    return TrainConfig(optim=OptimConfig(batch_size=batch_size, **optim))


def tiny(output: Path, data: Path | str, **optim: float) -> TrainConfig:
    """A run that ends in seconds."""
    config = TrainConfig(output=str(output), accelerator="cpu", workers=0, seed=1)
    config.data.path = str(data)
    config.data.val_fraction = 0.4
    model = config.model
    model.weights, model.size, model.backbone_options = "none", 16, {"width": 4, "depth": 10}
    model.frames, model.bag_size = 8, 2
    config.optim = OptimConfig(epochs=2, warmup_epochs=1, batch_size=4, lr=1e-2)
    for name, value in optim.items():
        setattr(config.optim, name, value)
    return config


def leave_one_person_out(folder: Path) -> TrainConfig:
    """A run on clips of three people, a, b and c; in fold 1, a is left out."""
    for number in range(6):
        write_frames(folder / "faces" / str(number), 8, shade=9 * number)
    rows = [f"{i},{('fear', 'anger')[i % 2]},train,{'cab'[i // 2]}" for i in range(6)]
    table = folder / "faces" / "faces.csv"
    table.write_text("file,emotion,split,identity\n" + "\n".join(rows) + "\n")
    config = tiny(folder / "runs", table, epochs=1, warmup_epochs=0, batch_size=2)
    config.data.folds, config.data.val_fraction = "identity", 0.0
    config.data.labels = ["fear", "anger"]
    return config


def small_model(**arguments) -> M3DFEL:
    """A model of a few thousand weights, always the same ones."""
    torch.manual_seed(0)
    small = {"frames": 8, "size": 16, "bag_size": 2}
    small["backbone_options"] = {"width": 4, "depth": 10}
    return M3DFEL(**{**small, **arguments})


def published_name(ours: str) -> str:
    """Return the published model's name of one of our weights."""
    names = {
        "backbone": "features",
        "aggregation.lstm": "lstm",
        "aggregation.qkv": "to_qkv",
        "aggregation.norm.gamma": "norm.weight",
        "aggregation.norm.beta": "norm.bias",
        "aggregation.norm.mean_lambda": "norm.mean_weight",
        "aggregation.norm.var_lambda": "norm.var_weight",
        "aggregation.pooling": "pwconv",
        "classifier": "fc",
    }
    part = next(part for part in names if ours == part or ours.startswith(part + "."))
    return names[part] + ours.removeprefix(part)
