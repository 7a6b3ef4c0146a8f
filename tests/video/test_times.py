import numpy as np

from m3dfel.video.times import frames_at, mean_between


def test_the_frame_at_a_moment_is_the_last_that_has_started():
    times_s = np.array([1.0, 1.04, 1.08])
    moments_s = np.array([0.0, 1.0, 1.039, 1.04 - 1e-9, 1.05, 9.0])
    assert frames_at(times_s, moments_s).tolist() == [0, 0, 0, 1, 1, 2]


def test_the_mean_between_two_moments_covers_the_frames_shown_then():
    values, times_s = np.array([[0.0], [2.0], [4.0], [6.0]]), np.array([0.0, 0.1, 0.2, 0.3])
    means = mean_between(values, times_s, np.array([0.0, 0.1, 0.25]), np.array([0.2, 0.4, 0.26]))
    assert means.ravel().tolist() == [1, 4, 4]
