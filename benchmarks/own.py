"""What `--baseline own` brings on moving faces of people whom the model has not learned from.

Reads a cross-validation that leaves one person out at a time (`m3dfel crossval`), predicts the
clips of each person with the model that has not seen them, as `m3dfel predict` does, and prints the
accuracy with and without the baseline. The answer for a clip is the mean of the probabilities in
its timeline; of the answers in the timelines, how many are sure enough for the bundled model.

    python benchmarks/own.py clips/clips.csv runs/moving
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from m3dfel.batch.folders import predict_in_processes, predict_videos
from m3dfel.batch.settings import PredictSettings
from m3dfel.evaluation.coverage import answers_at, risk_coverage
from m3dfel.evaluation.metrics import compute_metrics
from m3dfel.models.checkpoints import BUNDLED, load_model
from m3dfel.predictions.baseline import Baseline
from m3dfel.predictions.persons import PersonMap
from m3dfel.processes import usable_cores
from m3dfel.report.recognized import per_label


def timelines(model: Path, videos: Sequence[str], labels: Sequence[str], own: bool) -> list[Tensor]:
    """Return the probabilities in the timelines of clips of one person, (W, C) each."""
    with tempfile.TemporaryDirectory() as output:
        settings = PredictSettings(
            output,
            formats=("clips",),
            model=str(model),
            aligned=True,
            persons=PersonMap("", {video: {1: 1} for video in videos}),
            baseline=Baseline(own=True) if own else None,
        )
        predict_videos(videos, settings, partial(predict_in_processes, jobs=usable_cores()))
        tables = [pd.read_csv(Path(output, f"{Path(video).stem}_clips.csv")) for video in videos]
    p = per_label("p", labels)
    return [torch.from_numpy(table[p].to_numpy()) for table in tables]


def logits(clips: Sequence[Tensor]) -> Tensor:
    """Return the mean of the probabilities in each timeline, (M, C), as logits."""
    return (torch.stack([probabilities.mean(0) for probabilities in clips]) + _LITTLE).log()


def main() -> None:
    """Print WAR by person, recall and calibration error, with and without the baseline."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, help="CSV file of the clips")
    parser.add_argument("run", type=Path, help="folder of the cross-validation")
    options = parser.parse_args()
    folds = sorted(options.run.glob("fold-*"))
    labels = load_model(str(folds[0])).labels
    min_confidence = load_model(BUNDLED).min_confidence
    clips = pd.read_csv(options.clips)
    targets = torch.tensor([labels.index(emotion) for emotion in clips["emotion"]])
    for own in False, True:
        answers: dict[int, Tensor] = {}
        by_person = {}
        for fold in folds:
            # The CSV file of a run lists the clips that it was tested on.
            person = pd.read_csv(fold / "clips.csv")["identity"].iloc[0]
            rows = np.flatnonzero(clips["identity"] == person)
            videos = [str(options.clips.parent / clips["file"][row]) for row in rows]
            answers |= zip(rows, timelines(fold, videos, labels, own), strict=True)
            of_person = logits([answers[row] for row in rows])
            by_person[person] = compute_metrics(of_person, targets[rows], labels).war
        ordered = [answers[row] for row in range(len(clips))]
        metrics = compute_metrics(logits(ordered), targets, labels)
        single = (torch.cat(ordered) + _LITTLE).log()
        single_targets = targets.repeat_interleave(torch.tensor([len(a) for a in ordered]))
        ece = compute_metrics(single, single_targets, labels).ece
        sure = answers_at(risk_coverage(single, single_targets), min_confidence)
        chance = np.random.default_rng(0)
        wars = chance.choice([*by_person.values()], (10_000, len(folds))).mean(1)
        low, high = np.quantile(wars, [0.025, 0.975])
        print("--baseline own" if own else "no baseline")
        print(f"  WAR {metrics.war:.3f} [{low:.2f}, {high:.2f}]  ECE {metrics.ece:.3f}")
        print(
            "  recall", {name: round(r, 2) for name, r in metrics.recall.items() if r is not None}
        )
        print("  by person", {name: round(war, 2) for name, war in by_person.items()})
        print(
            f"  single answers: ECE {ece:.3f}, {sure.answered:.0%} reach {min_confidence:.2f}, "
            f"{sure.answered_right or 0:.0%} of these are right"
        )


_LITTLE = 1e-6  # probabilities are written with six digits


if __name__ == "__main__":
    main()
