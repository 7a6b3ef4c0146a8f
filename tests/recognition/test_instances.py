import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3dfel.recognition.instances import Instance, InstanceCutter

CLIP_S = 0.64


@given(
    st.lists(st.floats(0.01, 0.6), min_size=0, max_size=200),
    st.sampled_from([1, 2, 4, 8, 16]),
    st.floats(0, 1e4),
)
def test_instances_cover_any_track_in_order(steps: list[float], bag_size: int, start_s: float):
    times_s = start_s + np.concatenate([[0.0], np.cumsum(steps)])
    instances, end_s = cut(times_s, bag_size)
    frames = np.stack([instance.frames for instance in instances])
    assert frames.shape[1] == 16 // bag_size
    assert len(instances) >= bag_size
    assert (np.diff(frames.ravel()) >= 0).all()
    assert [before.end_s for before in instances[:-1]] == [after.start_s for after in instances[1:]]
    assert instances[0].start_s == times_s[0]
    assert abs(instances[-1].end_s - end_s) < 0.501 * CLIP_S / bag_size
    assert end_s > times_s[-1]
    for instance in instances:
        assert instance.crops[:, 0, 0, 0].tolist() == (instance.frames % 256).tolist()


def cut(times_s: np.ndarray, bag_size: int, context: int = 0) -> tuple[list[Instance], float]:
    """Cut a track whose crops show the number of their frame."""
    cutter = InstanceCutter(bag_size, 16 // bag_size, CLIP_S, context)
    crops = np.arange(len(times_s), dtype=np.uint8).repeat(3).reshape(-1, 1, 1, 3)
    frames = zip(times_s.tolist(), crops, strict=True)
    complete = [instance for frame in frames for instance in cutter.add(*frame)]
    return [*complete, *cutter.end()], cutter.end_s


def test_a_short_track_is_one_bag_of_equal_instances():
    instances, end_s = cut(np.arange(10) / 25, bag_size=4)
    assert [instance.end_s for instance in instances] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert end_s == pytest.approx(0.4)
    frames = [frame for instance in instances for frame in instance.frames.tolist()]
    assert frames == [0, 0, 1, 2, 2, 3, 4, 4, 5, 5, 6, 7, 7, 8, 9, 9]


def test_an_instance_is_read_with_the_frames_around_it():
    plain, end_s = cut(np.arange(24) / 25, bag_size=4)
    with_context, same_end_s = cut(np.arange(24) / 25, bag_size=4, context=3)
    assert same_end_s == end_s
    assert [i.start_s for i in with_context] == [i.start_s for i in plain]
    own = np.concatenate([instance.frames for instance in plain])
    padded = np.pad(own, 3, mode="edge")
    for number, instance in enumerate(with_context):
        assert instance.frames.tolist() == padded[4 * number : 4 * number + 10].tolist()


@pytest.mark.parametrize(("frames", "last_s"), [(16, 0.16), (17, 0.16), (18, 0.08), (19, 0.12)])
def test_the_last_instance_is_what_is_left(frames: int, last_s: float):
    instances, _ = cut(np.arange(frames) / 25, bag_size=4)
    lengths = [instance.end_s - instance.start_s for instance in instances]
    assert lengths[:-1] == pytest.approx([0.16] * (len(lengths) - 1))
    assert lengths[-1] == pytest.approx(last_s)


def test_an_instance_is_complete_as_soon_as_its_last_frame_is_over():
    cutter = InstanceCutter(4, 4, CLIP_S)
    crop = np.zeros((1, 1, 3), np.uint8)
    counts = [len([*cutter.add(index / 25, crop)]) for index in range(26)]
    assert [index for index, count in enumerate(counts) if count] == [16, 20, 24]
    assert counts[16] == 4


def test_a_frame_that_is_held_is_cut_piece_by_piece():
    cutter = InstanceCutter(4, 4, CLIP_S)
    crops = [np.full((8, 8, 3), shade, np.uint8) for shade in range(3)]
    assert not [*cutter.add(0.0, crops[0])]
    held = cutter.add(600.0, crops[1])
    first = [next(held) for _ in range(100)]
    assert all((instance.crops == 0).all() for instance in first)
    assert first[-1].end_s == pytest.approx(16)
    assert len([*held]) == pytest.approx(600 / 0.16 - 100, abs=2)
    assert not [*cutter.add(600.04, crops[2], 5.0)]
    assert [*cutter.end()][-1].end_s == cutter.end_s == pytest.approx(605.04)
