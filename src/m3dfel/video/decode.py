"""Decode video files and pictures into frames.

The first step of the pipeline: everything after it sees `Frame`s, upright RGB images with the time
at which they are shown, as players show the file. Times come from its presentation time stamps,
not from counting frames, so that videos with a variable frame rate keep their timing. Uses FFmpeg
through PyAV.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from itertools import dropwhile
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc, VideoReformatter
from av.video.stream import VideoStream

from m3dfel.errors import InputError
from m3dfel.opencv import cv2
from m3dfel.video.pictures import (
    ANIMATION_SUFFIXES,
    MAX_PIXELS,
    check_file,
    check_size,
    fitting,
    read_animation,
    with_bars,
)

logger = logging.getLogger(__name__)

Picture = npt.NDArray[np.uint8]

VIDEO_SUFFIXES = frozenset(
    {
        *(".3g2", ".3gp", ".apng", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".m2t"),
        *(".m2ts", ".m2v", ".m4v", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mpv", ".mts"),
        *(".mxf", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv"),
    }
)

PICTURES_PER_S = 25.0
"""Frame rate of a video that is given as pictures, and of files that state none."""

ANNOTATED = "annotated by m3dfel"
"""The comment in the metadata of annotated videos, which are never sources of their own accord."""

ANNOTATED_ENDING = "_annotated.mp4"
"""Ending of the names of annotated videos, after the name of the source."""

# Durations in containers are off by a frame or two; only more than this is a sign of damage.
_MISSING_S = 0.5
_MAX_GAPS = 3  # named in a warning
_SAME_S = 0.001

# What is not a video but names other files or addresses to read, or is any plain text.
_PLAYLISTS = frozenset(
    {"concat", "dash", "hls", "image2", "lavfi", "rtp", "rtsp", "sap", "sdp", "tty"}
)
_COVERS = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video.

    Attributes:
        index: its number in the source, from 0; with gaps where frames were dropped.
        time_s: seconds since the start of the source, as players count them.
        image: uint8 RGB (H, W, 3), upright.
        duration_s: seconds it is shown; None if that is unknown, as from a camera.
    """

    index: int
    time_s: float
    image: Picture
    duration_s: float | None = None


@dataclass(frozen=True)
class VideoInfo:
    """The properties of a video file.

    Attributes:
        width: pixels, as shown (after rotation, with square pixels).
        height: pixels, as shown (after rotation, with square pixels).
        fps: mean frames per second.
        duration_s: seconds, None if unknown.
    """

    width: int
    height: int
    fps: float
    duration_s: float | None


def probe(path: str | Path) -> VideoInfo:
    """Return the properties of a video file; decodes only its first frame.

    Raises:
        InputError: the file is missing, empty, not a video, has only sound, is too large, or has no
            frame that can be decoded.
    """
    if _is_for_pillow(path):
        return _probe_animation(Path(path))
    with _open(path) as video:
        next(video.decoded(), None)
        if video.size is None:
            raise _no_frame(path)
        width, height = video.size
        # As players show it: of the picture or of the sound, whichever is longer.
        length = video.container.duration
        length_s = length / av.time_base if length else stated_end(video.container, video.stream)
        return VideoInfo(width, height, float(frame_rate(video.stream)), length_s)


def is_annotated(path: str | Path) -> bool:
    """Return whether a file is an annotated video that this package wrote."""
    try:
        with open_container(path) as container:
            return container.metadata.get("comment") == ANNOTATED
    except InputError:
        return False


def read_video(path: str | Path) -> Iterator[Frame]:
    """Yield the frames of a video file in the order they are shown, as players show them.

    All have the size of the first one, also if that of the video changes. A file that is cut off or
    damaged yields the frames that can be decoded, then logs a warning that says what is missing.

    Args:
        path: any file that FFmpeg reads, or an animated GIF, WebP, PNG or AVIF.

    Raises:
        InputError: on the first frame: the file is missing, empty, not a video, has only sound, is
            too large, or has no frame that can be decoded.
    """
    for index, (time_s, duration_s, picture) in enumerate(_pictures(path)):
        yield Frame(index, time_s, picture(), duration_s)


