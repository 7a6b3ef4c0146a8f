"""Frames from any source a user can name: videos, folders, pictures, frames in memory.

The entrance to the video room. Whatever the source, the rest of the package sees a stream of
`Frame`s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TypeAlias

from m3dfel.errors import InputError
from m3dfel.video.decode import (
    ANNOTATED_ENDING,
    PICTURE_SUFFIXES,
    PICTURES_PER_S,
    VIDEO_SUFFIXES,
    Frame,
    frame_files,
    is_annotated,
    probe,
    read_images,
    read_video,
)
from m3dfel.video.remote import changed_s, is_url, local_copy, path_in_url, videos_at

Source: TypeAlias = str | Path | Sequence[str | Path] | Iterable[Frame]
"""A video file, a folder of frames, a picture, a list of pictures, or `Frame`s."""

MIN_SIDE = 8
"""Height and width in pixels below which a frame cannot show a face."""


def read_frames(source: Source) -> Iterator[Frame]:
    """Yield the frames of a source in the order they are shown.

    Pictures, in a folder or in a list, are taken as a video of 25 frames per second.

    Raises:
        InputError: on the first frame if the source cannot be read; later, if a picture cannot be
            read or a frame is less than `MIN_SIDE` pixels high or wide.
    """
    for name, frame in _named_frames(source):
        height, width = frame.image.shape[:2]
        if min(height, width) < MIN_SIDE:
            raise InputError(
                f"{name} is {width}×{height} pixels, too small to show a face: "
                f"every frame must be at least {MIN_SIDE} pixels wide and high"
            )
        yield frame


def _named_frames(source: Source) -> Iterator[tuple[str, Frame]]:
    """Yield each frame with a name for error messages."""
    if isinstance(source, str | Path):
        path = Path(source)
        if path.is_dir():
            yield from _named_pictures(frame_files(path))
        elif _is_picture(path):
            yield from _named_pictures([path])
        else:
            yield from ((str(path), frame) for frame in read_video(path))
        return
    if not isinstance(source, Sequence):
        yield from ((f"frame {frame.index}", frame) for frame in source)
        return
    frames = [item for item in source if isinstance(item, Frame)]
    if frames:
        yield from ((f"frame {frame.index}", frame) for frame in frames)
    else:
        files = frame_files([item for item in source if not isinstance(item, Frame)])
        yield from _named_pictures(files)


def _named_pictures(files: Sequence[Path]) -> Iterator[tuple[str, Frame]]:
    return zip(map(str, files), read_images(files), strict=True)


def source_duration(source: Source) -> float | None:
    """Return the length of a source in seconds; None if it is unknown, as of an iterator.

    Raises:
        InputError: the source cannot be read.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        if path.is_dir():
            return len(frame_files(path)) / PICTURES_PER_S
        return 1 / PICTURES_PER_S if _is_picture(path) else probe(path).duration_s
    if not isinstance(source, Sequence) or not source:
        return None
    last = source[-1]
    return last.time_s if isinstance(last, Frame) else len(source) / PICTURES_PER_S


def find_sources(paths: Sequence[str | Path]) -> list[str | list[str]]:
    """Return the sources that a user means by some paths and URLs.

    A folder or its URL means all videos in it and its folders, without the annotated ones that
    `m3dfel predict` wrote; if there are none, a folder means one video whose frames are the
    pictures in it. Single pictures together are the frames of one video.

    Raises:
        InputError: there is no video at a URL, or it cannot be read.
    """
    sources: list[str | list[str]] = []
    pictures: list[str] = []
    for path in dict.fromkeys(name if is_url(str(name)) else Path(name) for name in paths):
        if isinstance(path, str):
            sources += videos_at(path)
        elif path.is_dir():
            sources += _videos(path) or [str(path)]
        elif _is_picture(path):
            pictures.append(str(path))
        else:
            sources.append(str(path))
    if pictures:
        sources.append(pictures)
    return sources


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES


def _videos(folder: Path) -> list[str]:
    return sorted(
        str(file)
        for file in folder.rglob("*")
        if file.suffix.lower() in VIDEO_SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and not (file.name.endswith(ANNOTATED_ENDING) and is_annotated(file))
    )


def source_name(source: Source) -> str:
    """Return the path of a source: of the first picture of a list, `frames` for `Frame`s."""
    if isinstance(source, str | Path):
        return str(source)
    first = next(iter(source), "frames") if isinstance(source, Sequence) else "frames"
    return "frames" if isinstance(first, Frame) else str(first)


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


def source_changed_s(name: str) -> float:
    """Return when a source was changed last, in seconds since 1970; 0 if that is unknown."""
    if is_url(name):
        return changed_s(name)
    path = Path(name)
    return path.stat().st_mtime if path.exists() else 0.0


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
