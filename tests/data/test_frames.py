from pathlib import Path

import pytest

from m3dfel.data.manifest import Clip
from m3dfel.data.reading import read_clip
from m3dfel.data.sampling import centered_indices
from m3dfel.errors import InputError
from small_data import write_frames


def test_frames_of_different_sizes_are_an_error(tmp_path: Path):
    write_frames(tmp_path / "clip", 2)
    write_frames(tmp_path / "larger", 3, side=32)
    (tmp_path / "larger" / "3.jpg").rename(tmp_path / "clip" / "3.jpg")
    clip = Clip(str(tmp_path / "clip"), "frames", "fear", "test")
    with pytest.raises(InputError, match="frames of different sizes"):
        read_clip(clip, 3, 16, centered_indices)
