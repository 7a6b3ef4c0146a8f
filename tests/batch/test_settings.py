from dataclasses import replace
from pathlib import Path

import pytest

from m3dfel.batch.settings import PredictSettings, Video
from m3dfel.errors import InputError


def test_the_files_of_a_video_end_with_the_json_that_says_it_is_finished(tmp_path: Path):
    settings = PredictSettings(str(tmp_path), ("json", "csv"), annotate=True)
    files = Video("film.mp4", "film").files(settings)
    assert [path.name for path in files.values()] == ["film.csv", "film_annotated.mp4", "film.json"]


def test_a_video_is_known_from_any_folder(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Video("film.mp4", "").id == Video(str(tmp_path / "film.mp4"), "").id
    pictures = [str(tmp_path / name) for name in ("1.png", "2.png")]
    assert Video(["1.png", "2.png"], "").id == Video(pictures, "").id != Video(pictures[:1], "").id
    assert Video("https://a.org/film.mp4", "").id == "https://a.org/film.mp4"


def test_an_output_that_cannot_be_a_folder_is_an_error_at_once(tmp_path: Path):
    (tmp_path / "notes.txt").touch()
    settings = PredictSettings(str(tmp_path))
    with pytest.raises(InputError, match="on this machine"):
        replace(settings, output="s3://bucket/out")
    with pytest.raises(InputError, match="is a file"):
        replace(settings, output=str(tmp_path / "notes.txt" / "out"))
    with pytest.raises(InputError, match="unknown format 'pdf'"):
        replace(settings, formats=("pdf",))
