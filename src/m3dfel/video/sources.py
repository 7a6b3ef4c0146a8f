"""Frames from any source a user can name: videos, photos, folders, URLs, pictures in memory.

The entrance to the video room. Whatever the source, the rest of the package sees a stream of
`Frame`s. Pictures are photos, each a source of its own, unless the user says that they are the
frames of one video.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path, PurePath
from typing import Any, NamedTuple, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt
from PIL import Image

from m3dfel.errors import InputError
from m3dfel.files import written_names
from m3dfel.video.decode import (
    ANNOTATED_ENDING,
    PICTURES_PER_S,
    VIDEO_SUFFIXES,
    Frame,
    Picture,
    is_annotated,
    probe,
    read_video,
)
from m3dfel.video.pictures import (
    ANIMATION_SUFFIXES,
    PICTURE_SUFFIXES,
    by_number,
    fitting,
    frame_files,
    is_animation,
    is_picture_name,
    read_picture,
    to_rgb,
    with_bars,
)
from m3dfel.video.remote import (
    changed_s,
    is_camera_url,
    is_url,
    local_copy,
    path_in_url,
    videos_at,
)

logger = logging.getLogger(__name__)

Source: TypeAlias = (
    str | Path | Sequence[str | Path] | Image.Image | npt.NDArray[Any] | Iterable[Any]
)
"""One video or photo.

- A path or a URL: a video file or a picture; or a folder of pictures that are frames.
- A list of the paths of pictures that are frames.
- A NumPy array: uint8 of shape (H, W), (H, W, 3) or (H, W, 4) for a picture, (T, H, W, 3) for a
  video. RGB, not BGR.
