from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m3dfel.errors import InputError
from m3dfel.video.decode import Frame
from m3dfel.video.encode import rewrite_video, write_video
from m3dfel.video.sources import (
    MIN_SIDE,
    find_sources,
    read_frames,
    source_duration,
    source_name,
    source_stem,
)


def test_a_folder_means_the_videos_in_its_folders_too(tmp_path: Path):
    (tmp_path / "monday" / ".cache").mkdir(parents=True)
    for name in ("b.mp4", "monday/a.mp4", "monday/.cache/c.mp4"):
        (tmp_path / name).touch()
    names = [str(tmp_path / name) for name in ("b.mp4", "monday/a.mp4")]
    assert find_sources([tmp_path]) == names


def test_every_source_gives_its_frames_in_order(tmp_path: Path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in (10, 9, 1):
        Image.new("RGB", (16, 12), (number, 0, 0)).save(folder / f"{number}.png")
    pictures = list(folder.iterdir())
    for source in (folder, str(folder), pictures):
        frames = list(read_frames(source))
        assert [frame.image[0, 0, 0] for frame in frames] == [1, 9, 10]
        assert [frame.time_s for frame in frames] == [0, 0.04, 0.08]
        assert list(read_frames(frames)) == list(read_frames(iter(frames))) == frames
        assert source_duration(source) == pytest.approx(0.12)
        assert source_duration(frames) == pytest.approx(0.08)
        assert source_duration(iter(frames)) is None
    (single,) = read_frames(folder / "9.png")
    assert single.image[0, 0, 0] == 9
    assert source_duration(folder / "9.png") == 0.04
    write_video(tmp_path / "video.mp4", np.zeros((3, 12, 16, 3), np.uint8), fps=10)
    assert [frame.time_s for frame in read_frames(tmp_path / "video.mp4")] == [0, 0.1, 0.2]
    assert source_duration(tmp_path / "video.mp4") == pytest.approx(0.3)


THIN = [(3000, 2), (2, 3000), (1, 1), (7, 64)]


@pytest.mark.parametrize(("width", "height"), THIN)
def test_a_picture_too_small_for_a_face_is_named_with_its_size(
    tmp_path: Path, width: int, height: int
):
    Image.new("RGB", (16, 16)).save(tmp_path / "1.png")
    Image.new("RGB", (width, height)).save(tmp_path / "2.png")
    pictures = [tmp_path / "1.png", tmp_path / "2.png"]
    for source in (tmp_path, tmp_path / "2.png", pictures):
        with pytest.raises(InputError, match=rf"2\.png is {width}×{height} pixels, too small"):
            list(read_frames(source))


def test_a_video_too_small_for_a_face_is_named_with_its_size(tmp_path: Path):
    write_video(tmp_path / "strip.mp4", np.zeros((3, 2, 300, 3), np.uint8), fps=10)
    with pytest.raises(InputError, match=r"strip\.mp4 is 300×2 pixels, too small"):
        list(read_frames(tmp_path / "strip.mp4"))


def test_a_frame_in_memory_too_small_for_a_face_is_named_by_its_number():
    frames = [Frame(i, i / 25, np.zeros((MIN_SIDE - i, 64, 3), np.uint8)) for i in range(2)]
    with pytest.raises(InputError, match="frame 1 is 64×7 pixels, too small"):
        list(read_frames(frames))


def test_paths_are_sorted_into_videos_folders_and_pictures(tmp_path: Path):
    for name in ("films/b.MP4", "films/a.mov", "films/notes.txt", "frames/1.jpg", "x.jpg", "y.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = ("films", "x.jpg", "frames", "y.jpg", "c.avi")
    sources = find_sources([tmp_path / name for name in names])
    expected = ["films/a.mov", "films/b.MP4", "frames", "c.avi"]
    assert sources[:-1] == [str(tmp_path / name) for name in expected]
    assert sources[-1] == [str(tmp_path / "x.jpg"), str(tmp_path / "y.jpg")]


def test_a_path_given_twice_is_one_source():
    assert find_sources(["a.mp4", "a.mp4"]) == ["a.mp4"]


def test_annotated_videos_in_a_folder_are_not_sources(tmp_path: Path):
    video = tmp_path / "film.mp4"
    write_video(video, np.zeros((3, 32, 32, 3), np.uint8), fps=10)
    rewrite_video(video, tmp_path / "film_annotated.mp4", lambda frame: frame.image)
    (tmp_path / "own_annotated.mp4").write_bytes(video.read_bytes())
    (tmp_path / "bad_annotated.mp4").write_bytes(b"not a video")
    expected = ["bad_annotated.mp4", "film.mp4", "own_annotated.mp4"]
    assert find_sources([tmp_path]) == [str(tmp_path / name) for name in expected]
    named = str(tmp_path / "film_annotated.mp4")
    assert find_sources([named]) == [named], "unless named"


def test_names_and_stems(tmp_path: Path):
    (tmp_path / "frames.v2").mkdir()
    assert source_name(["b/1.jpg", "b/2.jpg"]) == "b/1.jpg"
    assert source_name([Frame(0, 0.0, np.zeros((9, 9, 3), np.uint8))]) == "frames"
    assert source_stem("films/holiday.2024.mp4") == "holiday.2024"
    assert source_stem(str(tmp_path / "frames.v2")) == "frames.v2"
