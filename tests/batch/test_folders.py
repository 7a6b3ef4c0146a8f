import errno
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from m3dfel.batch.folders import plan_videos, predict_videos
from m3dfel.batch.predictor import VideoPredictor, predict_safely
from m3dfel.batch.settings import Outcome, PredictSettings, Video
from m3dfel.errors import DiskFullError, InputError
from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.settings import RecognizerSettings
from m3dfel.video.encode import write_video
from m3dfel.video.sources import find_sources
from small_videos import noise_video, predict_here, small_model


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    small_model().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Six short videos, and two files that are broken in different ways."""
    folder = tmp_path_factory.mktemp("videos")
    frames = np.stack([frame.image for frame in noise_video(60)])
    for number in range(6):
        write_video(folder / f"{number}.mp4", frames[5 * number :][:30], 25)
    (folder / "2b.mp4").write_bytes(b"not a video")
    (folder / "4b.mp4").write_bytes((folder / "4.mp4").read_bytes()[:400])
    return folder


def tables(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.iterdir() if path.name != ".m3dfel")
    return {path.name: path.read_bytes() for path in files if path.suffix != ".png"}


@pytest.fixture(scope="module")
def finished(model: Path, folder: Path, tmp_path_factory) -> Path:
    """The results of a run that was never stopped."""
    output = tmp_path_factory.mktemp("finished")
    settings = PredictSettings(str(output), ("csv",), model=str(model), aligned=True)
    predict_videos(find_sources([folder]).videos, settings, predict_here)
    return output


def test_bad_files_are_passed_and_listed_with_their_reasons(finished: Path):
    assert sorted(path.name for path in finished.glob("?.*")) == sorted(
        f"{number}.{ending}" for number in range(6) for ending in ("csv", "json")
    )
    problems = pd.read_csv(finished / "problems.csv")
    assert [Path(video).name for video in problems["video"]] == ["2b.mp4", "4b.mp4"]
    assert problems["problem"].str.contains("is not a video").any()
    summary = pd.read_csv(finished / "summary.csv")
    assert [Path(video).name for video in summary["video"]] == [f"{i}.mp4" for i in range(6)]
    assert (finished / "summary.png").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_a_killed_run_ends_with_the_same_tables_as_one_that_was_never_stopped(
    model: Path, folder: Path, finished: Path, tmp_path: Path
):
    output = tmp_path / "out"
    settings = PredictSettings(str(output), ("csv",), model=str(model), aligned=True)
    sources = find_sources([folder]).videos

    def run_until_killed() -> None:
        def one_by_one(videos, settings):
            predict = VideoPredictor(settings)
            for video in videos[:3]:
                yield predict_safely(predict, video)
            (tmp_path / "three are done").touch()
            time.sleep(600)

        predict_videos(sources, settings, one_by_one)

    first = multiprocessing.get_context("fork").Process(target=run_until_killed)
    first.start()
    while not (tmp_path / "three are done").exists():
        assert first.is_alive()
        time.sleep(0.01)
    first.kill()
    first.join()
    done = {path: path.stat().st_mtime_ns for path in output.glob("[!.]*.json")}
    assert {path.stem for path in done} == {"0", "1", "2"}
    half, old = output / ".123-5.csv", output / ".124-5.csv"
    for path in (half, old):
        path.write_text("half a table")
    os.utime(old, (0, 0))
    predict_videos(sources, settings, predict_here)
    assert half.exists(), "another run may be writing it"
    assert not old.exists()
    half.unlink()
    assert tables(output) == tables(finished)
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in done.items())


@pytest.fixture
def bucket(folder: Path, tmp_path: Path) -> Iterator[str]:
    """The URL of a folder in memory with the same files."""
    storage, bucket = fsspec.filesystem("memory"), f"memory:///{tmp_path.name}"
    storage.put(str(folder), f"{bucket}/", recursive=True)
    yield bucket
    storage.rm(bucket, recursive=True)


def test_videos_at_urls_have_the_tables_of_local_ones(
    model: Path, finished: Path, bucket: str, tmp_path: Path, monkeypatch
):
    scratch, output = tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    settings = PredictSettings(str(output), ("csv",), annotate=True, model=str(model), aligned=True)
    predict_videos(find_sources([bucket]).videos, settings, predict_here)
    for path in finished.glob("?.csv"):
        assert (output / path.name).read_bytes() == path.read_bytes()
    problems = pd.read_csv(output / "problems.csv")
    (name,) = {video.removesuffix("/2b.mp4") for video in problems["video"][:1]}
    assert name.startswith(bucket)
    assert problems["problem"].str.startswith(tuple(problems["video"])).all()
    assert Prediction.load(output / "0.json").source == f"{name}/0.mp4"
    assert (output / "0_annotated.mp4").exists()
    assert not list(scratch.iterdir()), "the copies are deleted"


def test_videos_at_urls_are_predicted_again_only_if_they_changed(
    model: Path, bucket: str, tmp_path: Path
):
    settings = PredictSettings(str(tmp_path / "out"), ("csv",), model=str(model), aligned=True)
    sources = find_sources([bucket]).videos[:2]
    left = []

    def noted(videos, settings):
        left.append([video.stem for video in videos])
        return predict_here(videos, settings)

    predict_videos(sources, settings, noted)
    predict_videos(sources, settings, noted)
    storage = fsspec.filesystem("memory")
    storage.copy(sources[0], sources[1])
    predict_videos(sources, settings, noted)
    assert left == [["0", "1"], [], ["1"]]


def test_formats_that_are_asked_for_later_need_no_model(
    model: Path, folder: Path, tmp_path: Path, monkeypatch
):
    settings = PredictSettings(str(tmp_path), ("csv",), model=str(model), aligned=True)
    sources = find_sources([folder]).videos[:2]
    predict_videos(sources, settings, predict_here)
    monkeypatch.setattr(VideoPredictor, "_predict", None)
    more = PredictSettings(
        str(tmp_path), ("csv", "srt"), annotate=True, model=str(model), aligned=True
    )
    predict_videos(sources, more, predict_here)
    assert sorted(path.name for path in tmp_path.glob("0*")) == [
        *("0.csv", "0.json", "0.srt", "0_annotated.mp4")
    ]


def test_a_video_that_changed_is_predicted_again(model: Path, tmp_path: Path):
    frames = np.stack([frame.image for frame in noise_video(20)])
    for number in (1, 2):
        write_video(tmp_path / f"{number}.mp4", frames, 25)
    settings = PredictSettings(str(tmp_path / "out"), ("csv",), model=str(model), aligned=True)
    sources = find_sources([tmp_path]).videos
    left = []

    def noted(videos, settings):
        left.append([video.stem for video in videos])
        return predict_here(videos, settings)

    predict_videos(sources, settings, noted)
    write_video(tmp_path / "2.mp4", frames[:10], 25)
    predict_videos(sources, settings, noted)
    assert left == [["1", "2"], ["2"]]
    assert Prediction.load(tmp_path / "out" / "2.json").frames["frame"].max() == 9


@pytest.mark.parametrize("is_list", [True, False])
def test_a_video_of_pictures_is_predicted_again_if_any_of_them_changed(
    model: Path, tmp_path: Path, is_list: bool
):
    (tmp_path / "film").mkdir()
    pictures = [str(tmp_path / "film" / f"{number}.png") for number in range(9)]
    for path, frame in zip(pictures, noise_video(9), strict=True):
        Image.fromarray(frame.image).save(path)
    settings = PredictSettings(str(tmp_path / "out"), ("csv",), model=str(model), aligned=True)
    source = pictures if is_list else str(tmp_path / "film")
    left = []

    def noted(videos, settings):
        left.append(len(videos))
        return predict_here(videos, settings)

    predict_videos([source], settings, noted)
    predict_videos([source], settings, noted)
    Image.fromarray(noise_video(1, side=64)[0].image).save(pictures[5])
    predict_videos([source], settings, noted)
    assert left == [1, 0, 1]


def test_a_video_that_is_replaced_while_it_is_read_is_predicted_again(model: Path, tmp_path: Path):
    frames = np.stack([frame.image for frame in noise_video(20)])
    video, other = tmp_path / "1.mp4", tmp_path / "other" / "1.mp4"
    write_video(video, frames, 25)
    write_video(other, frames[:10], 25)
    os.utime(other, (0, 0))
    settings = PredictSettings(str(tmp_path / "out"), ("csv",), model=str(model), aligned=True)

    def replaced(videos, settings):
        predict = VideoPredictor(settings)
        recognize = predict.recognizer.predict

        def replacing(*arguments, **options):
            prediction = recognize(*arguments, **options)
            shutil.copy2(other, video)
            return prediction

        predict.recognizer.predict = replacing
        return [predict_safely(predict, planned) for planned in videos]

    predict_videos([str(video)], settings, replaced)
    assert Prediction.load(tmp_path / "out" / "1.json").frames["frame"].max() == 19
    predict_videos([str(video)], settings, predict_here)
    assert Prediction.load(tmp_path / "out" / "1.json").frames["frame"].max() == 9


def test_a_full_disk_ends_the_run_at_once(model: Path, folder: Path, tmp_path: Path, monkeypatch):
    settings = PredictSettings(str(tmp_path), ("csv",), model=str(model), aligned=True)
    done = []

    def full(path: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    def one_by_one(videos, settings):
        predict = VideoPredictor(settings)
        monkeypatch.setattr(Path, "replace", full)
        for video in videos:
            done.append(video)
            yield predict_safely(predict, video)

    with pytest.raises(DiskFullError, match=r"\.csv \(No space left on device\): make room"):
        predict_videos(find_sources([folder]).videos, settings, one_by_one)
    assert len(done) == 1


def test_other_settings_are_named_and_results_replaced_only_when_asked(
    model: Path, folder: Path, tmp_path: Path
):
    sources = find_sources([folder]).videos[:2]
    predict_videos(
        sources,
        PredictSettings(str(tmp_path), ("csv",), model=str(model), aligned=True),
        predict_here,
    )
    other = PredictSettings(
        str(tmp_path),
        ("csv",),
        model=str(model),
        aligned=True,
        recognizer=RecognizerSettings(clip_s=1.0),
    )
    with pytest.raises(InputError, match=r"0\.json .* \(clip_s was 0\.64, is now 1\.0\)"):
        predict_videos(sources, other, predict_here)
    predict_videos(sources, other, predict_here, overwrite=True)
    assert Prediction.load(tmp_path / "0.json").settings["clip_s"] == 1.0


def test_sources_of_the_same_name_do_not_overwrite_each_other(tmp_path: Path):
    settings = PredictSettings(str(tmp_path))
    sources = ["a/film.mp4", "b/film.mp4", "b/Film.mov", "b/film.avi", "summary.mp4"]
    videos, _ = plan_videos(sources, settings)
    stems = [video.stem for video in videos]
    assert stems[:4] == ["film", "b-film", "b-Film-2", "b-film-3"]
    assert stems[4].endswith("-summary")


def test_the_same_relative_name_in_another_folder_is_another_video(
    model: Path, folder: Path, tmp_path: Path, monkeypatch
):
    settings = PredictSettings(str(tmp_path / "out"), ("csv",), model=str(model), aligned=True)
    for day, number in ("monday", 0), ("tuesday", 1):
        (tmp_path / day).mkdir()
        shutil.copy(folder / f"{number}.mp4", tmp_path / day / "a.mp4")
        shutil.copy(folder / f"{number}.mp4", tmp_path / day / "b.mp4")
        monkeypatch.chdir(tmp_path / day)
        predict_videos(find_sources(["a.mp4", "b.mp4"]).videos, settings, predict_here)
    stems = sorted(path.stem for path in (tmp_path / "out").glob("*.json"))
    assert stems == ["a", "b", "tuesday-a", "tuesday-b"]


def test_files_of_the_same_name_at_urls_do_not_overwrite_each_other(tmp_path: Path):
    sources = ["s3://b/a/film.mp4", "s3://b/film.mp4", "https://host/a/film.mp4?x=1", "film.mp4"]
    videos, _ = plan_videos(sources, PredictSettings(str(tmp_path)))
    stems = [video.stem for video in videos]
    assert stems[:3] == ["film", "b-film", "a-film"]
    assert len(set(stems)) == 4


def test_results_keep_their_names_when_sources_are_added(model: Path, folder: Path, tmp_path: Path):
    settings = PredictSettings(str(tmp_path / "out"), ("csv",), model=str(model), aligned=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "0.mp4").write_bytes((folder / "0.mp4").read_bytes())
    first, second = str(folder / "0.mp4"), str(tmp_path / "other" / "0.mp4")
    predict_videos([second, str(folder / "1.mp4")], settings, predict_here)
    videos, _ = plan_videos([first, second], settings)
    assert [video.stem for video in videos] == [f"{folder.name}-0", "0"]


def test_results_never_become_frames_of_their_source(tmp_path: Path):
    (tmp_path / "1.png").touch()
    for source in (str(tmp_path), [str(tmp_path / "1.png")]):
        with pytest.raises(InputError, match="choose another folder with --output"):
            plan_videos([source], PredictSettings(str(tmp_path)))


def test_what_is_wrong_with_a_video_that_was_read_is_kept_for_the_next_run(
    model: Path, tmp_path: Path
):
    noise = np.stack([frame.image for frame in noise_video(40)])
    for name in ("cut.mkv", "whole.mkv"):
        write_video(tmp_path / name, noise, 10)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    settings = PredictSettings(str(tmp_path / "out"), ("csv",), model=str(model), aligned=True)
    problems = []
    for _ in range(2):
        predict_videos(find_sources([tmp_path]).videos, settings, predict_here)
        problems.append((tmp_path / "out" / "problems.csv").read_text())
    assert "cut off or damaged" in problems[0]
    assert problems[0] == problems[1]
    assert "whole.mkv" not in problems[0]


def test_an_unexpected_error_is_a_problem_of_that_video_alone(
    model: Path, folder: Path, tmp_path: Path, monkeypatch
):
    recognize = VideoPredictor._predict

    def fragile(self, video, source):
        if video.stem == "0":
            raise MemoryError("too much")
        return recognize(self, video, source)

    monkeypatch.setattr(VideoPredictor, "_predict", fragile)
    settings = PredictSettings(str(tmp_path), ("csv",), model=str(model), aligned=True)
    outcomes, summary = predict_videos(find_sources([folder]).videos[:2], settings, predict_here)
    assert [outcome.problem for outcome in outcomes] == ["MemoryError: too much", ""]
    assert len(summary) == 1
    assert isinstance(outcomes[0], Outcome)


def test_files_of_the_user_are_not_replaced_and_said_before_the_work(
    model: Path, folder: Path, tmp_path: Path
):
    def never(videos: Sequence[Video], settings: PredictSettings) -> list[Outcome]:
        assert not videos, "work has started"
        return []

    sources = find_sources([folder]).videos[:2]
    settings = PredictSettings(str(tmp_path), ("csv",), model=str(model), aligned=True)
    for name in ("1.csv", "summary.csv", "problems.csv"):
        (tmp_path / name).write_text("by hand")
        with pytest.raises(InputError, match=rf"{name} was not written by m3dfel"):
            predict_videos(sources, settings, never)
        (tmp_path / name).unlink()
    predict_videos(sources, settings, predict_here)
    (tmp_path / "0.csv").write_text("corrected by hand")
    predict_videos(sources, settings, never)
    assert (tmp_path / "0.csv").read_text() == "corrected by hand"


def test_names_that_are_too_long_for_the_file_system_are_shortened(tmp_path: Path):
    settings = PredictSettings(str(tmp_path), annotate=True)
    long = "é" * 120
    videos, _ = plan_videos([f"a/{long}.mp4", f"b/{long}.mp4", f"b/{long}2.mp4"], settings)
    assert len({video.stem for video in videos}) == 3
    for video in videos:
        for path in video.files(settings).values():
            assert len(os.fsencode(f".4194304-{path.name}")) <= 255
