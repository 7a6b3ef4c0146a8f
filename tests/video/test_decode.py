import logging
import os
import subprocess
import sys
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from m3dfel.errors import InputError
from m3dfel.video import pictures
from m3dfel.video.decode import (
    OpenVideo,
    is_annotated,
    probe,
    read_at,
    read_chosen,
    read_video,
)
from m3dfel.video.encode import write_video


def shades(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Frames that get brighter from left to right and from frame to frame."""
    ramp = np.linspace(0, 100, width)[None, None, :, None]
    steps = np.linspace(0, 150, count)[:, None, None, None]
    return np.broadcast_to(ramp + steps, (count, height, width, 3)).astype(np.uint8)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "video.mp4"
    write_video(path, shades(20), fps=10)
    return path


def set_rotation(path: Path, matrix: list[int]) -> None:
    """Write a display matrix into the header of an MP4 file with one track."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    data[start : start + 36] = np.array([value << 16 for value in matrix], ">i4").tobytes()
    path.write_bytes(bytes(data))


def test_a_written_video_reads_back(video):
    frames = list(read_video(video))
    assert [frame.index for frame in frames] == list(range(20))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(20) / 10)
    images = np.stack([frame.image for frame in frames])
    assert images.dtype == np.uint8
    assert images.flags.c_contiguous
    assert np.abs(images.astype(int) - shades(20)).mean() < 3


def test_probe_agrees_with_reading(video):
    info = probe(video)
    assert (info.width, info.height) == (64, 48)
    assert info.fps == pytest.approx(10)
    assert info.duration_s == pytest.approx(2)


def test_probe_converts_a_single_frame_once(video, monkeypatch):
    """That takes a second for 4K of high dynamic range."""
    converted = []
    to_rgb = OpenVideo.to_rgb

    def counted(self, frame):
        converted.append(frame)
        return to_rgb(self, frame)

    monkeypatch.setattr(OpenVideo, "to_rgb", counted)
    probe(video)
    assert len(converted) == 1


@pytest.mark.parametrize(
    ("matrix", "turns"),
    [
        ([0, 1, 0, -1, 0, 0, 0, 0, 1 << 14], 3),
        ([-1, 0, 0, 0, -1, 0, 0, 0, 1 << 14], 2),
        ([0, -1, 0, 1, 0, 0, 0, 0, 1 << 14], 1),
    ],
)
def test_a_rotated_video_is_read_upright(video, matrix, turns):
    stored = next(read_video(video)).image
    set_rotation(video, matrix)
    info = probe(video)
    upright = next(read_video(video)).image
    assert (info.height, info.width) == upright.shape[:2]
    np.testing.assert_array_equal(upright, np.rot90(stored, turns))


def test_a_variable_frame_rate_keeps_its_times(tmp_path):
    path = tmp_path / "variable.mp4"
    stamps = [0, 40, 80, 400, 440, 1000]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for stamp, image in zip(stamps, shades(6), strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    times = [frame.time_s for frame in read_video(path)]
    np.testing.assert_allclose(times, np.array(stamps) / 1000, atol=1e-3)


def test_a_cut_off_video_yields_its_frames_and_a_warning(tmp_path, caplog):
    path = tmp_path / "cut.mkv"
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), dtype=np.uint8)
    write_video(path, noise, fps=10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with caplog.at_level(logging.WARNING):
        frames = list(read_video(path))
    assert 5 < len(frames) < 35
    assert "cut off" in caplog.text
    assert f"{len(frames)} frames" in caplog.text


def test_reading_continues_after_a_damaged_part(tmp_path):
    path = tmp_path / "damaged.mkv"
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), dtype=np.uint8)
    write_video(path, noise, fps=10)
    # Inside a frame: without the header of one, the rest of so short a file cannot be found.
    with av.open(str(path)) as container:
        frame = [packet for packet in container.demux(video=0) if packet.size][20]
        start = frame.pos + frame.size // 2
    data = bytearray(path.read_bytes())
    data[start : start + 200] = bytes(200)
    path.write_bytes(bytes(data))
    assert list(read_video(path))[-1].time_s > 3


BT2020_CL = 10  # constant luminance, which FFmpeg cannot convert


