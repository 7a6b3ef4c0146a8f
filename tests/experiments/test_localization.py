import numpy as np
import pytest

from m3dfel.experiments.localization import localization, sampled_target_frames
from m3dfel.synthetic.clips import synthetic_clips
from made_up import LABELS, run_with_evidence


def test_localization_is_high_for_evidence_on_the_target_frames_and_low_elsewhere():
    clips = synthetic_clips(0, range(4), 1, LABELS, brief=True)
    paths, emotions = [str(clip) for clip in clips], [clip.emotion for clip in clips]
    targets = np.stack([sampled_target_frames(path, 16) for path in paths]).astype(float)
    evidence = np.zeros((len(clips), 16, 3))
    for index, emotion in enumerate(emotions):
        evidence[index, :, LABELS.index(emotion)] = targets[index]
    on_target = localization(run_with_evidence(emotions, evidence, paths))
    assert on_target["clips"] == 8, "neutral clips have no target frames"
    assert on_target["frame_auc"] == on_target["pointing"] == 1
    assert on_target["pointing_chance"] == pytest.approx(on_target["target_frames"])
    assert 0.1 < on_target["target_frames"] < 0.35, "brief expressions fill few frames"
    off_target = localization(run_with_evidence(emotions, -evidence, paths))
    assert off_target["frame_auc"] == off_target["pointing"] == 0
    uniform = localization(run_with_evidence(emotions, 0 * evidence, paths))
    assert uniform["frame_auc"] == 0.5
    longer_instances = localization(
        run_with_evidence(emotions, evidence.reshape(-1, 4, 4, 3).sum(2), paths)
    )
    assert longer_instances["pointing"] == 1
    assert longer_instances["pointing_chance"] > on_target["pointing_chance"]


def test_localization_needs_clips_whose_target_frames_are_known():
    assert localization(run_with_evidence(LABELS, np.eye(3)[:, None])) is None
