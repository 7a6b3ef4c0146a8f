import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from m3dfel.errors import InputError
from m3dfel.video import pictures
from m3dfel.video.pictures import frame_files, is_animation, read_picture
from m3dfel.video.sources import read_frames


def write_pictures(folder: Path, names: list[str]) -> None:
    folder.mkdir()
    for shade, name in enumerate(names):
        Image.new("RGB", (8, 8), (10 * shade, 0, 0)).save(folder / name)


def test_pictures_are_read_in_the_order_of_their_numbers(tmp_path):
    folder = tmp_path / "frames"
    write_pictures(folder, ["frame_1.png", "frame_2.png", "frame_10.png"])
    (folder / "notes.txt").write_text("no picture")
    (folder / "._frame_3.png").write_text("left by macOS")
    os.mkfifo(folder / "frame_3.png")
    files = frame_files(folder)
    assert [file.name for file in files] == ["frame_1.png", "frame_2.png", "frame_10.png"]
    frames = list(read_frames(files, fps=10))
    assert [frame.image[0, 0, 0] for frame in frames] == [0, 10, 20]
    assert [frame.time_s for frame in frames] == [0, 0.1, 0.2]
    assert frame_files(sorted(folder.glob("frame_[12]*"))) == files


def test_a_picture_with_a_rotation_tag_is_read_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (8, 6)).save(tmp_path / "rotated.jpg", exif=exif)
    assert read_picture(tmp_path / "rotated.jpg").shape == (8, 6, 3)


RAMP = np.arange(256, dtype=np.float32)[None].repeat(16, axis=0)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("16-bit.png", (RAMP * 257).astype(np.uint16)),
        ("16-bit.tif", (RAMP * 257).astype(np.uint16)),
        ("32-bit.tif", (RAMP * 257).astype(np.int32)),
        ("unit.tif", RAMP / 255),
        ("float.tif", RAMP),
        ("palette.png", None),
        ("cmyk.jpg", None),
        ("gray.png", RAMP.astype(np.uint8)),
    ],
)
def test_all_number_types_have_the_same_brightness(tmp_path, name, values):
    if values is None:
        gray = Image.fromarray(RAMP.astype(np.uint8))
        picture = gray.convert("P") if name == "palette.png" else gray.convert("CMYK")
    else:
        picture = Image.fromarray(values)
    picture.save(tmp_path / name)
    read = read_picture(tmp_path / name)
    assert read.shape == (16, 256, 3)
    assert read.dtype == np.uint8
    np.testing.assert_allclose(read[..., 1], RAMP, atol=4)


def test_heic_is_read(tmp_path):
    heif = pytest.importorskip("pi_heif")
    write = getattr(heif, "from_pillow", None)
    path = tmp_path / "phone.heic"
    try:
        write(Image.new("RGB", (64, 48), (200, 100, 50))).save(path)
    except Exception:
        pytest.skip("pi_heif reads HEIC but does not write it")
    assert read_picture(path).shape == (48, 64, 3)


def test_unreadable_pictures_are_input_errors(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"broken\.jpg cannot be read as a picture"):
        read_picture(tmp_path / "broken.jpg")
    with pytest.raises(InputError, match=r"there is no picture .*gone\.jpg"):
        read_picture(tmp_path / "gone.jpg")
    with pytest.raises(InputError, match="at least one"):
        frame_files([])
    with pytest.raises(InputError, match="is not a folder"):
        frame_files(tmp_path / "nowhere")
    (tmp_path / "bare").mkdir()
    with pytest.raises(InputError, match="holds no video and no picture"):
        frame_files(tmp_path / "bare")


def test_pictures_that_would_fill_the_memory_are_refused(tmp_path, monkeypatch):
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    with pytest.raises(InputError, match=r"bomb\.png has more than 100 million pixels"):
        read_picture(tmp_path / "bomb.png")
    Image.new("RGB", (64, 64)).save(tmp_path / "large.png")
    monkeypatch.setattr(pictures, "MAX_PIXELS", 4000)
    with pytest.raises(InputError, match=r"large\.png is 64×64 pixels but may have at most"):
        read_picture(tmp_path / "large.png")


def test_a_text_that_would_fill_the_memory_is_refused(tmp_path):
    path = tmp_path / "text.png"
    text = PngInfo()
    text.add(b"zTXt", b"key\0\0" + zlib.compress(bytes(200_000_000)))
    Image.new("RGB", (8, 8)).save(path, pnginfo=text)
    with pytest.raises(InputError, match=r"text\.png cannot be read as a picture"):
        read_picture(path)


def test_only_what_moves_is_an_animation(tmp_path):
    moving = {"save_all": True, "append_images": [Image.new("RGB", (8, 8), "red")]}
    for suffix in (".gif", ".webp", ".png"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"moving{suffix}", **moving)
        Image.new("RGB", (8, 8)).save(tmp_path / f"still{suffix}")
        assert is_animation(tmp_path / f"moving{suffix}")
        assert not is_animation(tmp_path / f"still{suffix}")
    Image.new("RGB", (8, 8)).save(tmp_path / "pages.tiff", **moving)
    assert not is_animation(tmp_path / "pages.tiff")