def test_frames_that_cannot_be_converted_to_rgb_are_left_out_with_a_warning(tmp_path, caplog):
    content = b""
    parts = (0, 10, BT2020_CL), (10, 10, 1), (20, 20, BT2020_CL), (40, 10, 1)
    for first, count, colors in parts:
        side = 32 if colors == BT2020_CL else 64
        images, stamps = list(shades(count, side, side)), range(first, first + count)
        write_stream(
            *(tmp_path / "part.ts", images, stamps, "libx264", Fraction(1, 25)), colorspace=colors
        )
        content += (tmp_path / "part.ts").read_bytes()
    path = tmp_path / "video.ts"
    path.write_bytes(content)
    frames = list(read_video(path))
    assert [frame.image.shape for frame in frames] == 20 * [(64, 64, 3)]
    assert "no frame from 0.72 to 1.52 s" in caplog.text
    assert probe(path).width == 64
    _, chosen = read_chosen(path, lambda count, fps: range(count))
    assert len(chosen) == 20


def test_a_video_without_a_frame_that_can_be_converted_to_rgb_is_an_error(tmp_path):
    path = tmp_path / "video.mp4"
    write_stream(path, list(shades(4)), range(4), "libx264", colorspace=BT2020_CL)
    for read in probe, lambda path: next(read_video(path)):
        with pytest.raises(InputError, match=r"no frame of .* can be .* converted to RGB: give"):
            read(path)


def test_an_intact_video_gives_no_warning(video, caplog):
    list(read_video(video))
    assert not caplog.records


def write_sound(path: Path) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))


