"""Read pictures and animations: from any format that Pillow reads to upright 8-bit RGB.

Beside `decode`, which does the same for videos. Uses Pillow.
"""

from __future__ import annotations

import re
import stat
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from m3dfel.errors import InputError, needs_extra

PICTURE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".heic", ".heif", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)
ANIMATION_SUFFIXES = frozenset({".apng", ".avif", ".gif", ".png", ".webp"})
"""Suffixes of formats that hold a picture or an animation; only the file says which."""

MAX_PIXELS = 100_000_000
"""Larger frames and pictures are refused before memory is allocated for them."""

_HEIC = frozenset({".heic", ".heif"})
_ANIMATED_FORMATS = frozenset({"AVIF", "GIF", "PNG", "WEBP"})
# As browsers do it: a frame this short, in many GIFs, is shown for a tenth of a second.
_SHORTEST_MS, _TOO_SHORT_MS = 10, 100

Pixels = npt.NDArray[np.uint8]


def frame_files(source: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return picture files in the order of the numbers in their names (frame_2 before frame_10).

    Args:
        source: a folder, or a list of files.

    Raises:
        InputError: the folder does not exist or cannot be read, or there is no picture.
    """
    if not isinstance(source, str | Path):
        if not source:
            raise InputError("the list of pictures is empty: give at least one picture")
        return sorted(map(Path, source), key=by_number)
    folder = Path(source)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give the folder that holds the frames")
    try:
        files = sorted(filter(is_picture_name, folder.iterdir()), key=by_number)
    except PermissionError as error:
        raise InputError(f"no permission to read the folder {folder}") from error
    files = [file for file in files if file.is_file()]
    if not files:
        raise InputError(
            f"{folder} holds no video and no picture: put videos there, or frames as .jpg or .png "
            "files"
        )
    return files


def is_picture_name(file: PurePath) -> bool:
    """Return whether a file's name is that of a picture, and not hidden."""
    return file.suffix.lower() in PICTURE_SUFFIXES and not file.name.startswith(".")


def by_number(file: Path) -> tuple[list[str | int], str]:
    """Return a key that sorts files by the numbers in their names."""
    parts = re.split(r"(\d+)", str(file))
    return [int(part) if part.isdecimal() else part for part in parts], str(file)


def check_file(path: Path, kind: str) -> None:
    """Check that there is a file to read.

    Args:
        path: of the file.
        kind: what it should be, such as `video file`.

    Raises:
        InputError: it is missing, empty, a folder, a pipe or a device, or there is no permission.
    """
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            path.open("rb").close()
    except PermissionError as error:
        raise InputError(f"no permission to read {path}") from error
    except (OSError, ValueError) as error:  # a name with a null byte is a ValueError
        raise InputError(f"there is no {kind} {path}: check the path") from error
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
        raise InputError(f"{path} is {what}, not a file: give a {kind}")
    if status.st_size == 0:
        raise InputError(f"{path} is empty: copy or download it again")


def check_size(name: str | Path, width: int, height: int) -> None:
    """Check that a picture is not too large, before memory is allocated for it.

    Raises:
        InputError: it has more than `MAX_PIXELS`.
    """
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{name} is {width}×{height} pixels but may have at most {MAX_PIXELS // 10**6} "
            "million: scale it down"
        )


def read_picture(file: Path) -> Pixels:
    """Return a picture, uint8 RGB (H, W, 3), upright; of an animation, its first frame.

    Raises:
        InputError: the file is missing, cannot be read as a picture, or is too large.
    """
    with _opened(file) as picture:
        return to_rgb(picture)


def is_animation(file: Path) -> bool:
    """Return whether a file is an animated GIF, WebP, PNG or AVIF."""
    if file.suffix.lower() not in ANIMATION_SUFFIXES:
        return False
    try:
        with _opened(file) as picture:
            return _frames(picture) > 1
    except InputError:
        return False


def read_animation(file: Path) -> Iterator[tuple[float, float, Pixels]]:
    """Yield when each frame of an animation starts, how long it is shown, and its pixels.

    Times are in seconds from the start; pixels are uint8 RGB (H, W, 3).

    Raises:
        InputError: the file is missing, cannot be read as a picture, or is too large.
    """
    with _opened(file) as picture:
        time_s = 0.0
        for index in range(_frames(picture)):
            picture.seek(index)
            pixels = to_rgb(picture)
            shown_ms = picture.info.get("duration", 0)  # WebP knows it once the frame is loaded
            duration_s = (shown_ms if shown_ms > _SHORTEST_MS else _TOO_SHORT_MS) / 1000
            yield time_s, duration_s, pixels
            time_s += duration_s


def to_rgb(picture: Image.Image) -> Pixels:
    """Return a Pillow picture of any mode as uint8 RGB (H, W, 3), upright."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode == "P":
        picture = picture.convert("RGBA")  # the way to RGB for every kind of transparency
    if picture.mode[0] not in "IF":
        return np.array(picture.convert("RGB"))
    # 16 or 32 bits of gray, which Pillow would cut off at 255.
    gray = np.nan_to_num(np.asarray(picture, np.float32))
    if picture.mode.startswith("I;16"):
        white = 65535.0
    else:
        peak = float(gray.max())
        usual = (255.0, 65535.0) if picture.mode == "I" else (1.0, 255.0, 65535.0)
        white = next((value for value in usual if peak <= value), peak)
    scaled = (gray.clip(0, white) * (255 / white)).round().astype(np.uint8)
    return np.repeat(scaled[..., None], 3, axis=2)


def fitting(size: tuple[int, int], canvas: tuple[int, int]) -> tuple[int, int]:
    """Return the width and height of a picture that is scaled to fit on a canvas."""
    scale = min(canvas[0] / size[0], canvas[1] / size[1])
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def with_bars(picture: Pixels, canvas: tuple[int, int]) -> Pixels:
    """Return a picture in the middle of a canvas, with black bars where their shapes differ."""
    height, width = picture.shape[:2]
    before = [(canvas[1] - height) // 2, (canvas[0] - width) // 2]
    after = [canvas[1] - height - before[0], canvas[0] - width - before[1]]
    bars = [*zip(before, after, strict=True), (0, 0)]
    return np.pad(picture, bars) if any(before + after) else picture


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """Open a picture, with its size checked; errors while it is read become sentences, too."""
    check_file(file, "picture")
    if file.suffix.lower() in _HEIC:
        _register_heic(file)
    try:
        with Image.open(file) as picture:
            check_size(file, *picture.size)
            yield picture
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{file} has more than {MAX_PIXELS // 10**6} million pixels: scale it down"
        ) from error
    # What damaged and hostile files raise depends on the format.
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError) as error:
        raise InputError(f"{file} cannot be read as a picture: remove or replace it") from error


def _frames(picture: Image.Image) -> int:
    """Return the number of frames of an animation; 1 for other pictures, also of several pages."""
    return getattr(picture, "n_frames", 1) if picture.format in _ANIMATED_FORMATS else 1


def _register_heic(file: Path) -> None:
    """Teach Pillow to read HEIC, as iPhones write it."""
    with needs_extra("heic", f"{file} is a HEIC picture, which needs another package"):
        from pi_heif import register_heif_opener
    register_heif_opener()