def read_chosen(
    path: str | Path, choose: Callable[[int, float], Sequence[int]]
) -> tuple[Sequence[int], list[Picture]]:
    """Return some frames of a video file; no others are kept in memory or converted to RGB.

    Args:
        path: as for `read_video`.
        choose: returns the indices of the frames to keep, given how many there are, and how many
            a second. It is asked again if not every frame that the file lists can be decoded.

    Returns:
        The indices, and for each the frame, uint8 RGB (H, W, 3).

    Raises:
        InputError: as for `read_video`.
    """
    times_s = _listed_times(path) or [time_s for time_s, _, _ in _pictures(path)]
    while True:
        indices = choose(len(times_s), _mean_rate(times_s))
        wanted, kept, shown_s = frozenset(indices), dict[int, Picture](), list[float]()
        for index, (time_s, _, picture) in enumerate(_pictures(path)):
            shown_s.append(time_s)
            if index in wanted:
                kept[index] = picture()
        if len(shown_s) == len(times_s):
            return indices, [kept[index] for index in indices]
        times_s = shown_s


def read_at(path: str | Path, times_s: Sequence[float]) -> dict[float, Picture]:
    """Return the frames of a video file that start at some times; reads as little else as it can.

    Args:
        path: as for `read_video`.
        times_s: as in `Frame`, to a millisecond.

    Returns:
        The frames by their times, uint8 RGB (H, W, 3). What cannot be found again is left out, as
        in files without time stamps.

    Raises:
        InputError: as for `read_video`.
    """
    if _is_for_pillow(path):
        pictures = {round(time_s, 3): picture() for time_s, _, picture in _pictures(path)}
        return {s: pictures[round(s, 3)] for s in times_s if round(s, 3) in pictures}
    found = dict[float, Picture]()
    with _open(path) as video:
        for time_s in times_s:
            # Some files can only be read from their start.
            frame = video.frame_at(time_s, time_s) or video.frame_at(time_s, from_s=0.0)
            if frame:
                found[time_s] = video.to_rgb(frame)
    return found


def _listed_times(path: str | Path) -> list[float]:
    """Return the times of the frames that a file lists, without decoding them; empty if unknown."""
    if _is_for_pillow(path):
        return []
    with _open(path) as video:
        return sorted(
            float(packet.pts * packet.time_base)
            for packet in readable_packets(video.container, video.stream)
            if packet.pts is not None and packet.time_base and not packet.is_discard
        )


def _mean_rate(times_s: Sequence[float]) -> float:
    """Return frames per second, rounded as the time stamps of files are."""
    steps = len(times_s) - 1
    return round(steps / (times_s[-1] - times_s[0]), 3) if steps else PICTURES_PER_S


def _pictures(path: str | Path) -> Iterator[tuple[float, float, Callable[[], Picture]]]:
    """Yield the time and the duration of every frame, and a function that converts it to RGB."""
    if _is_for_pillow(path):
        for time_s, duration_s, pixels in read_animation(Path(path)):
            yield time_s, duration_s, partial(np.asarray, pixels)
        return
    with _open(path) as video:
        for time_s, duration_s, frame in video.timed():
            yield time_s, duration_s, partial(video.to_rgb, frame)


def _is_for_pillow(path: str | Path) -> bool:
    return Path(path).suffix.lower() in ANIMATION_SUFFIXES


def _probe_animation(path: Path) -> VideoInfo:
    frames, end_s = 0, 0.0
    for time_s, duration_s, pixels in read_animation(path):
        frames, end_s, (height, width) = frames + 1, time_s + duration_s, pixels.shape[:2]
    return VideoInfo(width, height, frames / end_s, end_s)


@contextmanager
def open_container(path: str | Path) -> Iterator[InputContainer]:
    """Open a video file, and nothing but this file: no playlist that names others.

    Raises:
        InputError: the file is missing, empty, or not a video.
    """
    path = Path(path)
    check_file(path, "video file")
    try:
        container = av.open(
            # FFmpeg takes a relative path with a colon for a URL, but never an absolute one.
            str(path.absolute()),
            metadata_errors="replace",
            options={"max_pixels": str(MAX_PIXELS)},
            container_options={"format_whitelist": _formats(), "protocol_whitelist": "file"},
        )
    except av.error.FFmpegError as error:
        raise InputError(
            f"{path} is not a video, or its start is damaged: give a file that plays, and not a "
            "playlist"
        ) from error
    with container:
        yield container


@contextmanager
def _open(path: str | Path) -> Iterator[OpenVideo]:
    with open_container(path) as container:
        stream = picture_stream(container)
        if stream is None:
            raise InputError(f"{path} has no picture, only sound: give a video with a picture")
        # FFmpeg finds no decoder for what the file says it holds.
        if stream.codec_context is None:
            raise _no_frame(path)
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        if not stream.width:
            raise InputError(
                f"{path} is damaged, or its frames have more than {MAX_PIXELS // 10**6} million "
                "pixels: give a file that plays, scaled down"
            )
        check_size(path, stream.width, stream.height)
        yield OpenVideo(str(path), container, stream)


@cache
def _formats() -> str:
    return ",".join(sorted(av.formats_available - _PLAYLISTS))


