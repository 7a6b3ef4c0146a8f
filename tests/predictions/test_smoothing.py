import numpy as np
import pytest

from m3dfel.predictions.smoothing import kernel_radius, smooth_probabilities


def test_smoothing_is_the_same_before_and_after():
    spike = np.zeros((21, 2))
    spike[:, 0], spike[10] = 1, (0, 1)
    readable = np.zeros(21, bool)
    smoothed = np.stack([smooth_probabilities(i, spike, readable, 2) for i in range(21)])
    assert smoothed.sum(1) == pytest.approx(1)
    assert smoothed[:, 1] == pytest.approx(smoothed[::-1, 1])
    assert smoothed[:, 1].argmax() == 10
    assert 0 < smoothed[10, 1] < 0.3
    assert (smooth_probabilities(10, spike, readable, 0) == spike[10]).all()


def test_unreadable_clips_do_not_affect_their_neighbors():
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    unreadable = np.array([False, True, False])
    smoothed = [smooth_probabilities(i, probabilities, unreadable, 2) for i in range(3)]
    assert smoothed[0].tolist() == smoothed[2].tolist() == [1, 0]
    assert np.isnan(smoothed[1]).all()


def test_what_is_out_of_reach_hardly_weighs():
    assert kernel_radius(0) == 1
    for spread in (0.3, 1.25, 4):
        radius = kernel_radius(spread)
        weights = np.exp(-0.5 * (np.arange(-50, 51) / spread) ** 2)
        assert weights[50 + radius + 1 :].sum() / weights.sum() < 1e-4
