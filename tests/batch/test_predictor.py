from dataclasses import replace
from pathlib import Path

import pytest

from m3dfel.batch.predictor import VideoPredictor, predict_safely
from m3dfel.batch.settings import PredictSettings, Video
from m3dfel.errors import InputError
from m3dfel.predictions.persons import PersonMap
from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.settings import RecognizerSettings
from m3dfel.video.encode import write_video
from small_videos import noise_video, small_model


@pytest.fixture
def video(tmp_path: Path) -> Video:
    write_video(tmp_path / "film.mp4", [frame.image for frame in noise_video(20)], 25)
    return Video(str(tmp_path / "film.mp4"), "film")


@pytest.fixture
def settings(tmp_path: Path) -> PredictSettings:
    model = tmp_path / "model"
    small_model().save_pretrained(model)
    return PredictSettings(str(tmp_path / "out"), ("csv", "json"), model=str(model), aligned=True)


def test_the_file_says_how_a_prediction_was_made(video: Video, settings: PredictSettings):
    VideoPredictor(replace(settings, recognizer=RecognizerSettings(clip_s=1.0)))(video)
    saved = Prediction.load(video.files(settings)["json"])
    assert saved.source == video.name
    assert (saved.settings["clip_s"], saved.settings["aligned"]) == (1.0, True)


def test_only_what_is_missing_is_written(video: Video, settings: PredictSettings):
    predictor = VideoPredictor(settings)
    files = video.files(settings)
    assert predictor.left_to_write(video) == files
    predictor(video)
    assert predictor.left_to_write(video) == {}
    files["csv"].unlink()
    assert predictor.left_to_write(video) == {"csv": files["csv"]}
    longer = replace(settings, recognizer=RecognizerSettings(clip_s=1.0))
    assert VideoPredictor(longer).left_to_write(video) == files
    assert predictor.left_to_write(video, again=True) == files


def test_persons_by_hand_are_those_of_the_video(video: Video, settings: PredictSettings):
    table = Path(settings.output).with_name("persons.csv")
    table.write_text("video,track,person\nfilm.mp4,1,7\n")
    predictor = VideoPredictor(replace(settings, persons=PersonMap.read(table)))
    assert set(predictor(video).clips["person"]) == {7}


def test_a_cut_file_is_named_by_its_own_path(video: Video, settings: PredictSettings):
    path = Path(video.name).with_suffix(".mkv")
    write_video(path, [frame.image for frame in noise_video(60)], 25)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    note = VideoPredictor(settings)(Video(str(path), "cut")).note
    assert str(path) in note
    assert "cut off or damaged" in note


def test_whatever_goes_wrong_is_an_outcome(video: Video, settings: PredictSettings, monkeypatch):
    predictor = VideoPredictor(settings)
    missing = predict_safely(predictor, Video("nowhere.mp4", "nowhere"))
    assert "nowhere.mp4" in missing.problem
    monkeypatch.setattr(predictor.recognizer, "predict", None)
    assert predict_safely(predictor, video).problem.startswith("TypeError")
    assert not Path(settings.output, "film.json").exists()


def test_a_model_that_does_not_exist_is_an_error_before_any_video(settings: PredictSettings):
    with pytest.raises(InputError, match="no model at"):
        VideoPredictor(replace(settings, model="./nowhere"))