def readable_packets(container: InputContainer, *streams: Stream) -> Iterator[Packet[Any]]:
    """Yield the packets of streams that can be read; a damaged file may end early."""
    packets = container.demux(*streams)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            continue
        if packet is None:
            return
        yield packet


def frames_in(packet: Packet[Any]) -> list[Any]:
    """Return the frames in a packet; none if it is damaged."""
    try:
        return packet.decode()
    except av.error.FFmpegError:
        return []


def picture_stream(container: InputContainer) -> VideoStream | None:
    """Return the video stream that players show, which is no cover picture or thumbnail."""
    streams = [s for s in container.streams.video if not s.disposition & _COVERS]
    best = container.streams.best("video")
    return best if best in streams else next(iter(streams), None)


def file_start(container: InputContainer, stream: VideoStream) -> float | None:
    """Return the time stamp that players count from, in seconds: where picture or sound starts."""
    starts = {
        other: float(other.start_time * other.time_base)
        for other in (stream, *container.streams.audio)
        if other.start_time is not None and other.time_base
    }
    if not starts:
        return None
    # Sound may start below 0 with what primes its decoder and is not heard; a picture is seen.
    return min(max(0.0, min(starts.values())), starts.get(stream, math.inf))


def stated_end(container: InputContainer, stream: VideoStream) -> float | None:
    """Return when the picture ends as the file states it, in seconds from the start of the file."""
    if stream.duration and stream.time_base:
        end = (stream.start_time or 0) + stream.duration
        return float(end * stream.time_base) - (file_start(container, stream) or 0.0)
    return container.duration / av.time_base if container.duration else None


def frame_rate(stream: VideoStream) -> Fraction:
    """Return the mean rate of a stream in frames per second."""
    return stream.average_rate or stream.guessed_rate or Fraction(PICTURES_PER_S)


