"""The command `m3dfel predict`."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from m3dfel.batch import folders
from m3dfel.cli import main
from m3dfel.emotions import EMOTIONS
from m3dfel.video.decode import read_video
from m3dfel.video.encode import write_video
from small_data import write_frames
from small_videos import noise_video, predict_here


def test_help_of_predict_lists_the_formats(capsys):
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    text = capsys.readouterr().out
    assert "eaf          annotations for ELAN" in text
    assert "--video" in text


def test_prediction_writes_the_table_that_others_script_against(
    model: Path, tmp_path: Path, capsys
):
    write_frames(tmp_path / "frames", 30, side=48)
    words = ["--model", str(model), "--output", str(tmp_path / "out"), "--aligned"]
    assert main(["predict", str(tmp_path / "frames"), *words]) == 0
    table = pd.read_csv(tmp_path / "out" / "frames.csv")
    expected = ["person", "start_s", "end_s", "duration_s", "emotion", "confidence"]
    assert list(table.columns) == expected
    assert table["duration_s"].sum() == pytest.approx(1.2)
    table = pd.read_csv(tmp_path / "out" / "frames_clips.csv")
    expected = ["track", "person", "start_s", "end_s", "emotion", "confidence"]
    assert list(table.columns) == [*expected, *(f"p_{e}" for e in EMOTIONS)]
    assert table.filter(like="p_").sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-3)
    assert "frames" in capsys.readouterr().out


def test_prediction_writes_the_formats_and_the_video_asked_for(model: Path, tmp_path: Path, capsys):
    write_video(tmp_path / "film.mp4", np.zeros((10, 32, 32, 3), np.uint8), 25)
    words = ["--model", str(model), "--aligned", "--output", str(tmp_path / "out")]
    words += ["--formats", "csv", "srt,eaf", "--video"]
    assert main(["predict", str(tmp_path / "film.mp4"), *words]) == 0
    names = sorted(path.name for path in (tmp_path / "out").glob("[!.]*"))
    assert names == ["film.csv", "film.eaf", "film.srt", "film_annotated.mp4"]
    assert f"written: {tmp_path / 'out' / 'film'}.*" in "".join(capsys.readouterr().out.split("\n"))
    assert len(list(read_video(tmp_path / "out" / "film_annotated.mp4"))) == 10


def test_a_folder_with_one_video_is_summarized_like_any_folder(
    model: Path, tmp_path: Path, monkeypatch, in_this_process
):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "films").mkdir()
    write_video(tmp_path / "films" / "film.mp4", np.zeros((10, 48, 48, 3), np.uint8), 25)
    words = ["--model", str(model), "--aligned", "--formats", "csv", "--output"]
    assert main(["predict", "~/films", *words, str(tmp_path / "folder")]) == 0
    assert (tmp_path / "folder" / "summary.csv").exists()
    assert main(["predict", "~/films/film.mp4", *words, str(tmp_path / "file")]) == 0
    assert (tmp_path / "file" / "film.csv").exists()
    assert not (tmp_path / "file" / "summary.csv").exists()


def test_photos_are_rows_of_one_table_and_with_a_rate_the_frames_of_one_video(
    model: Path, tmp_path: Path, said
):
    write_frames(tmp_path / "frames", 30, side=48)
    (tmp_path / "frames" / "broken.jpg").write_bytes(b"no picture")
    words = ["--model", str(model), "--output", str(tmp_path / "out"), "--formats", "csv"]
    assert main(["predict", str(tmp_path / "frames"), *words]) == 2
    assert "problems with 1 of 31 photos" in said()
    assert set(pd.read_csv(tmp_path / "out" / "photos.csv")["mark"]) == {"no face"}
    (tmp_path / "frames" / "broken.jpg").unlink()
    assert main(["predict", str(tmp_path / "frames"), *words, "--aligned", "--fps", "5"]) == 0
    assert pd.read_csv(tmp_path / "out" / "frames.csv")["end_s"].max() == pytest.approx(6)


@pytest.mark.parametrize(("option", "value"), [("person", "1"), ("baseline", "neutral")])
def test_what_is_said_about_persons_over_time_is_refused_for_photos(
    option: str, value: str, tmp_path: Path, said
):
    photo = str(tmp_path / "anna.png")
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(photo)
    assert main(["predict", photo, f"--{option}", value, "--output", str(tmp_path / "out")]) == 2
    assert f"--{option} is for videos, but {photo} is a photo" in said()
    assert not (tmp_path / "out").exists()


def test_a_bad_video_among_good_ones_is_told_and_passed_over(
    model: Path, tmp_path: Path, said, in_this_process
):
    (tmp_path / "bad.mp4").write_bytes(b"not a video")
    write_video(tmp_path / "good.mp4", np.zeros((20, 48, 48, 3), np.uint8), 25)
    words = ["--model", str(model), "--output", str(tmp_path / "out"), "--aligned"]
    paths = [str(tmp_path / "bad.mp4"), str(tmp_path / "good.mp4")]
    assert main(["predict", *paths, *words]) == 1
    assert "bad.mp4 is not a video" in said()
    assert (tmp_path / "out" / "good.csv").exists()
    assert main(["predict", paths[0], *words]) == 2


def test_a_file_in_place_of_the_output_folder_is_an_error_at_once(tmp_path: Path, said):
    (tmp_path / "notes.txt").touch()
    words = ["--output", str(tmp_path / "notes.txt" / "out")]
    assert main(["predict", str(tmp_path / "film.mp4"), *words]) == 2
    assert "notes.txt is a file: give a folder with --output" in said()


def test_a_video_without_a_face_is_told_and_leaves_an_empty_table(
    model: Path, shared: Path, tmp_path: Path, said
):
    video = shared / "data" / "videos" / "no_face.mp4"
    assert main(["predict", str(video), "--model", str(model), "--output", str(tmp_path)]) == 2
    assert "no face was found in" in said()
    assert len(pd.read_csv(tmp_path / "no_face.csv")) == 0


def test_one_person_of_a_region_at_rest(model: Path, tmp_path: Path, said):
    write_frames(tmp_path / "frames", 40, side=48)
    (tmp_path / "map.csv").write_text("video,track,person\nframes,1,7\n")
    words = ["predict", str(tmp_path / "frames"), "--model", str(model), "--aligned"]
    words += ["--output", str(tmp_path / "out"), "--persons", str(tmp_path / "map.csv")]
    words += ["--person", "7", "--region", "0,0,48,48", "--baseline", "0,1"]
    assert main(words) == 0
    settings = json.loads((tmp_path / "out" / "frames.json").read_text())["settings"]
    assert settings["persons"] == [[1, 7]]
    assert (settings["person"], settings["baseline"]) == (7, "0,1")
    assert list(settings["baseline_offsets"]) == ["7"]
    assert set(pd.read_csv(tmp_path / "out" / "frames.csv")["person"]) == {7}
    assert main([*words, "--person", "8"]) == 2
    assert "person 8 is not in" in said()


def test_a_closed_terminal_ends_a_command_in_one_sentence_and_leaves_no_scratch(tmp_path: Path):
    frames = np.stack([frame.image for frame in noise_video(100)])
    for number in range(2):
        write_video(tmp_path / "videos" / f"{number}.mp4", np.tile(frames, (6, 1, 1, 1)), 25)
    (tmp_path / "scratch").mkdir()
    words = [sys.executable, "-m", "m3dfel", "predict", "videos", "--output", "out"]
    process = subprocess.Popen(
        words,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path / "scratch"), "NO_COLOR": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # unlike `nohup`
    )
    while not list((tmp_path / "scratch").glob("m3dfel-*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGHUP)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGHUP
    assert "interrupted: run the command again to continue" in errors
    assert "Traceback" not in errors
    assert not list((tmp_path / "scratch").glob("m3dfel-*"))


def test_a_path_without_permission_is_named_in_one_sentence(monkeypatch, capsys):
    def is_file(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", is_file)
    assert main(["predict", "secret/video.mp4"]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert error.startswith("error: no permission to use")


def test_a_circle_of_links_is_named_in_one_sentence(tmp_path: Path, said):
    circle, data = tmp_path / "circle", tmp_path / "clips.csv"
    circle.symlink_to(circle)
    data.write_text("file,emotion\ncircle,fear\n")
    for words in (
        ["predict", str(circle)],
        ["predict", str(data), "--output", str(circle)],
        ["data", "check", str(circle)],
        ["data", "check", str(data)],
    ):
        assert main(words) == 2, words
        assert "error: " in said()


def test_names_that_are_not_utf_8_are_predicted_and_listed_as_escapes(
    model: Path, tmp_path: Path, in_this_process
):
    videos, out = tmp_path / "videos", tmp_path / "out"
    write_video(videos / "film.mp4", np.zeros((10, 48, 48, 3), np.uint8), 25)
    try:
        (videos / "film.mp4").rename(videos / os.fsdecode(b"old\xff.mp4"))
    except OSError:
        pytest.skip("this file system has only UTF-8 names")
    (videos / os.fsdecode(b"bad\xff.mp4")).write_bytes(b"no video")
    words = ["predict", str(videos), "--model", str(model), "--aligned", "--output", str(out)]
    for _ in range(2):  # also when the results are there already
        assert main([*words, "--formats", "csv"]) == 1
        assert rb"old\xff.mp4" in (out / "summary.csv").read_bytes()
        assert rb"bad\xff.mp4" in (out / "problems.csv").read_bytes()
    assert (out / os.fsdecode(b"old\xff.csv")).exists()


def test_a_second_run_into_the_same_folder_ends_and_the_first_finishes(
    model: Path, tmp_path: Path, monkeypatch, said
):
    for number in range(2):
        write_video(tmp_path / f"{number}.mp4", np.zeros((10, 48, 48, 3), np.uint8), 25)
    out, second = tmp_path / "out", []
    words = ["predict", str(tmp_path), "--model", str(model), "--aligned", "--formats", "csv"]
    words += ["--output", str(out)]

    def predict_while_another_starts(*arguments, **options):
        command = [sys.executable, "-m", "m3dfel", *words]
        second.append(subprocess.run(command, capture_output=True, text=True, check=False))
        return predict_here(*arguments, **options)

    monkeypatch.setattr(folders, "predict_in_processes", predict_while_another_starts)
    assert main(words) == 0
    assert second[0].returncode == 2
    assert "another process is predicting several videos in" in second[0].stderr
    assert "Traceback" not in second[0].stderr
    assert len(pd.read_csv(out / "summary.csv")) == 2
    assert {"0.csv", "1.csv"} <= {path.name for path in out.iterdir()}
