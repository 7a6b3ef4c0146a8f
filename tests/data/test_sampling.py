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
