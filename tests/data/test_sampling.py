import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from m3dfel.data.sampling import centered_indices, random_indices

lengths = st.integers(1, 400)
frames = st.integers(1, 32)


@given(lengths, frames)
def test_indices_are_within_the_video_and_in_order(available: int, wanted: int):
    for indices in (centered_indices(available, wanted), random_indices(available, wanted)):
        assert indices.shape == (wanted,)
        assert indices.min() >= 0
        assert indices.max() < available
        assert (indices.diff() >= 0).all()


@given(lengths, frames)
def test_evaluation_frames_are_centered(available: int, wanted: int):
    indices = centered_indices(available, wanted)
    left, right = int(indices[0]), available - 1 - int(indices[-1])
    assert abs(left - right) <= 1


@given(st.integers(1, 20), st.integers(1, 16))
def test_training_reaches_every_frame(available: int, wanted: int):
    torch.manual_seed(0)
    seen = {i for _ in range(300) for i in random_indices(available, wanted).tolist()}
    assert len(seen) > 0.8 * available


def test_a_video_as_long_as_the_clip_is_used_frame_by_frame():
    assert centered_indices(16, 16).tolist() == list(range(16))


def test_a_short_video_repeats_its_frames_evenly():
    assert centered_indices(4, 16).bincount().tolist() == [4, 4, 4, 4]


@given(st.integers(1, 400), st.integers(1, 32), st.floats(5, 120), st.floats(0.05, 3))
def test_windows_last_as_long_as_they_are_told_to(
    available: int, wanted: int, fps: float, window_s: float
):
    windows = centered_indices(available, wanted, fps, window_s).reshape(-1, wanted)
    for indices in (*windows, random_indices(available, wanted, fps, window_s)):
        assert indices.min() >= 0
        assert indices.max() < available
        assert (indices.diff() >= 0).all()
        assert indices[-1] - indices[0] <= math.ceil(max(window_s * fps, 1))


def test_windows_for_evaluation_cover_the_video_once_from_start_to_end():
    assert centered_indices(48, 16, 25, 0.64).tolist() == [*range(16), *range(16, 48)]
    assert len(centered_indices(1000, 16, 25, 0.64)) == 4 * 16
    windows = centered_indices(1000, 16, 25, 0.64).reshape(4, 16)
    assert (windows[0, 0], windows[-1, -1]) == (0, 999)
    assert centered_indices(7, 16, 25, 0.64).tolist() == centered_indices(7, 16).tolist()


def test_training_windows_start_anywhere_and_keep_the_speed_of_the_video():
    torch.manual_seed(0)
    windows = [random_indices(100, 16, 50, 0.64) for _ in range(200)]
    assert {int(indices[-1] - indices[0]) for indices in windows} == {30}
    assert min(int(indices[0]) for indices in windows) <= 2
    assert max(int(indices[-1]) for indices in windows) >= 97
