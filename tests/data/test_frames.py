from pathlib import Path

import numpy as np
import pytest
import torch

from m3dfel.data.manifest import Clip
from m3dfel.data.reading import read_clip
from m3dfel.data.sampling import centered_indices
from m3dfel.errors import InputError
from m3dfel.video.encode import write_video
from small_data import write_frames


def test_frames_are_read_in_the_order_of_their_numbers(tmp_path: Path):
    write_frames(tmp_path / "clip", 12)
    clip = Clip(str(tmp_path / "clip"), "frames", "fear", "test")
    frames = read_clip(clip, 12, 16, centered_indices)
    assert frames.shape == (12, 3, 24, 24)
    assert (frames.float().mean((1, 2, 3)).diff() > 2).all()


def test_frames_that_are_added_or_deleted_are_noticed(tmp_path: Path):
    write_frames(tmp_path / "clip", 3)
    clip = Clip(str(tmp_path / "clip"), "frames", "fear", "test")
    before = read_clip(clip, 3, 16, centered_indices)
    (tmp_path / "clip" / "1.jpg").unlink()
    after = read_clip(clip, 2, 16, centered_indices)
    assert torch.equal(after, before[1:])


def test_a_video_is_read(tmp_path: Path):
    shades = np.arange(8, dtype=np.uint8)[:, None, None, None] * 25
    write_video(tmp_path / "film.mp4", np.broadcast_to(shades, (8, 32, 32, 3)), 25)
    clip = Clip(str(tmp_path / "film.mp4"), "video", "fear", "test")
    frames = read_clip(clip, 4, 16, centered_indices)
    assert frames.shape == (4, 3, 32, 32)
    assert (frames.float().mean((1, 2, 3)).diff() > 30).all()


def test_frames_of_different_sizes_are_an_error(tmp_path: Path):
    write_frames(tmp_path / "clip", 2)
    write_frames(tmp_path / "larger", 3, side=32)
    (tmp_path / "larger" / "3.jpg").rename(tmp_path / "clip" / "3.jpg")
    clip = Clip(str(tmp_path / "clip"), "frames", "fear", "test")
    with pytest.raises(InputError, match="frames of different sizes"):
        read_clip(clip, 3, 16, centered_indices)
