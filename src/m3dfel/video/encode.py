"""Write videos: from pictures, from a camera, or from a video whose pictures are drawn anew.

The last is an annotated video, for which `report.annotate` draws the pictures: it has the sound,
length and time stamps of its source, and the index in front, so that browsers play it before it is
loaded completely. All are H.264 where FFmpeg has it. Uses FFmpeg through PyAV.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from m3dfel.errors import InputError
from m3dfel.files import atomic_write
from m3dfel.progress import progress as with_progress
from m3dfel.video.decode import (
    ANNOTATED,
    Frame,
    Picture,
    file_start,
    open_container,
    picture_stream,
)
from m3dfel.video.pictures import ANIMATION_SUFFIXES, PICTURE_SUFFIXES
from m3dfel.video.sources import Source, read_frames, source_name

logger = logging.getLogger(__name__)

# The first that FFmpeg has is used. All but MPEG-4 are H.264, which browsers play. No B-frames:
# with them, FFmpeg states a wrong length for MP4 files whose frame rate varies much.
_ENCODERS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "crf": "19", "bf": "0"},
    "libopenh264": {},
    "h264_videotoolbox": {},
    "h264_mf": {},
    "mpeg4": {},
}
_NOT_H264 = "mpeg4"
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
    timing = _Timing(rate=rate, time_base=1 / rate)
    padding = [(0, side % 2) for side in first.shape[:2]]
    height, width = (side + side % 2 for side in first.shape[:2])
    timed = (
        (float(index / rate), None, np.pad(picture, [*padding, (0, 0)], mode="edge"))
        for index, picture in enumerate(chain([first], pictures))
    )
    with atomic_write(path) as temporary:
        try:
            output = av.open(str(temporary.absolute()), "w")
        except ValueError as error:
            raise InputError(
                f"cannot write a video to {path} ({error}): give a name that ends in .mp4"
            ) from error
        with output:
            stream = _add_picture_stream(output, timing, width, height)
            # With several threads, the same frames do not always become the same file.
            stream.codec_context.thread_count = 1
            for packet in _encoded(stream, timing, timed):
                output.mux(packet)


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
    file = _file(source)
    frames = with_progress(read_frames(source, fps), f"writing {path.name}", show=progress)
    first = next(frames, None)
    if first is None:
        raise InputError(f"{source_name(source)} has no frames to write to {path}")
    with atomic_write(path) as temporary:
        try:
            if file is None or file.suffix.lower() in PICTURE_SUFFIXES | ANIMATION_SUFFIXES:
                _write(temporary, _Timing(), first, frames, draw)
                return
            with open_container(file) as container:
                _write(temporary, _timing(container), first, frames, draw, container)
        except av.error.FFmpegError as error:
            raise InputError(
                f"FFmpeg cannot write this video to {path} ({error.strerror}): its size or its "
                "times are unusual"
            ) from error


def record(frames: Iterable[Frame], path: Path) -> Generator[Frame, None, None]:
    """Yield the frames of a camera and write them into a video meanwhile, without sound.

    The frames are numbered as they are in the video. It is complete once this generator ends, is
    closed, or raises an error of the frames.

    Args:
        frames: in the order of their times.
        path: of the video, ending in `.mp4`, in a folder that exists.
    """
    timing = _Timing()
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        return
    height, width = (side + side % 2 for side in first.image.shape[:2])
    with av.open(str(path.absolute()), "w") as output:
        encoder = _Encoder(_add_picture_stream(output, timing, width, height), timing)
        try:
            for index, frame in enumerate(chain([first], frames)):
                output.mux(list(encoder.add(frame.time_s, frame.duration_s, frame.image)))
                yield replace(frame, index=index)
        finally:
            output.mux(list(encoder.finish()))


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


@dataclass(frozen=True)
class _Timing:
    """How the source counts time.

    Attributes:
        rate: mean frames per second.
        time_base: the unit of time stamps in seconds.
        start_s: the time stamp in the file where `Frame.time_s` is 0.
    """

    rate: Fraction = _PICTURES_RATE
    time_base: Fraction = _FINE_TIME_BASE
    start_s: float = 0.0


def _timing(container: InputContainer) -> _Timing:
    stream = picture_stream(container)
    if stream is None or stream.time_base is None:
        return _Timing()
    return _Timing(
        rate=stream.average_rate or stream.guessed_rate or _PICTURES_RATE,
        time_base=stream.time_base,
        start_s=file_start(container, stream) or 0.0,
    )


def _write(
    path: Path,
    timing: _Timing,
    first: Frame,
    rest: Iterator[Frame],
    draw: Callable[[Frame], Picture],
    sound_source: InputContainer | None = None,
) -> None:
    picture = draw(first)
    with av.open(str(path.absolute()), "w", options={"movflags": "+faststart"}) as output:
        output.metadata["comment"] = ANNOTATED
        stream = _add_picture_stream(output, timing, picture.shape[1], picture.shape[0])
        sound = _sound(sound_source, output, timing.start_s)
        sound_packet = next(sound, None)
        drawn = chain([(first, picture)], ((frame, draw(frame)) for frame in rest))
        timed = ((frame.time_s, frame.duration_s, picture) for frame, picture in drawn)
        for packet in _encoded(stream, timing, timed):
            # Streams are interleaved, so that a player need not jump to and fro in the file.
            while sound_packet and _seconds(sound_packet) <= _seconds(packet):
                output.mux(sound_packet)
                sound_packet = next(sound, None)
            output.mux(packet)
        while sound_packet:
            output.mux(sound_packet)
            sound_packet = next(sound, None)


def _add_picture_stream(
    output: OutputContainer, timing: _Timing, width: int, height: int
) -> VideoStream:
    name = next(name for name in _ENCODERS if name in av.codecs_available)
    if name == _NOT_H264:
        logger.warning(
            "FFmpeg has no H.264 encoder here: the video is written as MPEG-4, which browsers do "
            "not play"
        )
    stream = cast(VideoStream, output.add_stream(name, rate=timing.rate, options=_ENCODERS[name]))
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    context = stream.codec_context
    context.time_base = timing.time_base
    context.color_primaries = context.color_trc = context.colorspace = _SMPTE170M
    context.color_range = ColorRange.MPEG
    if "crf" not in _ENCODERS[name]:
        stream.bit_rate = int(width * height * float(timing.rate) / 4)
    if name == _NOT_H264:
        # MPEG-4 cannot count finer than this.
        context.time_base = max(timing.time_base, Fraction(1, 60_000))
    return stream


def _encoded(
    stream: VideoStream, timing: _Timing, frames: Iterable[tuple[float, float | None, Picture]]
) -> Iterator[Packet[Any]]:
    """Yield the packets of a video stream, each with the time its frame is shown for.

    Args:
        stream: of the output.
        timing: of the source.
        frames: when each is shown and for how long, in seconds, and what.
    """
    encoder = _Encoder(stream, timing)
    for time_s, duration_s, picture in frames:
        yield from encoder.add(time_s, duration_s, picture)
    yield from encoder.finish()


class _Encoder:
    """Turns pictures into the packets of a video stream, each with the time it is shown for."""

    def __init__(self, stream: VideoStream, timing: _Timing) -> None:
        self._stream, self._timing = stream, timing
        self._time_base = stream.codec_context.time_base or timing.time_base
        self._durations: dict[int, int] = {}
        self._waiting: list[Packet[Any]] = []
        self._stamp = -1
        self._last_s: float | None = None

    def add(
        self, time_s: float, duration_s: float | None, picture: Picture
    ) -> Iterator[Packet[Any]]:
        """Encode one more picture, and yield the packets that are complete."""
        self._last_s = duration_s
        before, self._stamp = self._stamp, max(self._stamp + 1, round(time_s / self._time_base))
        if before >= 0:
            self._durations[before] = self._stamp - before
        frame = VideoFrame.from_ndarray(picture, format="rgb24").reformat(
            width=self._stream.width,
            height=self._stream.height,
            format="yuv420p",
            dst_colorspace=Colorspace.SMPTE170M,
        )
        frame.pts, frame.time_base = self._stamp, self._time_base
        self._waiting += self._stream.encode(frame)
        # A frame's duration is known only once the next one is.
        while self._waiting and self._waiting[0].pts in self._durations:
            yield self._with_duration(self._waiting.pop(0))

    def finish(self) -> Iterator[Packet[Any]]:
        """Yield the packets that are left."""
        last_s = self._last_s or 1 / float(self._timing.rate)
        self._durations[self._stamp] = max(1, round(last_s / self._time_base))
        for packet in [*self._waiting, *self._stream.encode(None)]:
            yield self._with_duration(packet)

    def _with_duration(self, packet: Packet[Any]) -> Packet[Any]:
        if packet.pts is not None:
            packet.duration = self._durations.pop(packet.pts)
        return packet


def _seconds(packet: Packet[Any]) -> float:
    return float((packet.dts or 0) * packet.time_base)


def _sound(
    source: InputContainer | None, output: OutputContainer, start_s: float
) -> Iterator[Packet[Any]]:
    """Add the sound stream of a file that players choose to the output and return its packets.

    Args:
        source: the file; None for no sound.
        output: where the stream is added, before any packet is read.
        start_s: moment of the file that becomes 0.
    """
    stream = source.streams.best("audio", related=picture_stream(source)) if source else None
    if source is None or not isinstance(stream, AudioStream):
        return iter(())
    if stream.codec_context.name in _COPIED_SOUND:
        return _copied(source, stream, output.add_stream_from_template(stream), start_s)
    rate = stream.rate if stream.rate in _AAC_RATES else 48_000
    encoded = output.add_stream("aac", rate=rate)
    encoded.layout = "mono" if stream.channels == 1 else "stereo"
    return _reencoded(source, stream, encoded, start_s)


_AAC_RATES = frozenset({8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000})


def _packets(source: InputContainer, stream: AudioStream) -> Iterator[Packet[Any]]:
    """Yield the packets that can be read; a damaged file may end early."""
    packets = source.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            continue
        if packet is None:
            return
        yield packet


def _copied(
    source: InputContainer, stream: AudioStream, output: AudioStream, start_s: float
) -> Iterator[Packet[Any]]:
    for packet in _packets(source, stream):
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
    resampler = AudioResampler("fltp", output.layout, output.rate)
    for packet in _packets(source, stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        for frame in cast(list[AudioFrame], frames):
            if frame.pts is None or frame.time_base is None:
                continue
            frame.pts -= round(start_s / frame.time_base)
            if frame.pts >= 0:
                for part in resampler.resample(frame):
                    yield from output.encode(part)
    for part in resampler.resample(None):
        yield from output.encode(part)
    yield from output.encode(None)
