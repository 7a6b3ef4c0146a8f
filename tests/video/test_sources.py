import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m3dfel.errors import InputError
from m3dfel.files import atomic_write, start_list, write_text
from m3dfel.video.decode import Frame
from m3dfel.video.encode import rewrite_video, write_video
from m3dfel.video.sources import (
    MIN_SIDE,
    find_sources,
    read_frames,
    several,
    source_duration,
    source_name,
    source_stem,
)


def test_a_folder_means_the_videos_in_its_folders_too(tmp_path: Path):
    (tmp_path / "monday" / ".cache").mkdir(parents=True)
    for name in ("b.mp4", "monday/a.mp4", "monday/.cache/c.mp4"):
        (tmp_path / name).touch()
    names = [str(tmp_path / name) for name in ("b.mp4", "monday/a.mp4")]
    assert find_sources([tmp_path]) == (names, [])


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


def test_frames_have_the_size_of_the_first(tmp_path: Path):
    for number, size in enumerate([(16, 12), (32, 24), (12, 12), (8, 5000)]):
        Image.new("RGB", size, "white").save(tmp_path / f"{number}.png")
    first, larger, square, strip = (frame.image for frame in read_frames(tmp_path))
    assert first.shape == larger.shape == square.shape == strip.shape == (12, 16, 3)
    assert larger.min() == 255
    assert not square[:, :2].any(), "another shape is not squeezed"
    assert square[:, 2:14].min() == 255


def touch(root: Path, *names: str) -> list[str]:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return [str(root / name) for name in names]


def test_paths_are_sorted_into_videos_and_photos(tmp_path: Path):
    touch(tmp_path, "films/b.MP4", "films/a.MTS", "films/c.jpg", "frames/1.jpg", "frames/2.jpg")
    touch(tmp_path, "x.jpg", "y.heic")
    names = [tmp_path / name for name in ("films", "x.jpg", "frames", "y.heic", "c.avi")]
    videos, photos = find_sources(names)
    assert videos == [str(tmp_path / name) for name in ("films/a.MTS", "films/b.MP4", "c.avi")]
    expected = ["films/c.jpg", "x.jpg", "frames/1.jpg", "frames/2.jpg", "y.heic"]
    assert photos == [str(tmp_path / name) for name in expected]


def test_pictures_are_the_frames_of_one_video_where_the_user_says_so(tmp_path: Path):
    touch(tmp_path, "clips/1/1.jpg", "clips/1/2.jpg", "clips/2/1.jpg", "clips/a.mp4", "x.jpg")
    touch(tmp_path, "y.jpg")
    names = [tmp_path / name for name in ("clips", "x.jpg", "y.jpg")]
    videos, photos = find_sources(names, one_video=True)
    folders = [str(tmp_path / name) for name in ("clips/a.mp4", "clips/1", "clips/2")]
    assert videos == [*folders, [str(tmp_path / "x.jpg"), str(tmp_path / "y.jpg")]]
    assert not photos


def test_an_animation_is_a_video_whatever_its_suffix(tmp_path: Path):
    pictures = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    for name in ("moves.gif", "moves.webp", "moves.png"):
        pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:])
    for name in ("still.gif", "still.webp", "still.png"):
        pictures[0].save(tmp_path / name)
    videos, photos = find_sources([tmp_path])
    assert {Path(name).stem for name in videos} == {"moves"}
    assert {Path(name).stem for name in photos} == {"still"}
    assert len(videos) == len(photos) == 3


def test_what_is_left_out_of_a_folder_is_named_once(tmp_path: Path, caplog):
    touch(tmp_path, "a.mp4", "talk.docx", "sub/notes.txt", ".hidden")
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    assert find_sources([tmp_path]).videos == [str(tmp_path / "a.mp4")]
    (record,) = caplog.records
    assert "gone.mp4, pipe.mp4, talk.docx, sub/notes.txt" in record.getMessage()


def test_links_are_followed_once_and_never_in_circles(tmp_path: Path):
    (video,) = touch(tmp_path, "disk/a.mp4")
    folder = tmp_path / "linked"
    folder.mkdir()
    (folder / "nas").symlink_to(tmp_path / "disk")
    (folder / "again").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "circle").symlink_to(folder)
    (found,) = find_sources([folder]).videos
    assert Path(found).resolve() == Path(video)


def test_results_in_a_folder_are_not_sources(tmp_path: Path):
    touch(tmp_path, "a.mp4")
    start_list(tmp_path)
    write_text(tmp_path / "a.csv", "start_s\n")
    with atomic_write(tmp_path / "a.png") as temporary:
        Image.new("RGB", (16, 16)).save(temporary)
    assert find_sources([tmp_path]) == ([str(tmp_path / "a.mp4")], [])


def test_folders_without_permission_are_named(guarded: Path, caplog):
    touch(guarded, "a.mp4", "private/b.mp4")
    (guarded / "private").chmod(0)
    assert find_sources([guarded]).videos == [str(guarded / "a.mp4")]
    assert "no permission to read the folder" in caplog.text
    with pytest.raises(InputError, match="no permission to read the folder"):
        find_sources([guarded / "private"])
    (guarded / "private").chmod(0o700)  # so that it can be removed


