"""Read faces with `fer` or m3dfel, for `../peers.py`.

    python read_faces.py fer ANSWERS.json CROPS.npy...
    python read_faces.py MODEL ANSWERS.json CROPS.npy...

Crops are uint8 RGB (M, S, S, 3). The answers are the network's words for the emotions, the
probabilities (M, C) of each file, and the milliseconds that one face takes. Only the network that
is named must be installed.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

TIMED = 100


class Network(NamedTuple):
    """A network.

    Attributes:
        words: its words for the emotions.
        read: from crops (M, S, S, 3) to probabilities (M, C).
        read_one: how a face alone is read, for the time that it takes: from a crop (S, S, 3).
    """

    words: list[str]
    read: Callable[[np.ndarray], np.ndarray]
    read_one: Callable[[np.ndarray], np.ndarray]


def fer() -> Network:
    import cv2
    from fer.fer import FER

    network = FER()

    def read_one(face: np.ndarray) -> np.ndarray:
        # What FER.detect_emotions does with a face, but it rounds the answer to two digits.
        gray = cv2.resize(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), (64, 64))
        return network._classify_emotions((gray[None].astype(np.float32) / 255 - 0.5) * 2)[0]

    words = list(network._get_labels().values())
    return Network(words, lambda faces: np.stack([*map(read_one, faces)]), read_one)


def m3dfel(name: str) -> Network:
    import torch

    from m3dfel.data.augment.transforms import resize_middle
    from m3dfel.models.checkpoints import load_model

    model = load_model(name)

    def pictures(faces: np.ndarray) -> torch.Tensor:
        return resize_middle(torch.from_numpy(faces).movedim(-1, -3), model.size)

    @torch.inference_mode()
    def read(faces: np.ndarray) -> np.ndarray:
        probabilities = []
        for batch in pictures(faces).split(32):
            # All instances of a clip without motion are the same: one is enough.
            instances = batch[:, None].expand(-1, model.encoded_length, -1, -1, -1)
            features = model.encode(instances, torch.zeros(len(batch), dtype=torch.int64))
            bags = features[:, None].expand(-1, model.bag_size, -1)
            probabilities.append(model.fuse(bags).softmax(1))
        return torch.cat(probabilities).numpy()

    @torch.inference_mode()
    def read_one(face: np.ndarray) -> np.ndarray:
        clip = pictures(face).expand(model.frames, -1, -1, -1)
        return model(clip[None]).softmax(1)[0].numpy()

    return Network(list(model.labels), read, read_one)


def milliseconds(network: Network, faces: np.ndarray) -> float:
    times = []
    for face in faces:
        start = time.perf_counter()
        network.read_one(face)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def main(name: str, answers: str, *files: str) -> None:
    network = fer() if name == "fer" else m3dfel(name)
    probabilities = [network.read(np.load(file)).tolist() for file in files]
    ms = milliseconds(network, np.load(files[0])[:TIMED])
    result = {"words": network.words, "probabilities": probabilities, "ms": ms}
    Path(answers).write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
