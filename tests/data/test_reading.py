import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from m3dfel.data.manifest import Clip
from m3dfel.data.reading import read_clip, read_picture
from m3dfel.data.sampling import centered_indices, random_indices
from m3dfel.errors import InputError
from m3dfel.video.encode import write_video
from small_data import write_frames


def test_keeping_all_frames_of_a_synthetic_clip_does_not_change_what_is_read():
    clip = Clip("synthetic:0/1/0/fear", "synthetic", "fear", "train")
    for choose in (centered_indices, random_indices):
        torch.manual_seed(3)
        first = read_clip(clip, 4, 16, choose)
        torch.manual_seed(3)
        assert torch.equal(read_clip(clip, 4, 16, choose, keep_all=True), first)


def test_pictures_are_read_from_archives_and_in_luminance(tmp_path: Path):
    write_frames(tmp_path / "faces", 1)
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        archive.write(tmp_path / "faces" / "1.jpg", "ann/1.jpg")
    picture = read_picture(str(tmp_path / "faces" / "1.jpg"))
    assert picture.shape == (3, 24, 24)
    assert torch.equal(read_picture(str(tmp_path / "faces.zip!ann/1.jpg")), picture)
    assert read_picture(str(tmp_path / "faces.zip!ann/1.jpg"), grayscale=True).shape == (1, 24, 24)


def test_pictures_that_cannot_be_read_are_named(tmp_path: Path):
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(InputError, match=r"empty.jpg is not a picture"):
        read_picture(str(tmp_path / "empty.jpg"))
    with pytest.raises(InputError, match=r"cannot read .*gone.jpg"):
        read_picture(str(tmp_path / "gone.jpg"))
    with zipfile.ZipFile(tmp_path / "bad.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.jpg", bytes(range(256)) * 20)
    content = bytearray((tmp_path / "bad.zip").read_bytes())
    content[40:60] = b"\xff" * 20
    (tmp_path / "bad.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"cannot read .*bad.zip!1.jpg"):
        read_picture(str(tmp_path / "bad.zip!1.jpg"))
    with pytest.raises(InputError, match=r"cannot read .*gone.zip!1.jpg"):
        read_picture(str(tmp_path / "gone.zip!1.jpg"))


def test_a_still_is_the_same_in_every_frame(tmp_path: Path):
    write_frames(tmp_path / "faces", 1)
    clip = Clip(str(tmp_path / "faces" / "1.jpg"), "still", "fear", "test")
    frames = read_clip(clip, 3, 16, centered_indices)
    assert frames.shape == (3, 3, 24, 24)
    assert (frames == frames[0]).all()


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
