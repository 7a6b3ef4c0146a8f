"""Persons are compared with what is usual for them over all their videos."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from m3dfel.batch.folders import predict_videos
from m3dfel.batch.settings import PredictSettings
from m3dfel.predictions.baseline import Baseline, compared_with
from m3dfel.predictions.persons import PersonMap
from m3dfel.predictions.prediction import Prediction
from m3dfel.video.encode import write_video
from small_videos import noise_video, predict_here, small_model

NAMES = ("a", "b", "c")


@pytest.fixture
def study(tmp_path: Path) -> PredictSettings:
    """Three videos; the first two show person 7, the last one person 8."""
    small_model().save_pretrained(tmp_path / "model")
    frames = np.stack([frame.image for frame in noise_video(90)])
    for number, name in enumerate(NAMES):
        write_video(tmp_path / f"{name}.mp4", frames[20 * number :][: 30 + 10 * number], 25)
    persons = tmp_path / "persons.csv"
    persons.write_text("video,track,person\na.mp4,1,7\nb.mp4,1,7\nc.mp4,1,8\n")
    return PredictSettings(
        str(tmp_path / "results"),
        ("csv", "json"),
        model=str(tmp_path / "model"),
        aligned=True,
        persons=PersonMap.read(persons),
        baseline=Baseline(own=True),
    )


def predict(settings: PredictSettings) -> dict[str, Prediction]:
    folder = Path(settings.output)
    videos = [str(folder.parent / f"{name}.mp4") for name in NAMES]
    outcomes, _ = predict_videos(videos, settings, predict_here)
    assert all(outcome.finished for outcome in outcomes)
    return {name: Prediction.load(folder / f"{name}.json") for name in NAMES}


def offsets(prediction: Prediction, person: int) -> list[float]:
    return [*prediction.settings["baseline_offsets"][str(person)].values()]


def logits(prediction: Prediction) -> np.ndarray:
    evidence = [f"evidence_{label}" for label in prediction.labels]
    return prediction.instances.groupby("clip")[evidence].sum().to_numpy()


def test_all_videos_of_a_person_are_compared_with_the_same_mean(study, tmp_path: Path):
    together = predict(study)
    assert offsets(together["a"], 7) == offsets(together["b"], 7)
    alone = PredictSettings(**{**vars(study), "persons": None, "output": str(tmp_path / "alone")})
    apart = predict(alone)
    assert offsets(together["c"], 8) == offsets(apart["c"], 1), "who is in one video only"

    # n / (n + k) m, with n and m over both videos
    seconds = [prediction.clips["end_s"].max() for prediction in (apart["a"], apart["b"])]
    means = [
        np.array(offsets(apart[name], 1)) * (s + 5) / s
        for name, s in zip("ab", seconds, strict=True)
    ]
    n = sum(seconds)
    expected = n / (n + 5) * np.average(means, 0, seconds)
    assert offsets(together["a"], 7) == pytest.approx(expected, abs=1e-4)
    floored = compared_with(apart["a"], 1).restore(logits(apart["a"]))
    compared = (1 + n / (n + 5) / 2) * (floored - expected)
    assert logits(together["a"]) == pytest.approx(compared, abs=1e-3)

    table = pd.read_csv(Path(study.output, "a.csv"))
    spans = together["a"].spans
    assert table["confidence"].tolist() == pytest.approx(spans["confidence"].tolist(), abs=1e-4)


def test_the_same_command_again_changes_nothing(study):
    predict(study)
    files = [Path(study.output, f"{name}.json") for name in NAMES]
    written = [file.read_bytes() for file in files]
    predict(study)
    assert [file.read_bytes() for file in files] == written
