import logging
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from m3dfel.errors import InputError
from m3dfel.video.decode import frame_files, probe, read_images, read_video
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
    assert (info.width, info.height, info.frames, info.rotation) == (64, 48, 20, 0)
    assert info.fps == pytest.approx(10)
    assert info.duration_s == pytest.approx(2)


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
    assert info.rotation == 90 * turns
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


@pytest.mark.parametrize(("fps", "kept"), [(10, 20), (5, 10), (4, 8), (100, 20), (0.5, 1)])
def test_a_lower_rate_keeps_times_and_indices(video, fps, kept):
    frames = list(read_video(video, fps=fps))
    assert len(frames) == pytest.approx(kept, abs=1)
    np.testing.assert_allclose([f.time_s for f in frames], [f.index / 10 for f in frames])


def test_reading_at_the_video_s_own_rate_drops_no_frame_despite_rounding(tmp_path):
    path = tmp_path / "rounded.mkv"  # Matroska rounds to milliseconds
    write_video(path, shades(30), fps=30)
    assert len(list(read_video(path, fps=30))) == 30


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
    write_sound(tmp_path / "sound.wav")
    for name, words in {
        "missing.mp4": "no video file",
        "empty.mp4": "is empty",
        "notes.txt": "not a video",
        "noise.mp4": "not a video",
        "head.mp4": "not a video",
        "sound.wav": "only sound",
    }.items():
        with pytest.raises(InputError, match=words) as error:
            read(tmp_path / name)
        assert name in str(error.value)
        assert "\n" not in str(error.value)


def test_a_path_with_a_colon_is_a_file(tmp_path, video, monkeypatch):
    monkeypatch.chdir(tmp_path)
    video.rename(tmp_path / "http:video.mp4")
    assert probe("http:video.mp4").frames == 20


@pytest.mark.parametrize("fps", [0, -1, float("nan")])
def test_an_invalid_rate_is_an_input_error(tmp_path, video, fps):
    with pytest.raises(InputError, match="above 0"):
        next(read_video(video, fps=fps))
    with pytest.raises(InputError, match="above 0"):
        next(read_images(tmp_path, fps=fps))


def write_pictures(folder: Path, names: list[str]) -> None:
    folder.mkdir()
    for shade, name in enumerate(names):
        Image.new("RGB", (8, 6), (10 * shade, 0, 0)).save(folder / name)


def test_pictures_are_read_in_the_order_of_their_numbers(tmp_path):
    folder = tmp_path / "frames"
    write_pictures(folder, ["frame_1.png", "frame_2.png", "frame_10.png"])
    (folder / "notes.txt").write_text("no picture")
    (folder / "._frame_3.png").write_text("left by macOS")
    assert [file.name for file in frame_files(folder)] == [
        "frame_1.png",
        "frame_2.png",
        "frame_10.png",
    ]
    frames = list(read_images(folder, fps=10))
    assert [frame.image[0, 0, 0] for frame in frames] == [0, 10, 20]
    assert [frame.time_s for frame in frames] == [0, 0.1, 0.2]
    listed = read_images(sorted(folder.glob("frame*.png")), fps=10)
    assert [frame.image[0, 0, 0] for frame in listed] == [0, 10, 20]


def test_a_picture_with_a_rotation_tag_is_read_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (8, 6)).save(tmp_path / "rotated.jpg", exif=exif)
    assert next(read_images([tmp_path / "rotated.jpg"])).image.shape == (8, 6, 3)


def test_unreadable_pictures_are_input_errors(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"broken\.jpg"):
        list(read_images(tmp_path))
    with pytest.raises(InputError, match=r"there is no picture .*gone\.jpg"):
        list(read_images([tmp_path / "gone.jpg"]))
    with pytest.raises(InputError, match="at least one"):
        list(read_images([]))
    with pytest.raises(InputError, match="is not a folder"):
        frame_files(tmp_path / "nowhere")
    (tmp_path / "bare").mkdir()
    with pytest.raises(InputError, match="holds no video and no picture"):
        frame_files(tmp_path / "bare")


def test_the_same_frames_become_the_same_file(tmp_path: Path):
    for name in ("one.mp4", "two.mp4"):
        write_video(tmp_path / name, shades(40), fps=25)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