def test_patterns_and_home_folders_are_expanded(tmp_path: Path, monkeypatch):
    names = touch(tmp_path, "clip2.mp4", "clip10.mp4", "[odd].mp4", "other.avi")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_sources([f"{tmp_path}/clip*.mp4"]).videos == names[:2]
    assert find_sources([names[2]]).videos == [names[2]]
    assert find_sources(["~/other.avi"]).videos == [names[3]]
    with pytest.raises(InputError, match=r"no file matches .*\*\.mov"):
        find_sources([f"{tmp_path}/*.mov"])


def test_a_folder_with_nothing_to_read_is_an_input_error(tmp_path: Path):
    touch(tmp_path, "notes.txt")
    with pytest.raises(InputError, match="holds no video and no picture"):
        find_sources([tmp_path])


def test_a_path_given_twice_is_one_source():
    assert find_sources(["a.mp4", "a.mp4"]).videos == ["a.mp4"]


# --- pictures in memory --------------------------------------------------------------------------

COLORS = np.arange(16 * 12 * 3, dtype=np.uint8).reshape(12, 16, 3)


@pytest.mark.parametrize(
    "source",
    [
        COLORS,
        np.dstack([COLORS, COLORS[..., :1]]),
        COLORS[None],
        Image.fromarray(COLORS),
        [Image.fromarray(COLORS)],
        iter([COLORS]),
        [Frame(0, 0.0, COLORS)],
    ],
    ids=["RGB", "RGBA", "video", "Pillow", "list", "iterator", "frames"],
)
def test_pictures_in_memory_are_read(source: object):
    (frame,) = read_frames(source)
    np.testing.assert_array_equal(frame.image, COLORS)


def test_gray_arrays_become_rgb():
    (frame,) = read_frames(COLORS[..., 0])
    np.testing.assert_array_equal(frame.image, COLORS[..., :1].repeat(3, axis=2))


def test_arrays_have_the_rate_they_are_given():
    video = np.zeros((3, 16, 16, 3), np.uint8)
    assert [frame.time_s for frame in read_frames(video, fps=2)] == [0, 0.5, 1]
    assert [frame.time_s for frame in read_frames(iter(video), fps=2)] == [0, 0.5, 1]
    assert source_duration(video, fps=2) == 1.5
    with pytest.raises(InputError, match="above 0"):
        next(read_frames(video, fps=0))


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (COLORS / 255, "array of float64 but pixels must be uint8"),
        (COLORS.transpose(2, 0, 1), r"array of shape \(3, 12, 16\) but a picture must be"),
        (np.zeros((2, 3, 16, 16), np.uint8), "but a picture must be"),
        (np.zeros(9, np.uint8), "but a picture must be"),
        (b"bytes", "cannot read faces from bytes"),
        (object(), "cannot read faces from object"),
        ([1.5, 2.5], "cannot read faces from float"),
        (None, "cannot read faces from NoneType"),
        (iter(["a.jpg"]), "frame 0 is the path a.jpg: give several paths as a list"),
    ],
)
def test_what_is_not_a_picture_is_said_in_a_sentence(source: object, sentence: str):
    with pytest.raises(InputError, match=sentence) as error:
        list(read_frames(source))
    assert "\n" not in str(error.value)


def test_what_is_given_together_is_several_sources(tmp_path: Path):
    videos = touch(tmp_path, "a.mp4", "b.mp4", "frames/1.jpg", "frames/2.jpg")[:2]
    pictures = [str(tmp_path / "frames" / name) for name in ("1.jpg", "2.jpg")]
    assert several(videos, one_video=False) == several(videos, one_video=True) == videos
    assert several(f"{tmp_path}/*.mp4", one_video=False) == videos
    assert several(tmp_path, one_video=False) == [*videos, *pictures]
    assert several(pictures, one_video=False) == pictures
    assert several(tmp_path / "frames", one_video=False) == pictures
    assert several([COLORS, COLORS], one_video=False) is not None
    for one in (pictures, tmp_path / "frames", [COLORS, COLORS]):
        assert several(one, one_video=True) is None
    for one in (videos[0], COLORS, [Frame(0, 0.0, COLORS)], iter([COLORS]), "http://a.de/b.mp4"):
        assert several(one, one_video=False) is None


def test_annotated_videos_in_a_folder_are_not_sources(tmp_path: Path):
    video = tmp_path / "film.mp4"
    write_video(video, np.zeros((3, 32, 32, 3), np.uint8), fps=10)
    rewrite_video(video, tmp_path / "film_annotated.mp4", lambda frame: frame.image)
    (tmp_path / "own_annotated.mp4").write_bytes(video.read_bytes())
    (tmp_path / "bad_annotated.mp4").write_bytes(b"not a video")
    expected = ["bad_annotated.mp4", "film.mp4", "own_annotated.mp4"]
    assert find_sources([tmp_path]).videos == [str(tmp_path / name) for name in expected]
    named = str(tmp_path / "film_annotated.mp4")
    assert find_sources([named]).videos == [named], "unless named"


def test_names_and_stems(tmp_path: Path):
    (tmp_path / "frames.v2").mkdir()
    assert source_name(["b/1.jpg", "b/2.jpg"]) == "b/1.jpg"
    assert source_name([Frame(0, 0.0, np.zeros((9, 9, 3), np.uint8))]) == "frames"
    assert source_stem("films/holiday.2024.mp4") == "holiday.2024"
    assert source_stem(str(tmp_path / "frames.v2")) == "frames.v2"
