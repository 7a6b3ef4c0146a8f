from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from m3dfel.errors import InputError
from m3dfel.video import encode
from m3dfel.video.decode import Frame, probe, read_video
from m3dfel.video.encode import record, rewrite_video, write_video

SIDE = 48


def picture(index: int, width: int = SIDE, height: int = SIDE) -> np.ndarray:
    return np.full((height, width, 3), 5 * index, np.uint8)


def unchanged(frame: Frame) -> np.ndarray:
    return frame.image


def write_film(
    path: Path,
    stamps: list[int],
    sound: str | None = None,
    size: tuple[int, int] = (SIDE, SIDE),
    time_base: Fraction = Fraction(1, 12_800),
) -> Path:
    """A film of gray pictures with these time stamps and, if named, two seconds of a tone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "0"})
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        stream.codec_context.time_base = time_base
        if sound:
            tone = container.add_stream(sound, rate=44_100)
            tone.layout = "mono"
        for index, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(picture(index, *size), format="rgb24")
            frame.pts, frame.time_base = stamp, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound:
            container.mux(_tone(tone))
    return path


def turn_right(path: Path) -> None:
    """Write a display matrix into the header of an MP4 file with one track, as phones do."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    matrix = np.array([0, 1, 0, -1, 0, 0, 0, 0, 1 << 14]) * (1 << 16)
    data[start : start + 36] = matrix.astype(">i4").tobytes()
    path.write_bytes(bytes(data))


def _tone(stream: av.AudioStream) -> list[av.Packet]:
    wave = np.sin(2 * np.pi * 440 * np.arange(2 * 44_100) / 44_100)
    frame = av.AudioFrame.from_ndarray((1e4 * wave).astype(np.int16)[None], "s16", "mono")
    frame.sample_rate, frame.pts = 44_100, 0
    resampler = av.AudioResampler(stream.format, "mono", 44_100, stream.frame_size or None)
    parts = [*resampler.resample(frame), *resampler.resample(None)]
    return [packet for part in [*parts, None] for packet in stream.encode(part)]


def loudness(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray() for frame in container.decode(audio=0)]


STEADY = [512 * i for i in range(50)]
VARIABLE = [0, 512, 1024, 4096, 4400, 4700, 9000, 9512, 20_000, 25_088]


@pytest.mark.parametrize("stamps", [STEADY, VARIABLE], ids=["steady", "variable"])
def test_every_frame_keeps_its_time(stamps: list[int], tmp_path: Path):
    source = write_film(tmp_path / "film.mp4", stamps)
    rewrite_video(source, tmp_path / "new.mp4", unchanged)
    before, after = list(read_video(source)), list(read_video(tmp_path / "new.mp4"))
    assert [frame.time_s for frame in after] == [frame.time_s for frame in before]
    for old, new in zip(before, after, strict=True):
        assert new.image.mean() == pytest.approx(old.image.mean(), abs=3)
    old_info, new_info = probe(source), probe(tmp_path / "new.mp4")
    assert new_info.fps == pytest.approx(old_info.fps)
    assert new_info.duration_s == pytest.approx(old_info.duration_s)


def test_a_browser_can_play_it_before_it_is_loaded(tmp_path: Path):
    source = write_film(tmp_path / "film.mp4", STEADY)
    rewrite_video(source, tmp_path / "new.mp4", unchanged)
    content = (tmp_path / "new.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(str(tmp_path / "new.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")


@pytest.mark.parametrize("sound", ["aac", "libmp3lame"])
def test_sound_that_browsers_play_is_copied(sound: str, tmp_path: Path):
    source = write_film(tmp_path / "film.mp4", STEADY, sound)
    rewrite_video(source, tmp_path / "new.mp4", unchanged)
    packets = []
    for path in (source, tmp_path / "new.mp4"):
        with av.open(str(path)) as container:
            stream = container.streams.audio[0]
            packets.append([(bytes(p), p.pts) for p in container.demux(stream) if p.size])
    assert packets[0] == packets[1]


@pytest.mark.parametrize(("sound", "suffix"), [("pcm_s16le", ".avi"), ("flac", ".mkv")])
def test_other_sound_is_encoded_again(sound: str, suffix: str, tmp_path: Path):
    source = write_film(tmp_path / f"film{suffix}", STEADY, sound)
    rewrite_video(source, tmp_path / "new.mp4", unchanged)
    with av.open(str(tmp_path / "new.mp4")) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name == "aac"
        assert stream.duration * stream.time_base == pytest.approx(2, abs=0.05)
    heard = np.concatenate([part.ravel() for part in loudness(tmp_path / "new.mp4")])
    original = 1e4 / 2**15 / np.sqrt(2)
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(original, rel=0.1)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("sound", ["aac", "libmp3lame"])
def test_all_the_sound_is_kept_when_the_picture_starts_late(
    tmp_path: Path, suffix: str, sound: str
):
    late = [6400 + stamp for stamp in STEADY]
    source = write_film(tmp_path / f"film{suffix}", late, sound)
    rewrite_video(source, tmp_path / "new.mp4", unchanged)
    with av.open(str(tmp_path / "new.mp4")) as container:
        audio = container.streams.audio[0]
        assert audio.duration * audio.time_base == pytest.approx(2, abs=0.1)
    before, after = list(read_video(source)), list(read_video(tmp_path / "new.mp4"))
    assert before[0].time_s == pytest.approx(0.5, abs=0.05)
    assert [frame.time_s for frame in after] == pytest.approx([f.time_s for f in before], abs=0.03)


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_a_last_frame_that_is_held_is_held_in_the_new_video(name: str, tmp_path: Path):
    first, *rest = [Image.fromarray(picture(index)) for index in range(3)]
    first.save(tmp_path / name, save_all=True, append_images=rest, duration=[100, 200, 5000])
    rewrite_video(tmp_path / name, tmp_path / "new.mp4", unchanged)
    frames = list(read_video(tmp_path / "new.mp4"))
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.3], abs=1e-3)
    assert [frame.duration_s for frame in frames] == pytest.approx([0.1, 0.2, 5], abs=1e-3)


