"""Short videos, scripted faces and a small model for the recognizer's tests."""

import numpy as np
import torch

from m3dfel.batch.predictor import VideoPredictor, predict_safely
from m3dfel.batch.settings import Outcome, PredictSettings, Video
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.video.decode import Frame
from m3dfel.video.faces import Detection

FACE = [(14, 16), (26, 16), (20, 23), (15, 29), (25, 29)]


def small_model(bag_size: int = 4, **arguments) -> M3DFEL:
    """A random model that answers quickly, and differently for different frames."""
    torch.manual_seed(0)
    small = {"size": 32, "backbone_options": {"width": 4, "depth": 10}}
    model = M3DFEL(bag_size=bag_size, **small, **arguments).eval()
    torch.nn.init.normal_(model.classifier.weight, std=3)
    return model


def predict_here(videos: list[Video], settings: PredictSettings, jobs: int = 1) -> list[Outcome]:
    """Predict videos in this process, since others would import torch first, for seconds."""
    predictor = VideoPredictor(settings)
    return [predict_safely(predictor, video) for video in videos]


def noise_video(frames: int, fps: float = 25.0, side: int = 48) -> list[Frame]:
    """Noise, so that no two frames are the same."""
    generator = np.random.default_rng(0)
    return [
        Frame(i, i / fps, generator.integers(0, 256, (side, side, 3), dtype=np.uint8))
        for i in range(frames)
    ]


class ScriptedDetector:
    """A detector that finds each face at its left edge in the frames given for it."""

    def __init__(self, *faces: tuple[float, set[int]]) -> None:
        self.faces, self.frame = faces, -1

    def __call__(self, image: np.ndarray) -> list[Detection]:
        self.frame += 1
        return [_face_at(left) for left, frames in self.faces if self.frame in frames]


def _face_at(left: float) -> Detection:
    return Detection(
        np.array([left, 4, left + 40, 44], np.float32),
        0.9,
        np.array([(left + x, y) for x, y in FACE], np.float32),
    )


def film(*spots: tuple[int, int, range], frames: int = 100) -> list[Frame]:
    """A film with spots: column (of 44 pixels), brightness, and the frames that show it."""
    generator = np.random.default_rng(0)
    pictures = np.zeros((frames, 48, 132, 3), np.uint8)
    for column, brightness, shown in spots:
        for i in shown:
            texture = generator.integers(-30, 30, (40, 40, 1))
            pictures[i, 4:44, 44 * column : 44 * column + 40] = brightness + texture
    return [Frame(i, i / 25, picture) for i, picture in enumerate(pictures)]


class SpotDetector:
    """Finds a face wherever a square of 40×40 pixels is not black."""

    def __call__(self, image: np.ndarray) -> list[Detection]:
        lefts = [left for left in range(0, image.shape[1] - 39, 44) if image[24, left + 20].any()]
        return [
            Detection(
                np.array([left, 4, left + 40, 44], np.float32),
                0.9,
                np.array([(left + x, y) for x, y in FACE], np.float32),
            )
            for left in lefts
        ]
