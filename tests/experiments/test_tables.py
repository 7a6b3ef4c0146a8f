"""Differences between runs and their uncertainty, on made-up runs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from m3dfel.evaluation.metrics import compute_metrics
from m3dfel.evaluation.runs import Run
from m3dfel.experiments.literature import PUBLISHED
from m3dfel.experiments.tables import compare_groups, paired_difference

LABELS = ["happiness", "sadness", "neutral"]


def run_of(
    emotions: list[str],
    evidence: np.ndarray,
    paths: list[str] | None = None,
    frames: int = 16,
    people: list[str] | None = None,
) -> Run:
    """A run that says of each clip what its evidence (M, N, 3) comes to."""
    logits = evidence.sum(1)
    paths = paths or [f"clip-{place}" for place in range(len(emotions))]
    clips = pd.DataFrame({"split": "test", "path": paths, "emotion": emotions})
    clips["identity"] = people
    clips["predicted"] = [LABELS[i] for i in logits.argmax(1)]
    clips["right"] = clips["emotion"] == clips["predicted"]
    shares = torch.tensor(logits).softmax(1).numpy()
    clips["confidence"] = shares.max(1)
    for place, label in enumerate(LABELS):
        clips[f"p_{label}"] = shares[:, place]
    instances = pd.DataFrame(
        evidence.reshape(-1, 3), columns=[f"evidence_{label}" for label in LABELS]
    )
    instances.insert(0, "path", np.repeat(paths, evidence.shape[1]))
    targets = torch.tensor([LABELS.index(emotion) for emotion in emotions])
    results = compute_metrics(torch.tensor(logits), targets, LABELS).to_dict()
    results |= {"frames": frames, "dataset": "made up"}
    return Run(Path("run"), {}, results, clips, instances)


def answering(emotions: list[str], answers: list[str], people: list[str] | None = None) -> Run:
    evidence = np.zeros((len(answers), 1, 3))
    for place, answer in enumerate(answers):
        evidence[place, 0, LABELS.index(answer)] = 1.0
    return run_of(emotions, evidence, people=people)


def test_a_difference_is_believed_when_it_is_large_and_not_when_it_is_small():
    emotions = LABELS * 40
    generator = np.random.default_rng(0)
    poor = [e if generator.random() < 0.5 else "neutral" for e in emotions]
    slightly = [
        e if place == 0 else p for place, (e, p) in enumerate(zip(emotions, poor, strict=True))
    ]
    told = paired_difference([answering(emotions, poor)], [answering(emotions, emotions)])
    assert 0 < told["war_low"] < told["war_difference"] < told["war_high"]
    assert 0 < told["uar_low"] < told["uar_difference"] < told["uar_high"]
    told = paired_difference([answering(emotions, poor)], [answering(emotions, slightly)])
    assert told["war_low"] <= 0 <= told["war_high"]
    again = paired_difference([answering(emotions, poor)], [answering(emotions, slightly)])
    assert told == again, "the same runs always give the same interval"


def test_the_interval_holds_the_chance_of_the_seeds():
    emotions = LABELS * 40
    wrong = ["sadness" if e == "neutral" else "neutral" for e in emotions]
    half = [e if i % 2 else w for i, (e, w) in enumerate(zip(emotions, wrong, strict=True))]
    steady = [answering(emotions, half)] * 2
    unsteady = [answering(emotions, emotions), answering(emotions, wrong)]
    calm, wild = paired_difference(steady, steady), paired_difference(steady, unsteady)
    assert calm["war_difference"] == wild["war_difference"] == pytest.approx(0)
    assert wild["war_high"] - wild["war_low"] > 80 > calm["war_high"] - calm["war_low"]


def test_clips_of_one_person_are_no_independent_witnesses():
    # Every clip of a person is right or none is: 120 clips say no more than their ten people.
    emotions, people = LABELS * 40, [str(place // 12) for place in range(120)]
    wrong = ["neutral" if e == "sadness" else "sadness" for e in emotions]
    half = [e if int(p) % 2 else w for e, p, w in zip(emotions, people, wrong, strict=True)]
    by_clip = paired_difference([answering(emotions, wrong)], [answering(emotions, half)])
    by_person = paired_difference([answering(emotions, wrong, people)], [answering(emotions, half)])
    assert by_clip["war_difference"] == by_person["war_difference"] == pytest.approx(50)
    wide, narrow = (told["war_high"] - told["war_low"] for told in (by_person, by_clip))
    assert wide > 2.5 * narrow


def test_rows_are_compared_only_where_they_measured_the_same_clips():
    one = answering(LABELS, LABELS)
    other = run_of(LABELS, np.eye(3)[:, None], ["a", "b", "c"])
    table = compare_groups({"one": [one], "same": [one], "other": [other]}).set_index("name")
    assert table.loc["same", "war_difference"] == 0
    assert np.isnan(table.loc["other", "war_difference"])
    assert table.loc["one", "war"] == 100
    assert table.loc["one", "war_std"] is None or np.isnan(table.loc["one", "war_std"])


def test_the_readme_s_published_figures_are_the_package_s():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for result in PUBLISHED:
        if result.uar and "without" not in result.method and "S4D" not in result.method:
            assert f"{100 * result.war:.2f} / {100 * result.uar:.2f}" in readme, result