def test_pictures_keep_the_rate_they_are_given(tmp_path: Path):
    for index in range(3):
        Image.fromarray(picture(index)).save(tmp_path / f"{index}.png")
    rewrite_video(tmp_path, tmp_path / "new.mp4", unchanged, fps=2)
    frames = list(read_video(tmp_path / "new.mp4"))
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.5, 1])
    assert probe(tmp_path / "new.mp4").duration_s == pytest.approx(1.5)


def test_a_rotated_video_is_upright(tmp_path: Path):
    source = write_film(tmp_path / "film.mp4", STEADY, size=(64, 32))
    turn_right(source)
    rewrite_video(source, tmp_path / "new.mp4", unchanged)
    info = probe(tmp_path / "new.mp4")
    assert (info.width, info.height) == (32, 64)
    assert next(read_video(tmp_path / "new.mp4")).image.shape == (64, 32, 3)


def test_pictures_become_a_silent_video(tmp_path: Path):
    for index in range(3):
        Image.fromarray(picture(index)).save(tmp_path / f"{index}.png")
    rewrite_video(tmp_path, tmp_path / "new.mp4", unchanged)
    frames = list(read_video(tmp_path / "new.mp4"))
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.04, 0.08])
    with av.open(str(tmp_path / "new.mp4")) as container:
        assert not container.streams.audio


def test_without_an_h264_encoder_it_is_mpeg4_and_says_so(tmp_path: Path, monkeypatch, caplog):
    source = write_film(tmp_path / "film.mp4", STEADY, time_base=Fraction(1, 90_000))
    monkeypatch.setattr(encode, "_ENCODERS", ("h264_missing", "mpeg4"))
    rewrite_video(source, tmp_path / "new.mp4", unchanged)
    assert "no H.264 encoder" in caplog.text
    assert len(list(read_video(tmp_path / "new.mp4"))) == 50


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("film.mp4", r"would overwrite the video it is made from"),
        ("new.avi", r"give a name that ends in \.mp4"),
        ("film.mp4/new.mp4", r"cannot write"),
    ],
)
def test_an_unusable_path_is_an_input_error(name: str, sentence: str, tmp_path: Path):
    source = write_film(tmp_path / "film.mp4", STEADY[:3])
    content = source.read_bytes()
    with pytest.raises(InputError, match=sentence):
        rewrite_video(source, tmp_path / name, unchanged)
    assert source.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_a_failure_while_drawing_leaves_no_file(tmp_path: Path):
    source = write_film(tmp_path / "film.mp4", STEADY)

    def fail(frame: Frame) -> np.ndarray:
        if frame.index == 20:
            raise InputError("cannot draw")
        return frame.image

    with pytest.raises(InputError, match="cannot draw"):
        rewrite_video(source, tmp_path / "new.mp4", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


# --- recording -----------------------------------------------------------------------------------


def test_a_recording_is_complete_however_it_ends(tmp_path: Path):
    """With the numbers and times of the frames that passed, also at odd sizes and uneven times."""

    def camera(error: bool = False):
        for index, time_s in enumerate([0.0, 0.033, 0.1, 0.15, 0.2]):
            yield Frame(10 * index, time_s, picture(index, 47, 35))
        if error:
            raise InputError("unplugged")

    passed = list(record(camera(), tmp_path / "whole.mp4"))
    assert [frame.index for frame in passed] == [0, 1, 2, 3, 4]
    frames = list(read_video(tmp_path / "whole.mp4"))
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.033, 0.1, 0.15, 0.2], abs=1e-3)
    assert frames[0].image.shape == (36, 48, 3)
    assert [frame.image.mean() for frame in frames] == pytest.approx([0, 5, 10, 15, 20], abs=2)

    recording = record(camera(), tmp_path / "left.mp4")
    for _ in range(3):
        next(recording)
    recording.close()
    assert len(list(read_video(tmp_path / "left.mp4"))) == 3

    with pytest.raises(InputError, match="unplugged"):
        list(record(camera(error=True), tmp_path / "unplugged.mp4"))
    assert len(list(read_video(tmp_path / "unplugged.mp4"))) == 5
    assert list(record([], tmp_path / "empty.mp4")) == []
    assert not (tmp_path / "empty.mp4").exists()


def test_odd_sides_grow_by_one_pixel(tmp_path: Path):
    path = tmp_path / "new" / "odd.mp4"
    write_video(path, np.full((3, 47, 63, 3), 90, np.uint8), fps=5)
    assert next(read_video(path)).image.shape == (48, 64, 3)


def test_a_failed_write_leaves_no_file(tmp_path: Path):
    pictures = np.zeros((2, 16, 16, 3), np.uint8)
    with pytest.raises(InputError, match=r"ends in \.mp4"):
        write_video(tmp_path / "video.unknown", pictures, fps=5)
    with pytest.raises(InputError, match="no frame"):
        write_video(tmp_path / "video.mp4", [], fps=5)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="choose another path"):
        write_video(tmp_path / "file" / "video.mp4", pictures, fps=5)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