- A Pillow image.
- `Frame`s, arrays or Pillow images from a list or an iterator: the frames of a video.
"""

IN_MEMORY = "frames"
"""The name of a source that is no file: frames, arrays or an iterator."""

MIN_SIDE = 8
"""Height and width in pixels below which a frame cannot show a face."""
_MAX_NAMED = 5  # files that are left out


class Sources(NamedTuple):
    """What a user means by some paths.

    Attributes:
        videos: paths and URLs of videos, folders of frames, and lists of the paths of frames.
        photos: paths and URLs of pictures.
    """

    videos: list[str | list[str]]
    photos: list[str]


def read_frames(source: Source, fps: float | None = None) -> Iterator[Frame]:
    """Yield the frames of a source in the order they are shown.

    All have the size of the first: others are scaled to fit, with black bars where their shape is
    another one.

    Args:
        source: one video or photo.
        fps: frames per second of pictures and arrays, which know no times; None for 25.

    Raises:
        InputError: on the first frame if the source cannot be read or `fps` is not above 0; later,
            if a picture cannot be read or a frame is less than `MIN_SIDE` pixels high or wide.
    """
    if fps is not None and not fps > 0:
        raise InputError(f"cannot read pictures at {fps} frames per second: give a rate above 0")
    canvas: tuple[int, int] | None = None
    for name, frame in _named_frames(source, fps or PICTURES_PER_S):
        height, width = frame.image.shape[:2]
        if min(height, width) < MIN_SIDE:
            raise InputError(
                f"{name} is {width}×{height} pixels, too small to show a face: "
                f"every frame must be at least {MIN_SIDE} pixels wide and high"
            )
        canvas = canvas or (width, height)
        if (width, height) == canvas:
            yield frame
        else:
            scaled = Image.fromarray(frame.image).resize(fitting((width, height), canvas))
            yield replace(frame, image=with_bars(np.array(scaled), canvas))


def _named_frames(source: Source, fps: float) -> Iterator[tuple[str, Frame]]:
    """Yield each frame with a name for error messages."""
    if isinstance(source, str) and is_url(source):
        with local_copy(source) as copy:
            yield from _named_frames(copy, fps)
    elif isinstance(source, str | Path):
        path = _expanded(source)
        if path.is_dir() or is_picture(path):
            yield from _named_pictures(frame_files(path) if path.is_dir() else [path], fps)
        else:
            yield from ((str(path), frame) for frame in read_video(path))
    elif isinstance(source, Sequence) and _all_paths(source):
        yield from _named_pictures(frame_files(source), fps)
    else:
        yield from ((f"frame {frame.index}", frame) for frame in _frames_in_memory(source, fps))


def _named_pictures(files: Sequence[Path], fps: float) -> Iterator[tuple[str, Frame]]:
    for index, file in enumerate(files):
        yield str(file), Frame(index, index / fps, read_picture(file), 1 / fps)


def _frames_in_memory(source: Any, fps: float) -> Iterator[Frame]:
    if isinstance(source, Image.Image) or (isinstance(source, np.ndarray) and source.ndim < 4):
        source = [source]
    if isinstance(source, bytes | bytearray) or not isinstance(source, Iterable):
        raise _unknown(source)
    for index, item in enumerate(source):
        if isinstance(item, Frame):
            image = as_picture(item.image, f"frame {item.index}")
            yield item if image is item.image else replace(item, image=image)
        else:
            yield Frame(index, index / fps, as_picture(item, f"frame {index}"), 1 / fps)


def as_picture(item: Any, name: str) -> Picture:
    """Return a picture in memory as uint8 RGB (H, W, 3).

    Args:
        item: a Pillow image, or a uint8 array of shape (H, W), (H, W, 3) or (H, W, 4).
        name: of the picture, for errors.

    Raises:
        InputError: it is of another type, shape or number type.
    """
    if isinstance(item, Image.Image):
        return to_rgb(item)
    if isinstance(item, str | Path):
        raise InputError(f"{name} is the path {item}: give several paths as a list")
    if not isinstance(item, np.ndarray):
        raise _unknown(item)
    if item.dtype != np.uint8:
        raise InputError(
            f"{name} is an array of {item.dtype} but pixels must be uint8, from 0 to 255: scale "
            "them, and convert them with .astype(np.uint8)"
        )
    if item.ndim == 2:
        return np.repeat(item[..., None], 3, axis=2)
    if item.ndim == 3 and item.shape[2] == 3:
        return item
    if item.ndim == 3 and item.shape[2] == 4:
        return np.ascontiguousarray(item[..., :3])
    raise InputError(
        f"{name} is an array of shape {item.shape} but a picture must be (height, width), or "
        "(height, width, 3) in RGB"
    )


def _unknown(source: object) -> InputError:
    return InputError(
        f"cannot read faces from {type(source).__name__}: give the path or URL of a video or "
        "picture, a NumPy array, a Pillow image, or a list of them"
    )


def is_live(source: object) -> TypeGuard[int | str]:
    """Return whether a source is a camera: a number, or a URL such as `rtsp://…`."""
    return isinstance(source, int) or (isinstance(source, str) and is_camera_url(source))


def several(source: Any, one_video: bool) -> list[Any] | None:
    """Return the sources that a user hands over together; None if it is one source.

    Several are a list of them, a pattern such as `*.mp4`, and a folder. A list of `Frame`s is one.

    Args:
        source: whatever a user hands over.
        one_video: pictures in a folder or a list are the frames of one video, not photos.

    Raises:
        InputError: there is nothing in a folder or at a URL, or nothing matches a pattern.
    """
    if isinstance(source, str | Path) and not is_url(str(source)):
        if not _expanded(source).is_dir() and not _matches(str(source)):
            return None
        found = find_sources([source], one_video)
        together: list[Any] = [*found.videos, *found.photos]
        return None if one_video and together == [str(_expanded(source))] else together
    if not isinstance(source, list | tuple) or not source or isinstance(source[0], Frame):
        return None
    in_memory = not _all_paths(source)
    if one_video and (in_memory or all(is_picture(_expanded(path)) for path in source)):
        return None
    return list(source)


def source_duration(source: Source, fps: float | None = None) -> float | None:
    """Return the length of a source in seconds; None if it is unknown, as of an iterator.

    Raises:
        InputError: the source cannot be read.
    """
    step_s = 1 / (fps or PICTURES_PER_S)
    if isinstance(source, str | Path):
        if is_url(str(source)):
            return None
        path = _expanded(source)
        if path.is_dir():
            return len(frame_files(path)) * step_s
        return step_s if is_picture(path) else probe(path).duration_s
    if isinstance(source, np.ndarray):
        return (len(source) if source.ndim == 4 else 1) * step_s
    if not isinstance(source, Sequence) or not source:
        return None
    last = source[-1]
    return last.time_s if isinstance(last, Frame) else len(source) * step_s


def find_sources(paths: Sequence[str | Path], one_video: bool = False) -> Sources:
    """Return the videos and photos that a user means by some paths, patterns and URLs.

    A folder or its URL means all videos and photos in it and its folders, without those that
    m3dfel wrote. Links are followed, each folder once. Log what is left out.

    Args:
        paths: videos, pictures, folders, patterns such as `*.mp4`, and URLs.
        one_video: the pictures in a folder are the frames of one video, and so are pictures that
            are named together.

    Raises:
        InputError: there is nothing in a folder or at a URL, nothing matches a pattern, or there is
            no permission.
    """
    videos: list[str | list[str]] = []
    photos: list[str] = []
    frames: list[str] = []
    for path in dict.fromkeys(chain.from_iterable(map(_matching, paths))):
        if is_url(path):
            if is_picture_name(path_in_url(path)):
                (videos if one_video else photos).append(path)
            else:
                videos += [path] if is_camera_url(path) else videos_at(path)
        elif Path(path).is_dir():
            in_folder = _walk(Path(path), one_video)
            videos += in_folder.videos
            photos += in_folder.photos
        elif is_picture(Path(path)):
            (frames if one_video else photos).append(path)
        else:
            videos.append(path)
    return Sources([*videos, *([frames] if frames else [])], photos)


def _walk(folder: Path, one_video: bool) -> Sources:
    """Return the videos and photos in a folder and its folders; log what is left out."""
    videos, photos, left_out = list[str](), list[str](), list[str]()
    frame_folders = dict[str, None]()
    seen = set[str]()

    def unreadable(error: OSError) -> None:
        if error.filename == str(folder):
            raise InputError(f"no permission to read the folder {folder}") from error
        logger.warning("no permission to read the folder %s: it is left out", error.filename)

    for root, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if (real := os.path.realpath(root)) in seen:
            folders.clear()
            continue
        seen.add(real)
        ours = written_names(Path(root))
        for file in sorted((Path(root, name) for name in names), key=by_number):
            if file.name.startswith(".") or file.name in ours:
                continue
            suffix = file.suffix.lower()
            if not file.is_file() or suffix not in VIDEO_SUFFIXES | PICTURE_SUFFIXES:
                left_out.append(str(file.relative_to(folder)))
            elif one_video and suffix in PICTURE_SUFFIXES:
                frame_folders[root] = None
            elif is_picture(file):
                photos.append(str(file))
            elif not (file.name.endswith(ANNOTATED_ENDING) and is_annotated(file)):
                videos.append(str(file))
    if not (videos or photos or frame_folders):
        raise InputError(
            f"{folder} holds no video and no picture: put videos there, or pictures such as .jpg "
            "or .png files"
        )
    if left_out:
        more = len(left_out) - _MAX_NAMED
        logger.warning(
            "left out of %s, since they are neither videos nor pictures: %s%s",
            *(folder, ", ".join(left_out[:_MAX_NAMED]), f" and {more} more" if more > 0 else ""),
        )
    return Sources([*sorted(videos), *frame_folders], photos)


def _matching(name: str | Path) -> list[str]:
    """Return the paths that a pattern matches; of a path or URL, itself."""
    if is_url(str(name)):
        return [str(name)]
    if not _matches(str(name)):
        return [str(_expanded(name))]
    found = sorted(map(Path, glob.glob(str(_expanded(name)), recursive=True)), key=by_number)  # noqa: PTH207
    if not found:
        raise InputError(f"no file matches {name}: check the pattern")
    return list(map(str, found))


def _matches(name: str) -> bool:
    """Return whether a name is a pattern, and not that of a file, as `[a]` may be."""
    return glob.has_magic(name) and not _expanded(name).exists()


def _expanded(path: str | Path) -> Path:
    return Path(path).expanduser()


def _all_paths(items: Sequence[Any]) -> bool:
    return all(isinstance(item, str | Path) for item in items)


def is_picture(path: Path) -> bool:
    """Return whether a file is a still picture by its name and, where that is open, its content."""
    suffix = path.suffix.lower()
    if suffix in ANIMATION_SUFFIXES and path.is_file():
        return not is_animation(path)
    return suffix in PICTURE_SUFFIXES


def source_name(source: Source) -> str:
    """Return the path of a source: of the first picture of a list, or `IN_MEMORY`."""
    if isinstance(source, list | tuple) and source:
        source = source[0]
    return str(source) if isinstance(source, str | Path) else IN_MEMORY


def source_stem(name: str) -> str:
    """Return the name of a source without folder and suffix, which its output files share."""
    if is_url(name):
        return path_in_url(name).stem
    path = Path(name)
    return path.resolve().name if path.is_dir() else path.stem


def source_path(name: str) -> PurePath:
    """Return the absolute path of a source; of a URL, the path from its bucket or host on."""
    return path_in_url(name) if is_url(name) else Path(name).absolute()


def source_id(name: str) -> str:
    """Return what tells a source from all others: its URL or its absolute path."""
    return name if is_url(name) else str(Path(name).absolute())


def source_version(source: str | Sequence[str]) -> str:
    """Return what changes when a source is replaced: when it was changed last, and its size.

    Of pictures that are the frames of a video, a checksum over all of them.
    """
    if isinstance(source, str) and is_url(source):
        return f"{changed_s(source)} s"
    try:
        if isinstance(source, str) and not Path(source).is_dir():
            return _file_version(Path(source))
        pictures = "\n".join(f"{file.name} {_file_version(file)}" for file in frame_files(source))
    except (OSError, InputError):  # reading it says why
        return "unknown"
    return hashlib.sha256(os.fsencode(pictures)).hexdigest()[:16]


def _file_version(file: Path) -> str:
    status = file.stat()
    return f"{status.st_mtime_ns} ns, {status.st_size} bytes"


@contextmanager
def readable(source: str | Sequence[str]) -> Iterator[str | Sequence[str]]:
    """Yield a source on this machine: a copy of a video at a URL, which is deleted afterwards.

    Raises:
        InputError: there is nothing at the URL, or it cannot be read.
    """
    if isinstance(source, str) and is_url(source):
        with local_copy(source) as copy:
            yield str(copy)
    else:
        yield source
