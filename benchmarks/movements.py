"""What movements alone say of people not learned from: no network, a linear classifier of a clip.

Reads clips with a column `identity` and the table that `m3dfel data movements` makes beside them. A
clip becomes the mean and deviation of each movement over its frames and the root of its mean
change. Each person is left out in turn.

    python benchmarks/movements.py clips/clips.csv
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from m3dfel.data.movements import read_movements
from m3dfel.training.movement_classifier import centered

_PENALTY = 0.1  # of squared weights


def summarize(frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return what a clip is known by, (3 K,), of the movements in its frames, (T, K)."""
    frames = frames[np.isfinite(frames).all(1)]
    change = np.sqrt(np.abs(frames[2:] - frames[:-2]).mean(0))
    return np.concatenate([frames.mean(0), frames.std(0), change])


def fit(features: Tensor, targets: Tensor, classes: int) -> Tensor:
    """Return the weights of a logistic regression, (F + 1, C); the last row is the bias."""
    weights = torch.zeros(features.shape[1] + 1, classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits = features @ weights[:-1] + weights[-1]
        loss = cross_entropy(logits, targets) + _PENALTY * weights[:-1].square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return weights.detach()


def leave_one_out(features: Tensor, targets: Tensor, people: Tensor) -> Tensor:
    """Return the log probabilities of each clip, from a classifier of all other people."""
    classes = int(targets.max()) + 1
    answers = torch.zeros(len(targets), classes)
    for person in people.unique():
        own = people == person
        mean, deviation = features[~own].mean(0), features[~own].std(0) + 1e-3
        normal = (features - mean) / deviation
        weights = fit(normal[~own], targets[~own], classes)
        answers[own] = (normal[own] @ weights[:-1] + weights[-1]).log_softmax(1)
    return answers


def main() -> None:
    """Print the accuracy of each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", help="CSV file of the clips")
    path = parser.parse_args().clips
    clips = pd.read_csv(path)
    movements = read_movements([path])
    (files,) = movements.files
    features = torch.from_numpy(np.stack([summarize(files[name]) for name in clips["file"]]))
    people = torch.from_numpy(np.unique(clips["identity"].to_numpy(str), return_inverse=True)[1])
    emotions, indices = np.unique(clips["emotion"].to_numpy(str), return_inverse=True)
    targets = torch.from_numpy(indices)
    answers = leave_one_out(features, targets, people)
    usual = leave_one_out(centered(features, people), targets, people)
    ways = {
        "as they are": answers,
        "answers compared with the person's mean": centered(answers, people),
        "movements compared with the person's mean": usual,
    }
    print(f"{len(clips)} clips of {len(people.unique())} people, {len(movements.names)} movements")
    for way, logits in ways.items():
        right = logits.argmax(1) == targets
        recalls = [f"{e} {right[targets == i].float().mean():.2f}" for i, e in enumerate(emotions)]
        print(f"WAR {right.float().mean():.3f}  {way}: {', '.join(recalls)}")


if __name__ == "__main__":
    main()
