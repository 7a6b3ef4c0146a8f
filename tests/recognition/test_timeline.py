import numpy as np
import pytest
import torch

from m3dfel.predictions.update import Update
from m3dfel.recognition.settings import RecognizerSettings
from m3dfel.recognition.timeline import Timeline
from m3dfel.video.decode import Frame
from m3dfel.video.faces import Detection
from m3dfel.video.tracks import TrackedFace
from small_videos import small_model

CROP = np.zeros((4, 4, 3), np.uint8)


def updates_of(times_s: list[float], answers: np.ndarray, marks: dict[int, str]) -> list[Update]:
    """Return the updates of a track, given the model's answers (B, C) for its clips."""
    timeline = Timeline(1, small_model(), RecognizerSettings())
    updates, remaining = [], iter(answers)

    def encode(instances) -> None:
        for instance in instances:
            if timeline.add_features(instance, torch.zeros(8)) is not None:
                timeline.add_answer(next(remaining), np.zeros((4, 7)), np.empty(0))
        updates.extend(timeline.finish(times_s[-1]))

    for index, time_s in enumerate(times_s):
        detection = Detection(np.zeros(4, np.float32), 0.9, np.zeros((5, 2), np.float32))
        face = TrackedFace(1, Frame(index, time_s, CROP), detection, CROP, marks.get(index, ""))
        encode(timeline.add(face))
    encode(timeline.end())
    return updates


def test_the_last_update_ends_with_the_track():
    updates = updates_of([i / 25 for i in range(41)], np.eye(7)[[0] * 10], {})
    assert [update.start_s for update in updates] == pytest.approx(np.arange(7) * 0.16)
    assert [update.end_s for update in updates[:-1]] == pytest.approx(0.64 + np.arange(6) * 0.16)
    assert updates[-1].end_s == updates[-1].borders_s[-1] == pytest.approx(41 / 25)


def test_answers_are_averaged_over_time_and_unreadable_ones_left_out():
    answers = np.eye(7)[[0, 0, 0, 1, 0, 0, 0]]
    updates = updates_of([i / 25 for i in range(40)], answers, {})
    assert [update.emotion for update in updates] == ["happiness"] * 7
    assert 0.1 < updates[3].probabilities[1] < 0.4
    assert updates[3].raw.tolist() == answers[3].tolist()
    hidden = updates_of(
        [i / 25 for i in range(40)], answers, dict.fromkeys(range(14, 30), "blurred")
    )
    assert hidden[3].mark == "blurred"
    assert all(update.probabilities[1] == 0 for update in hidden if update.emotion)


def test_frames_at_one_moment_are_a_clip():
    (update,) = updates_of([3.0] * 20, np.eye(7)[[0]], {})
    assert (update.start_s, update.end_s) == (3.0, 3.04)