class OpenVideo:
    """An open video file: which of its frames are shown when, and how they look.

    Args:
        name: of the file or URL, for errors.
        container: the open file.
        stream: the stream that is shown.

    Attributes:
        size: width and height of all frames as players show them; None before the first one.
    """

    def __init__(self, name: str, container: InputContainer, stream: VideoStream) -> None:
        self.name, self.container, self.stream = name, container, stream
        self.size: tuple[int, int] | None = None
        self._step_s = float(1 / frame_rate(stream))
        self._pixel_ratio = float(stream.sample_aspect_ratio or 1)
        self._reformatter = VideoReformatter()
        self._read_s = -math.inf
        self._convertible = dict[tuple[object, ...], bool]()

    def timed(self) -> Iterator[tuple[float, float, VideoFrame]]:
        """Yield when each frame is shown, for how long, and itself: it is held until the next one.

        At the end, log what is missing.
        """
        count, end, gaps = 0, 0.0, list[str]()
        file_end = stated_end(self.container, self.stream) or 0.0
        stamped = self.stamped()
        following = next(stamped, None)
        while following:
            (time_s, frame), following = following, next(stamped, None)
            stated_s = float(frame.duration * (frame.time_base or 0))
            if following:
                shown_s = following[0] - time_s
                if 0 < stated_s < shown_s - _MISSING_S:
                    gaps.append(f"from {time_s + stated_s:.2f} to {following[0]:.2f} s")
            else:
                shown_s = stated_s or max(self._step_s, file_end - time_s)
            count, end = count + 1, time_s + shown_s
            yield time_s, shown_s, frame
        if not count:
            raise _no_frame(self.name)
        if gaps:
            logger.warning(
                "%s has no frame %s: the one before is held there",
                *(self.name, ", ".join(gaps[:_MAX_GAPS]) + " …" * (len(gaps) > _MAX_GAPS)),
            )
        # Some files state only the length of all streams together.
        read_s = self._read_s - (file_start(self.container, self.stream) or 0.0)
        if max(end, read_s) < file_end - _MISSING_S:
            logger.warning(
                "%s ends after %.2f of %.2f s (%d frames): the file is cut off or damaged",
                *(self.name, end, file_end, count),
            )

    def stamped(self) -> Iterator[tuple[float, VideoFrame]]:
        """Yield each frame with its time since the start of the file, which always rises."""
        start = file_start(self.container, self.stream)
        time_s = -math.inf
        for frame in self.decoded():
            stamp = frame.time
            if start is None or time_s == -math.inf:
                first = stamp or 0.0
                start = min(first, first if start is None else start)
                time_s = first - start
            # Some files lack or repeat time stamps: such a frame follows the last at the mean rate.
            elif stamp is not None and stamp - start > time_s:
                time_s = stamp - start
            else:
                time_s += self._step_s
            yield time_s, frame

    def decoded(self) -> Iterator[VideoFrame]:
        """Yield every frame that can be decoded and shown; skip damaged packets."""
        # Where only the length of all streams is known, how far they go tells a cut file.
        others = () if self.stream.duration else self.container.streams.audio
        for packet in readable_packets(self.container, self.stream, *others):
            if packet.pts is not None and packet.time_base:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                self._read_s = max(self._read_s, end)
            if packet.stream is self.stream:
                yield from filter(self._is_convertible, frames_in(packet))

    def _is_convertible(self, frame: VideoFrame) -> bool:
        """Return whether a frame can be converted to RGB, as all frames of its kind can or cannot.

        Not all colors that a file may state are in use, and damage can state any.
        """
        colors = frame.format.name, frame.colorspace, frame.color_range
        kind = *colors, frame.width, frame.height
        if kind not in self._convertible:
            try:
                self.to_rgb(frame)
                self._convertible[kind] = True
            except av.error.FFmpegError:
                self._convertible[kind] = False
        return self._convertible[kind]

    def frame_at(self, time_s: float, from_s: float) -> VideoFrame | None:
        """Return the frame that starts at a time; None if there is none.

        Args:
            time_s: seconds since the start of the file.
            from_s: where to start to read, at the last key frame before.
        """
        start = file_start(self.container, self.stream) or 0.0
        with suppress(av.error.FFmpegError):  # it is then read on from where it is
            self.container.seek(int((start + from_s) * av.time_base))
        for frame in dropwhile(lambda frame: not frame.key_frame, self.decoded()):
            after_s = math.inf if frame.time is None else frame.time - start - time_s
            if after_s > -_SAME_S:
                return frame if after_s < _SAME_S else None
        return None

    def _square_size(self, frame: VideoFrame) -> tuple[int, int]:
        """Return width and height before rotation, enlarged so that the pixels are square.

        Raises:
            InputError: they are too large.
        """
        width, height = frame.width, frame.height
        if self._pixel_ratio > 1:
            width = round(width * self._pixel_ratio)
        else:
            height = round(height / self._pixel_ratio)
        check_size(self.name, width, height)
        return width, height

    def to_rgb(self, frame: VideoFrame) -> Picture:
        """Return a frame as players show it, uint8 RGB (H, W, 3), of the size of the first one."""
        stored = self._square_size(frame)
        turns = round(frame.rotation / 90) % 4
        size = self.size or (stored[::-1] if turns % 2 else stored)
        canvas = size[::-1] if turns % 2 else size
        rgb = self._reformatter.reformat(frame, *fitting(stored, canvas), "rgb24").to_ndarray()
        self.size, picture = size, cast(Picture, rgb)
        if frame.color_trc in _HDR:
            picture = _to_sdr(picture, frame)
        return np.ascontiguousarray(np.rot90(with_bars(picture, canvas), turns))


def _no_frame(path: str | Path) -> InputError:
    return InputError(
        f"no frame of {path} can be decoded and converted to RGB: give a file that plays, or "
        "convert it"
    )


# High dynamic range: the light that a value stands for, where 1 is white as in an ordinary video
# (203 of 10,000 or of 1,000 nits, by ITU-R BT.2408), and the way from its colors to those of
# ordinary videos. What is brighter than white is cut off.

_WHITE_NITS = 203


def _pq_light(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """SMPTE ST 2084."""
    root = values ** (1 / 78.84375)
    light = (root - 0.8359375).clip(0) / (18.8515625 - 18.6875 * root)
    return light ** (1 / 0.1593017578125) * 10_000 / _WHITE_NITS


def _hlg_light(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """ITU-R BT.2100, shown at 1,000 nits."""
    bright = (np.exp((values - 0.55991073) / 0.17883277) + 0.28466892) / 12
    scene = np.where(values <= 0.5, values**2 / 3, bright)
    return scene**1.2 * 1000 / _WHITE_NITS


_HDR = {ColorTrc.SMPTE2084: _pq_light, ColorTrc.ARIB_STD_B67: _hlg_light}
_BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)


def _to_sdr(picture: Picture, frame: VideoFrame) -> Picture:
    """Return a picture of high dynamic range at the brightness of ordinary videos."""
    to_light = _HDR[ColorTrc(frame.color_trc)](np.linspace(0, 1, 256)).astype(np.float32)
    light = cv2.LUT(picture, to_light)
    if frame.color_primaries == ColorPrimaries.BT2020:
        light = cv2.transform(light, _BT2020_TO_BT709)
    return (cv2.pow(light.clip(0, 1), 1 / 2.4) * 255 + 0.5).astype(np.uint8)
