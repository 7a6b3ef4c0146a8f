"""Decode video files and pictures into frames.

The first step of the pipeline: everything after it sees `Frame`s, upright RGB images with the time
at which they are shown. Times come from the file's presentation time stamps, not from counting
frames, so that videos with a variable frame rate keep their timing. Uses FFmpeg through PyAV.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image, ImageOps, UnidentifiedImageError

from m3dfel.errors import InputError

logger = logging.getLogger(__name__)

Picture = npt.NDArray[np.uint8]

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"}
)

PICTURES_PER_S = 25.0
"""Frame rate of a video that is given as pictures, and of files that state none."""

ANNOTATED = "annotated by m3dfel"
"""The comment in the metadata of annotated videos, which are never sources of their own accord."""

ANNOTATED_ENDING = "_annotated.mp4"
"""Ending of the names of annotated videos, after the name of the source."""

# Durations in containers are off by a frame or two; only more than this is a sign of damage.
_MISSING_S = 0.5


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video.

    Attributes:
        index: its number in the source, from 0; with gaps where frames were dropped.
        time_s: seconds since the source's first frame.
        image: uint8 RGB (H, W, 3), upright.
    """

    index: int
    time_s: float
    image: Picture


@dataclass(frozen=True)
class VideoInfo:
    """The properties of a video file.

    Attributes:
        width: pixels, as shown (after rotation).
        height: pixels, as shown (after rotation).
        fps: mean frames per second.
        duration_s: seconds, None if unknown.
        frames: number of frames, None if unknown.
        rotation: degrees anticlockwise that turn the stored picture upright: 0, 90, 180 or 270.
    """

    width: int
    height: int
    fps: float
    duration_s: float | None
    frames: int | None
    rotation: int


def probe(path: str | Path) -> VideoInfo:
    """Return the properties of a video file; decodes only its first frame.

    Raises:
        InputError: the file is missing, empty, not a video, has only sound, or has no frame that
            can be decoded.
    """
    with _open(path) as (container, stream):
        first = next(_decoded(container, stream), None)
        if first is None:
            raise _no_frame(path)
        rotation = _rotation(first)
        width, height = first.width, first.height
        if rotation % 180:
            width, height = height, width
        return VideoInfo(
            width=width,
            height=height,
            fps=_rate(stream),
            duration_s=stated_duration(container, stream),
            frames=stream.frames or None,
            rotation=rotation,
        )


def is_annotated(path: str | Path) -> bool:
    """Return whether a file is an annotated video that this package wrote."""
    try:
        with av.open(str(Path(path).absolute())) as container:
            return container.metadata.get("comment") == ANNOTATED
    except (OSError, av.error.FFmpegError):
        return False


def read_video(path: str | Path, fps: float | None = None) -> Iterator[Frame]:
    """Yield the frames of a video file in the order they are shown.

    A file that is cut off or damaged yields the frames that can be decoded, then logs a warning
    that says where they end.

    Args:
        path: any file that FFmpeg reads.
        fps: keep at most this many frames per second, as evenly spaced as possible; None keeps all.

    Raises:
        InputError: on the first frame: the file is missing, empty, not a video, has only sound, or
            has no frame that can be decoded, or `fps` is not above 0.
    """
    if fps is not None and not fps > 0:
        raise InputError(f"cannot read {path} at {fps} frames per second: give a rate above 0")
    last_tick = -1
    for index, (time_s, picture) in enumerate(_pictures(path)):
        tick = index if fps is None else math.floor(time_s * fps + 0.5)
        if tick > last_tick:
            last_tick = tick
            yield Frame(index, time_s, _upright(picture))


def read_chosen(
    path: str | Path, choose: Callable[[int, float], Sequence[int]]
) -> tuple[Sequence[int], list[Picture]]:
    """Return some frames of a video file, without the work of converting the others to RGB.

    Args:
        path: any file that FFmpeg reads.
        choose: returns the indices of the frames to keep, given how many there are, and how many
            a second.

    Returns:
        The indices, and for each the frame, uint8 RGB (H, W, 3).

    Raises:
        InputError: as for `read_video`.
    """
    times_s, pictures = zip(*_pictures(path), strict=True)
    steps, span_s = len(times_s) - 1, times_s[-1] - times_s[0]
    indices = choose(len(pictures), steps / span_s if steps else PICTURES_PER_S)
    return indices, [_upright(pictures[index]) for index in indices]


def _pictures(path: str | Path) -> Iterator[tuple[float, VideoFrame]]:
    """Yield the time and the picture of every frame; at the end, say if the file is cut off."""
    with _open(path) as (container, stream):
        frames, end_s = 0, 0.0
        for time_s, step_s, picture in _timed(container, stream):
            frames, end_s = frames + 1, time_s + step_s
            yield time_s, picture
        if not frames:
            raise _no_frame(path)
        duration_s = stated_duration(container, stream)
        if duration_s is not None and end_s < duration_s - _MISSING_S:
            logger.warning(
                "%s ends after %.2f of %.2f s (%d frames): the file is cut off or damaged",
                *(path, end_s, duration_s, frames),
            )


