from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from m3dfel.evaluation.failures import (
    count_causes,
    failure_causes,
    localization,
    sampled_target_frames,
)
from m3dfel.evaluation.runs import Run
from m3dfel.synthetic.clips import synthetic_clips

LABELS = ["happiness", "sadness", "neutral"]


def run_of(emotions: list[str], evidence: np.ndarray, paths: list[str] | None = None) -> Run:
    """A run on clips of 16 frames with this evidence, (M, N, 3)."""
    logits = evidence.sum(1)
    paths = paths or [f"clip-{i}" for i in range(len(emotions))]
    clips = pd.DataFrame({"split": "test", "path": paths, "emotion": emotions})
    clips["predicted"] = [LABELS[i] for i in logits.argmax(1)]
    clips["right"] = clips["emotion"] == clips["predicted"]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    clips["confidence"] = probabilities.max(1)
    clips[[f"p_{label}" for label in LABELS]] = probabilities
    columns = [f"evidence_{label}" for label in LABELS]
    instances = pd.DataFrame(evidence.reshape(-1, 3), columns=columns)
    instances.insert(0, "path", np.repeat(paths, evidence.shape[1]))
    return Run(Path("run"), {}, {"frames": 16}, clips, instances)


def test_the_cause_is_fusion_if_the_decisive_instance_was_right():
    evidence = np.array(
        [
            [[9.0, 0, 0], [0, 0, 0], [0, 0, 0]],  # right
            [[3.0, 0, 0], [0, 2, 0], [0, 2, 0]],  # the decisive one is right, outvoted by two
            [[1.0, 0, 0], [0, 3, 0], [0, 0, 1]],  # one is right, but the decisive one is not
            [[0, 0, 1.0], [0, 0, 1], [0, 0, 1]],  # none is right
        ]
    )
    run = run_of(["happiness"] * 4, evidence)
    failures = failure_causes(run).set_index("path")
    assert failures["cause"].to_dict() == {
        "clip-1": "fusion",
        "clip-2": "classification",
        "clip-3": "classification",
    }
    assert failures["instances_right"].to_dict() == {"clip-1": 1, "clip-2": 1, "clip-3": 0}
    assert failures.loc["clip-2", "decisive"] == "sadness"
    counts = count_causes(failure_causes(run), run.clips, LABELS).set_index("emotion")
    assert counts.loc["happiness"].tolist() == [4, 3, 2, 1]
    assert counts.loc["sadness"].tolist() == [0, 0, 0, 0]
    assert counts.loc["all"].tolist() == [4, 3, 2, 1]


def test_localization_is_high_for_evidence_on_the_target_frames_and_low_elsewhere():
    clips = synthetic_clips(0, range(4), 1, LABELS, brief=True)
    paths, emotions = [str(clip) for clip in clips], [clip.emotion for clip in clips]
    targets = np.stack([sampled_target_frames(path, 16) for path in paths]).astype(float)
    evidence = np.zeros((len(clips), 16, 3))
    for index, emotion in enumerate(emotions):
        evidence[index, :, LABELS.index(emotion)] = targets[index]
    on_target = localization(run_of(emotions, evidence, paths))
    assert on_target["clips"] == 8, "neutral clips have no target frames"
    assert on_target["frame_auc"] == on_target["pointing"] == 1
    assert on_target["pointing_chance"] == pytest.approx(on_target["target_frames"])
    assert 0.1 < on_target["target_frames"] < 0.35, "brief expressions fill few frames"
    off_target = localization(run_of(emotions, -evidence, paths))
    assert off_target["frame_auc"] == off_target["pointing"] == 0
    uniform = localization(run_of(emotions, 0 * evidence, paths))
    assert uniform["frame_auc"] == 0.5
    longer_instances = localization(run_of(emotions, evidence.reshape(-1, 4, 4, 3).sum(2), paths))
    assert longer_instances["pointing"] == 1
    assert longer_instances["pointing_chance"] > on_target["pointing_chance"]


def test_localization_needs_clips_whose_target_frames_are_known():
    assert localization(run_of(LABELS, np.eye(3)[:, None])) is None
