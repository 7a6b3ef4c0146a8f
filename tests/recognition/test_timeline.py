import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3dfel.recognition.defaults import CLIP_S
from m3dfel.recognition.timeline import (
    clip_marks,
    cut_track,
    frames_at,
    mean_between,
    smooth_probabilities,
)


@given(
    st.lists(st.floats(0.01, 0.6), min_size=0, max_size=200),
    st.sampled_from([1, 2, 4, 8, 16]),
    st.floats(0, 1e4),
)
def test_instances_cover_any_track_in_order(steps: list[float], bag_size: int, start_s: float):
    times_s = start_s + np.concatenate([[0.0], np.cumsum(steps)])
    indices, borders_s = cut_track(times_s, bag_size, 16 // bag_size, CLIP_S)
    assert indices.shape == (len(borders_s) - 1, 16 // bag_size)
    assert len(indices) >= bag_size
    assert (np.diff(indices.ravel()) >= 0).all()
    assert indices.min() >= 0
    assert indices.max() < len(times_s)
    assert borders_s[0] == times_s[0]
    assert borders_s[-1] > times_s[-1]


def test_the_frame_at_a_moment_is_the_last_that_has_started():
    times_s = np.array([1.0, 1.04, 1.08])
    moments_s = np.array([0.0, 1.0, 1.039, 1.04 - 1e-9, 1.05, 9.0])
    assert frames_at(times_s, moments_s).tolist() == [0, 0, 0, 1, 1, 2]


def test_the_mean_between_two_moments_covers_the_frames_shown_then():
    values, times_s = np.array([[0.0], [2.0], [4.0], [6.0]]), np.array([0.0, 0.1, 0.2, 0.3])
    means = mean_between(values, times_s, np.array([0.0, 0.1, 0.25]), np.array([0.2, 0.4, 0.26]))
    assert means.ravel().tolist() == [1, 4, 4]


def test_smoothing_is_the_same_before_and_after():
    times_s = np.arange(21) * 0.1
    spike = np.zeros((21, 2))
    spike[:, 0], spike[10] = 1, (0, 1)
    smoothed = smooth_probabilities(spike, times_s, np.zeros(21, bool), 0.2)
    assert smoothed.sum(1) == pytest.approx(1)
    assert smoothed[:, 1] == pytest.approx(smoothed[::-1, 1])
    assert smoothed[:, 1].argmax() == 10
    assert 0 < smoothed[10, 1] < 0.3
    assert (smooth_probabilities(spike, times_s, np.zeros(21, bool), 0) == spike).all()


def test_unreadable_clips_do_not_affect_their_neighbours():
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    unreadable = np.array([False, True, False])
    smoothed = smooth_probabilities(probabilities, np.arange(3) * 0.1, unreadable, 0.2)
    assert smoothed[[0, 2]].tolist() == [[1, 0], [1, 0]]
    assert np.isnan(smoothed[1]).all()


def test_a_clip_is_marked_if_most_of_its_frames_are():
    frame_marks = np.array(["blurred", "blurred", "too small", "", "", ""])
    indices = np.array([[0, 1], [2, 3], [4, 5]])
    assert clip_marks(frame_marks, indices, bag_size=2) == ["blurred", ""]
    assert clip_marks(frame_marks, indices, bag_size=3) == [""]
