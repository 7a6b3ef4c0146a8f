"""Write videos: from pictures, from a camera, or from a video whose pictures are drawn anew.

The last is an annotated video, for which `report.annotate` draws the pictures: it has the sound,
length and time stamps of its source, and the index in front, so that browsers play it before it is
loaded completely. All are H.264 where FFmpeg has it. Uses FFmpeg through PyAV.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from heapq import merge
from itertools import chain
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from m3dfel.errors import InputError
from m3dfel.files import atomic_write
from m3dfel.opencv import cv2
from m3dfel.progress import progress as with_progress
from m3dfel.video.decode import (
    ANNOTATED,
    Frame,
    Picture,
    file_start,
    frame_rate,
    frames_in,
    open_container,
    picture_stream,
    readable_packets,
)
from m3dfel.video.pictures import ANIMATION_SUFFIXES, PICTURE_SUFFIXES
from m3dfel.video.sources import Source, read_frames, source_name

logger = logging.getLogger(__name__)

# The first that FFmpeg has is used. All but MPEG-4 are H.264, which browsers play. No B-frames:
# with them, FFmpeg states a wrong length for MP4 files whose frame rate varies much.
_ENCODERS = ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf", "mpeg4")
_X264_OPTIONS = {"preset": "veryfast", "bf": "0"}
_NOT_H264 = "mpeg4"
_CRF = 19
_COPIED_SOUND = frozenset({"aac", "mp3", "mp3float"})  # what browsers play in MP4
_SMPTE170M = 6  # in the numbering of ISO/IEC 23091-2: the colors that FFmpeg converts RGB to
_PICTURES_RATE = Fraction(25)
_FINE_TIME_BASE = Fraction(1, 90_000)  # for pictures that come at any time


def write_video(path: str | Path, frames: Iterable[Picture], fps: float) -> None:
    """Write pictures as a video file, in H.264 or, if FFmpeg lacks it, MPEG-4.

    These formats need an even width and height: an odd one grows by repeating the last pixel. The
    file gets its name only once it is complete.

    Args:
        path: of the video; the suffix chooses the container (.mp4, .mkv, …).
        frames: uint8 RGB (T, H, W, 3), or an iterable of (H, W, 3), all of the same size.
        fps: frames per second.

    Raises:
        InputError: there is no frame, or FFmpeg cannot write the file.
    """
    path = Path(path)
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        raise InputError(f"no frame to write into {path}: give at least one")
    rate = Fraction(fps).limit_denominator(1001)
    with atomic_write(path) as temporary:
        try:
            output = av.open(str(temporary.absolute()), "w")
        except ValueError as error:
            raise InputError(
                f"cannot write a video to {path} ({error}): give a name that ends in .mp4"
            ) from error
        with output:
            encoder = Encoder(output, first.shape[:2], rate, 1 / rate, one_thread=True)
            for index, picture in enumerate(chain([first], pictures)):
                output.mux(encoder.add(Frame(index, float(index / rate), picture)))
            output.mux(encoder.finish())


def rewrite_video(
    source: Source,
    path: Path,
    draw: Callable[[Frame], Picture],
    fps: float | None = None,
    *,
    progress: bool = True,
) -> None:
    """Write a video with the frames of a source, each drawn anew, and its sound.

    Every frame is shown at the same time as in the source and for as long, also at a variable frame
    rate. AAC and MP3 sound is copied; other sound is encoded as AAC. Rotated videos are upright.

    Args:
        source: one video.
        path: of the video, ending in `.mp4`; written under a temporary name first.
        draw: returns a frame's new picture, uint8 RGB (H, W, 3), always of the same, even size.
        fps: frames per second of pictures; None for 25.
        progress: show how far it is, on stderr.

    Raises:
        InputError: the source cannot be read or has no frames, the path does not end in `.mp4`, is
            the source itself, or cannot be written.
    """
    check_output(path, source)
    video = _file(source)
    if video and video.suffix.lower() in PICTURE_SUFFIXES | ANIMATION_SUFFIXES:
        video = None  # it has no sound
    frames = with_progress(read_frames(source, fps), f"writing {path.name}", show=progress)
    drawn = (replace(frame, image=draw(frame)) for frame in frames)
    first = next(drawn, None)
    if first is None:
        raise InputError(f"{source_name(source)} has no frames to write to {path}")
    with atomic_write(path) as temporary:
        try:
            with open_container(video) if video else nullcontext() as container:
                _rewrite(temporary, first, drawn, container)
        except av.error.FFmpegError as error:
            raise InputError(
                f"FFmpeg cannot write this video to {path} ({error.strerror}): its size or its "
                "times are unusual"
            ) from error


def _rewrite(
    path: Path, first: Frame, rest: Iterable[Frame], source: InputContainer | None
) -> None:
    """Write frames, with the sound and the unit of time of the file that they come from, if any."""
    stream = source and picture_stream(source)
    size = first.image.shape[:2]
    with av.open(str(path.absolute()), "w", options={"movflags": "+faststart"}) as output:
        output.metadata["comment"] = ANNOTATED
        sound: Iterator[Packet[Any]] = iter(())
        if source and stream:
            time_base = stream.time_base or _FINE_TIME_BASE
            encoder = Encoder(output, size, frame_rate(stream), time_base)
            sound = _sound(source, output, file_start(source, stream) or 0.0)
        else:
            encoder = Encoder(output, size)
        pictures = encoder.encode(chain([first], rest))
        # Streams are interleaved, so that a player need not jump to and fro in the file.
        for packet in merge(sound, pictures, key=_seconds):
            output.mux(packet)


def record(frames: Iterable[Frame], path: Path) -> Generator[Frame, None, None]:
    """Yield the frames of a camera and write them into a video meanwhile, without sound.

    The frames are numbered as they are in the video. It is complete once this generator ends, is
    closed, or raises an error of the frames.

    Args:
        frames: in the order of their times.
        path: of the video, ending in `.mp4`, in a folder that exists.
    """
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        return
    with av.open(str(path.absolute()), "w") as output:
        encoder = Encoder(output, first.image.shape[:2])
        try:
            for index, frame in enumerate(chain([first], frames)):
                output.mux(encoder.add(frame))
                yield replace(frame, index=index)
        finally:
            output.mux(encoder.finish())


def check_output(path: Path, source: object = None) -> None:
    """Check that a path names a video that can be written here, and not its own source.

    Raises:
        InputError: it does not end in `.mp4`, or is the source.
    """
    if path.suffix.lower() != ".mp4":
        raise InputError(f"cannot write a video to {path}: give a name that ends in .mp4")
    if (file := _file(source)) and path.exists() and path.samefile(file):
        raise InputError(f"{path} would overwrite the video it is made from: give another name")


def _file(source: object) -> Path | None:
    """Return the file of a source that is one."""
    if not isinstance(source, str | Path):
        return None
    path = Path(source).expanduser()
    return path if path.is_file() else None


class Encoder:
    """Turns pictures into the packets of a new video stream.

    Args:
        output: the video, which gets the stream.
        size: height and width of the pictures in pixels.
        rate: mean frames per second.
        time_base: the unit of time stamps in seconds.
        crf: the quality, on the scale of x264: six less are twice as many bits.
        one_thread: encode more slowly: with several threads, the same frames do not always become
            the same file.
    """

    def __init__(
        self,
        output: OutputContainer,
        size: tuple[int, ...],
        rate: Fraction = _PICTURES_RATE,
        time_base: Fraction = _FINE_TIME_BASE,
        crf: int = _CRF,
        one_thread: bool = False,
    ) -> None:
        height, width = (side + side % 2 for side in size)
        name = next(name for name in _ENCODERS if name in av.codecs_available)
        if name == _NOT_H264:
            logger.warning(
                "FFmpeg has no H.264 encoder here: the video is written as MPEG-4, which browsers "
                "do not play"
            )
            time_base = max(time_base, Fraction(1, 60_000))  # it cannot count finer than this
        is_x264 = name == "libx264"
        options = _X264_OPTIONS | {"crf": str(crf)} if is_x264 else {}
        stream = cast(VideoStream, output.add_stream(name, rate=rate, options=options))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if not is_x264:
            stream.bit_rate = int(width * height * rate / 4 * 2 ** ((_CRF - crf) / 6))
        context = stream.codec_context
        context.time_base = time_base
        context.flags |= Flags.frame_duration
        if one_thread:
            context.thread_count = 1
        context.color_primaries = context.color_trc = context.colorspace = _SMPTE170M
        context.color_range = ColorRange.MPEG
        self._stream = stream
        self._time_base, self._usual_s = time_base, float(1 / rate)
        self._stamp = -1

    def encode(self, frames: Iterable[Frame]) -> Iterator[Packet[Any]]:
        """Yield the packets of all frames."""
        for frame in frames:
            yield from self.add(frame)
        yield from self.finish()

    def add(self, frame: Frame) -> list[Packet[Any]]:
        """Encode one more frame, and return the packets that are complete."""
        bottom, right = (side % 2 for side in frame.image.shape[:2])
        even = cv2.copyMakeBorder(frame.image, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        picture = VideoFrame.from_ndarray(np.asarray(even, np.uint8), format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.SMPTE170M
        )
        self._stamp = max(self._stamp + 1, round(frame.time_s / self._time_base))
        picture.pts, picture.time_base = self._stamp, self._time_base
        # Players hold a frame until the next one: this only says how long they hold the last one.
        duration_s = frame.duration_s or self._usual_s
        picture.duration = max(1, round(duration_s / self._time_base))
        return self._stream.encode(picture)

    def finish(self) -> list[Packet[Any]]:
        """Return the packets that are left."""
        return self._stream.encode(None)


def _seconds(packet: Packet[Any]) -> float:
    return float((packet.dts or 0) * packet.time_base)


def _sound(
    source: InputContainer, output: OutputContainer, start_s: float
) -> Iterator[Packet[Any]]:
    """Add the sound stream of a file that players choose to the output and return its packets.

    Args:
        source: the file.
        output: where the stream is added, before any packet is read.
        start_s: moment of the file that becomes 0.
    """
    stream = source.streams.best("audio", related=picture_stream(source))
    if not isinstance(stream, AudioStream):
        return iter(())
    if stream.codec_context.name in _COPIED_SOUND:
        return _copied(source, stream, output.add_stream_from_template(stream), start_s)
    rate = stream.rate if stream.rate in _AAC_RATES else 48_000
    encoded = output.add_stream("aac", rate=rate)
    encoded.layout = "mono" if stream.channels == 1 else "stereo"
    return _reencoded(source, stream, encoded, start_s)


_AAC_RATES = frozenset({8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000})


def _copied(
    source: InputContainer, stream: AudioStream, output: AudioStream, start_s: float
) -> Iterator[Packet[Any]]:
    for packet in readable_packets(source, stream):
        if packet.pts is None or packet.dts is None:
            continue
        shift = round(start_s / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        # A packet that ends at 0 primes the decoder for the first one that is heard.
        if packet.pts + (packet.duration or 0) >= 0:
            packet.stream = output
            yield packet


def _reencoded(
    source: InputContainer, stream: AudioStream, output: AudioStream, start_s: float
) -> Iterator[Packet[Any]]:
    for packet in readable_packets(source, stream):
        for frame in frames_in(packet):
            if frame.pts is None or frame.time_base is None:
                continue
            frame.pts -= round(start_s / frame.time_base)
            if frame.pts >= 0:
                yield from output.encode(frame)
    yield from output.encode(None)