def frame_files(source: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return picture files in the order of the numbers in their names (frame_2 before frame_10).

    Args:
        source: a folder, or a list of files.

    Raises:
        InputError: the folder does not exist, or there is no picture.
    """
    if not isinstance(source, str | Path):
        if not source:
            raise InputError("the list of pictures is empty: give at least one picture")
        return sorted(map(Path, source), key=_by_number)
    folder = Path(source)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give the folder that holds the frames")
    pictures = (
        file
        for file in folder.iterdir()
        if file.suffix.lower() in PICTURE_SUFFIXES and not file.name.startswith(".")
    )
    files = sorted(pictures, key=_by_number)
    if not files:
        raise InputError(
            f"{folder} holds no video and no picture: put videos there, or frames as .jpg or .png "
            "files"
        )
    return files


def read_images(
    source: str | Path | Sequence[str | Path], fps: float = PICTURES_PER_S
) -> Iterator[Frame]:
    """Yield the pictures in a folder or a list as the frames of a video.

    Args:
        source: a folder, or a list of files; read in the order of the numbers in their names.
        fps: frames per second.

    Raises:
        InputError: there is no picture, one cannot be read, or `fps` is not above 0.
    """
    if not fps > 0:
        raise InputError(f"cannot read pictures at {fps} frames per second: give a rate above 0")
    for index, file in enumerate(frame_files(source)):
        yield Frame(index, index / fps, _read_picture(file))


@contextmanager
def _open(path: str | Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no video file {path}: check the path")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty: copy or download the video again")
    try:
        # FFmpeg takes a relative path with a colon for a URL, but never an absolute one.
        container = av.open(str(path.absolute()))
    except av.error.FFmpegError as error:
        raise _not_a_video(path) from error
    with container:
        # FFmpeg reads any plain text as ANSI art.
        if container.format.name == "tty":
            raise _not_a_video(path)
        stream = picture_stream(container)
        if stream is None:
            raise InputError(f"{path} has no picture, only sound: give a video with a picture")
        stream.thread_type = "AUTO"
        yield container, stream


def picture_stream(container: InputContainer) -> VideoStream | None:
    """Return the first video stream that is not a still cover picture, as songs have."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    return None


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield every frame that can be decoded; skip damaged packets."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            frames = packet.decode() if packet is not None else []
        except av.error.FFmpegError:
            continue
        if packet is None:
            return
        yield from frames


def _timed(
    container: InputContainer, stream: VideoStream
) -> Iterator[tuple[float, float, VideoFrame]]:
    """Yield for each frame its time since the first and its duration, in seconds, and itself."""
    mean_step = 1 / _rate(stream)
    start: float | None = None
    time_s = -mean_step
    for frame in _decoded(container, stream):
        stamp = frame.time
        if start is None:
            start = stamp if stamp is not None else 0.0
        # Some files lack or repeat time stamps: such a frame follows the last at the mean rate.
        if stamp is not None and stamp - start > time_s:
            time_s = stamp - start
        else:
            time_s += mean_step
        duration = frame.duration * frame.time_base if frame.duration and frame.time_base else 0
        yield time_s, float(duration) or mean_step, frame


def _rate(stream: VideoStream) -> float:
    return float(stream.average_rate or stream.guessed_rate or PICTURES_PER_S)


def stated_duration(container: InputContainer, stream: VideoStream) -> float | None:
    """Return the length in seconds that a file states for a stream, None if it states none."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _rotation(frame: VideoFrame) -> int:
    return round(frame.rotation / 90) % 4 * 90


def _upright(frame: VideoFrame) -> Picture:
    stored = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(stored, _rotation(frame) // 90))


def _read_picture(file: Path) -> Picture:
    try:
        with Image.open(file) as picture:
            return np.array(ImageOps.exif_transpose(picture).convert("RGB"))
    except FileNotFoundError:
        raise InputError(f"there is no picture {file}: check the path") from None
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"{file} cannot be read as a picture: remove or replace it") from error


def _by_number(file: Path) -> tuple[list[str | int], str]:
    parts = re.split(r"(\d+)", str(file))
    return [int(part) if part.isdecimal() else part for part in parts], str(file)


def _not_a_video(path: str | Path) -> InputError:
    return InputError(f"{path} is not a video, or its start is damaged: give a file that plays")


def _no_frame(path: str | Path) -> InputError:
    return InputError(f"no frame of {path} can be decoded: give a file that plays")
