import numpy as np
import pytest

from m3dfel.evaluation.failures import (
    count_causes,
    failure_causes,
    localization,
    sampled_target_frames,
)
from m3dfel.synthetic.clips import synthetic_clips
from made_up import LABELS, run_with_evidence, run_with_predictions


def test_the_cause_is_fusion_where_the_decisive_instance_is_right():
    evidence = np.array(
        [
            [[9.0, 0, 0], [0, 0, 0], [0, 0, 0]],  # right
            [[3.0, 0, 0], [0, 2, 0], [0, 2, 0]],  # the decisive one is right, outvoted by two
            [[1.0, 0, 0], [0, 3, 0], [0, 0, 1]],  # one is right, but the decisive one is not
            [[0, 0, 1.0], [0, 0, 1], [0, 0, 1]],  # none is right
        ]
    )
    run = run_with_evidence(["happiness"] * 4, evidence)
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


def test_localization_measures_whether_evidence_is_on_the_target_frames():
    clips = synthetic_clips(0, range(4), 1, LABELS, brief=True)
    paths, emotions = [str(clip) for clip in clips], [clip.emotion for clip in clips]
    targets = np.stack([sampled_target_frames(path, 16) for path in paths]).astype(float)
    evidence = np.zeros((len(clips), 16, 3))
    for index, emotion in enumerate(emotions):
        evidence[index, :, LABELS.index(emotion)] = targets[index]
    perfect = localization(run_with_evidence(emotions, evidence, paths))
    assert perfect["clips"] == 8, "neutral clips have no target frames"
    assert perfect["frame_auc"] == perfect["pointing"] == 1
    assert perfect["pointing_chance"] == pytest.approx(perfect["target_frames"])
    assert 0.1 < perfect["target_frames"] < 0.35, "brief expressions fill few frames"
    opposite = localization(run_with_evidence(emotions, -evidence, paths))
    assert opposite["frame_auc"] == opposite["pointing"] == 0
    constant = localization(run_with_evidence(emotions, 0 * evidence, paths))
    assert constant["frame_auc"] == 0.5
    coarse_evidence = evidence.reshape(-1, 4, 4, 3).sum(2)
    coarse = localization(run_with_evidence(emotions, coarse_evidence, paths))
    assert coarse["pointing"] == 1
    assert coarse["pointing_chance"] > perfect["pointing_chance"]
    assert localization(run_with_predictions(LABELS, LABELS)) is None