@pytest.mark.parametrize("read", [probe, lambda path: next(read_video(path))])
def test_a_file_that_is_not_a_video_is_an_input_error(tmp_path, video, read):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "notes.txt").write_text("a line of text\n" * 50)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "head.mp4").write_bytes(video.read_bytes()[:600])
    (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile {video.name}\n")
    (tmp_path / "stream.mp4").write_text(f"#EXTM3U\n#EXTINF:2,\n{video.name}\n#EXT-X-ENDLIST\n")
    os.mkfifo(tmp_path / "pipe.mp4")
    write_sound(tmp_path / "sound.wav")
    for name, words in {
        "missing.mp4": "no video file",
        "empty.mp4": "is empty",
        "notes.txt": "not a video",
        "list.mp4": "not a playlist",
        "stream.mp4": "not a playlist",
        "pipe.mp4": "a pipe or a device, not a file",
        ".": "is a folder",
        "noise.mp4": "not a video",
        "head.mp4": "not a video",
        "sound.wav": "only sound",
    }.items():
        with pytest.raises(InputError, match=words) as error:
            read(tmp_path / name)
        assert name in str(error.value) or name == "."
        assert "\n" not in str(error.value)


def test_a_path_with_a_colon_is_a_file(tmp_path, video, monkeypatch):
    monkeypatch.chdir(tmp_path)
    video.rename(tmp_path / "http:video.mp4")
    assert probe("http:video.mp4").width == 64


def test_the_same_frames_become_the_same_file(tmp_path: Path):
    for name in ("one.mp4", "two.mp4"):
        write_video(tmp_path / name, shades(40), fps=25)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


# --- what players show ---------------------------------------------------------------------------


def write_stream(
    path: Path,
    images: list[np.ndarray],
    stamps: list[int],
    codec: str = "mpeg4",
    time_base: Fraction = Fraction(1, 1000),
    **settings: object,
) -> None:
    """Write frames with these time stamps; settings are of the codec's context."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = time_base
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        for stamp, image in zip(stamps, images, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = stamp, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("ratio", "size"),
    [(Fraction(2), (48, 128)), (Fraction(64, 45), (48, 91)), (Fraction(1, 2), (96, 64))],
)
def test_pixels_become_square(tmp_path, ratio, size):
    path = tmp_path / "wide.mp4"
    write_stream(path, list(shades(3)), [0, 40, 80], sample_aspect_ratio=ratio)
    info = probe(path)
    assert (info.height, info.width) == size
    assert [frame.image.shape[:2] for frame in read_video(path)] == [size] * 3


def join(parts: list[Path], path: Path) -> None:
    """Join streams of the same codec into one, whatever their sizes, as recorders of calls do."""
    shift = 0
    with av.open(str(path), "w") as output:
        for part in parts:
            with av.open(str(part)) as source:
                stream = source.streams.video[0]
                if not shift:
                    copy = output.add_stream_from_template(stream)
                for packet in source.demux(stream):
                    if packet.dts is not None:
                        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                        packet.stream = copy
                        end = packet.pts + packet.duration
                        output.mux(packet)
                shift = end


def test_a_size_that_changes_becomes_that_of_the_first_frame(tmp_path):
    parts = {"first": (48, 64), "half": (24, 32), "tall": (64, 32), "strip": (8000, 16)}
    for name, (height, width) in parts.items():
        images = [np.full((height, width, 3), 200, np.uint8)] * 3
        write_stream(tmp_path / f"{name}.webm", images, [0, 40, 80], codec="libvpx")
    join([tmp_path / f"{name}.webm" for name in parts], tmp_path / "call.webm")
    frames = [frame.image for frame in read_video(tmp_path / "call.webm")]
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 12
    assert min(frame.min() for frame in frames[:6]) > 190
    assert frames[8][:, :18].max() < 20, "another shape is not squeezed"
    assert frames[8][:, 22:42].min() > 190


def test_times_count_from_the_start_of_the_file_not_of_the_picture(tmp_path):
    for name in ("late.mp4", "late.mkv", "late.ts"):
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            picture = container.add_stream("mpeg4", rate=25)
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
            sound = container.add_stream("aac", rate=8000)
            for part in range(30):
                tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
                tone.sample_rate, tone.pts = 8000, 1024 * part
                container.mux(sound.encode(tone))
            container.mux(sound.encode(None))
            for index, image in enumerate(shades(10)):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = 40 + index, Fraction(1, 25)
                container.mux(picture.encode(frame))
            container.mux(picture.encode(None))
        times_s = [frame.time_s for frame in read_video(path)]
        np.testing.assert_allclose(times_s, 1.6 + np.arange(10) / 25, atol=0.15)
        assert probe(path).duration_s == pytest.approx(3.84, abs=0.2)


def test_sound_that_is_longer_than_the_picture_is_no_damage(tmp_path, caplog):
    path = tmp_path / "song.mkv"
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=8000)
        for image in shades(10):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(picture.encode(None))
        for part in range(30):
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            tone.sample_rate, tone.pts = 8000, 1024 * part
            container.mux(sound.encode(tone))
        container.mux(sound.encode(None))
    assert len(list(read_video(path))) == 10
    assert not caplog.records


def test_a_frame_is_held_for_as_long_as_it_is_shown(tmp_path):
    path = tmp_path / "held.mp4"
    write_stream(path, list(shades(4)), [0, 40, 5040, 5080])
    durations_s = [frame.duration_s for frame in read_video(path)]
    assert durations_s == pytest.approx([0.04, 5, 0.04, 0.04], abs=1e-3)


@pytest.mark.parametrize("fps", [0.2, 1, 240])
def test_slow_and_fast_videos_keep_their_times(tmp_path, fps):
    path = tmp_path / "video.mp4"
    write_video(path, shades(4), fps=fps)
    frames = list(read_video(path))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(4) / fps, atol=1e-4)
    np.testing.assert_allclose([frame.duration_s for frame in frames], 1 / fps, atol=1e-4)


def test_a_stretch_without_frames_is_named(tmp_path, caplog):
    path = tmp_path / "hole.avi"  # states how long each frame is shown
    write_stream(path, list(shades(4)), [0, 1, 100, 101], time_base=Fraction(1, 25))
    assert len(list(read_video(path))) == 4
    (record,) = caplog.records
    assert "no frame from 0.08 to 4.00 s" in record.getMessage()


def test_a_cover_and_an_alternative_stream_are_not_the_video(tmp_path):
    path = tmp_path / "streams.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("mpeg4", rate=25) for _ in range(3)]
        flags = [Disposition.attached_pic, Disposition(0), Disposition.default]
        for stream, disposition in zip(streams, flags, strict=True):
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.disposition = disposition
        for index, (stream, shade) in enumerate(zip(streams, (0, 90, 180), strict=True)):
            for pts in range(1 if index == 0 else 5):
                image = np.full((48, 64, 3), shade, np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts = pts
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    frames = list(read_video(path))
    assert [round(frame.image.mean(), -1) for frame in frames] == [180] * 5


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.apng", "a.png"])
def test_animations_are_videos(tmp_path, name):
    pictures = [Image.fromarray(image) for image in shades(3)]
    path = tmp_path / name
    settings = {"save_all": True, "append_images": pictures[1:], "duration": [100, 0, 2000]}
    pictures[0].save(path, format="PNG" if name == "a.apng" else None, **settings)
    frames = list(read_video(path))
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.2])
    assert [frame.duration_s for frame in frames] == pytest.approx([0.1, 0.1, 2])
    assert [frame.image.mean() for frame in frames] == pytest.approx([50, 125, 200], abs=3)
    info = probe(path)
    assert (info.width, info.height) == (64, 48)
    assert info.duration_s == pytest.approx(2.2)


@pytest.mark.parametrize(("trc", "codes"), [(16, (0.58, 0.38)), (18, (0.75, 0.38))])
def test_high_dynamic_range_has_the_brightness_of_ordinary_videos(tmp_path, trc, codes):
    """White and middle gray of ITU-R BT.2408: 203 and 26 nits."""
    image = np.full((48, 64, 3), 255 * codes[0], np.uint8)
    image[:, 32:] = round(255 * codes[1])
    path = tmp_path / "hdr.mp4"
    write_stream(path, [image] * 2, [0, 40], "libx264", color_trc=trc, color_primaries=9)
    shown = next(read_video(path)).image
    assert shown[:, 8:24].mean() == pytest.approx(255, abs=8)
    assert shown[:, 40:56].mean() == pytest.approx(255 * (26 / 203) ** (1 / 2.4), abs=12)


def test_a_title_in_another_encoding_does_not_matter(tmp_path, video):
    data = video.read_bytes()
    path = tmp_path / "titled.mkv"
    with av.open(str(path), "w") as output, av.open(str(video)) as source:
        output.metadata["title"] = "Pr_sentation"
        copy = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                output.mux(packet)
    data = path.read_bytes()
    assert b"Pr_sentation" in data
    path.write_bytes(data.replace(b"Pr_sentation", b"Pr\xe4sentation"))
    assert len(list(read_video(path))) == 20
    assert not is_annotated(path)


def test_a_file_whose_name_is_not_utf_8_is_read(tmp_path, video):
    name = os.fsdecode(b"old\xff.mp4")
    try:
        video.rename(tmp_path / name)
    except OSError:
        pytest.skip("this file system has only UTF-8 names")
    assert len(list(read_video(tmp_path / name))) == 20


def test_frames_that_are_too_large_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    path = tmp_path / "large.mp4"
    write_video(path, shades(2, 64, 64), fps=5)
    monkeypatch.setattr(pictures, "MAX_PIXELS", 4000)
    with pytest.raises(InputError, match=r"large\.mp4 is 64×64 pixels but may have at most"):
        next(read_video(path))


def test_a_file_without_permission_is_not_called_damaged(guarded: Path):
    (guarded / "video.mp4").write_bytes(b"secret")
    (guarded / "video.mp4").chmod(0)
    with pytest.raises(InputError, match="no permission to read"):
        next(read_video(guarded / "video.mp4"))


def test_chosen_frames_are_those_of_the_whole_video(video):
    asked = []

    def choose(count, fps):
        asked.append((count, fps))
        return [0, 3, 3, count - 1]

    frames = list(read_video(video))
    indices, pictures = read_chosen(video, choose)
    assert asked == [(len(frames), pytest.approx(10, abs=0.01))]
    assert indices == [0, 3, 3, len(frames) - 1]
    for index, picture in zip(indices, pictures, strict=True):
        assert np.array_equal(picture, frames[index].image)


def test_frames_are_chosen_among_those_that_can_be_decoded(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), dtype=np.uint8)
    path = tmp_path / "video.ts"
    write_stream(path, list(noise), range(0, 40 * 40, 40))
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3)
    path.write_bytes(content)
    frames = list(read_video(path))
    assert 0 < len(frames) < 40
    indices, pictures = read_chosen(path, lambda count, fps: range(count))
    assert len(indices) == len(frames)
    for picture, frame in zip(pictures, frames, strict=True):
        assert np.array_equal(picture, frame.image)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".gif"])
def test_frames_are_found_again_by_their_time(tmp_path, suffix):
    path = tmp_path / f"video{suffix}"
    if suffix == ".gif":
        pictures = [Image.fromarray(image) for image in shades(8)]
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=200)
    elif suffix == ".ts":
        write_stream(path, list(shades(40)), range(0, 40 * 40, 40))
    else:
        write_video(path, shades(40), fps=10)
    frames = list(read_video(path))
    wanted = [frames[-1], frames[3], frames[0]]
    found = read_at(path, [frame.time_s for frame in wanted])
    for frame in wanted:
        assert np.array_equal(found[frame.time_s], frame.image)
    assert read_at(path, [0.033, 99.0]) == {}


MEMORY = """
import resource, sys
from m3dfel.video.decode import read_chosen

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

read_chosen(sys.argv[1], lambda count, fps: range(16))
before = peak_mb()
indices, pictures = read_chosen(sys.argv[2], lambda count, fps: range(0, count, count // 16))
assert len(pictures) >= 16
print(peak_mb() - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows says nothing about the peak")
def test_choosing_frames_of_a_long_video_takes_no_more_memory_than_of_a_short_one(tmp_path):
    paths = [tmp_path / "short.mp4", tmp_path / "long.mp4"]
    for path, count in zip(paths, (32, 400), strict=True):
        write_video(path, np.zeros((count, 480, 640, 3), np.uint8), fps=25)
    words = [sys.executable, "-c", MEMORY, *map(str, paths)]
    run = subprocess.run(words, capture_output=True, text=True, check=True)
    assert float(run.stdout) < 40, "MB; all frames take 180"
