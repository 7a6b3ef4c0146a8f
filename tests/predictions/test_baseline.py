import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.predictions.baseline import Baseline, subtract_baseline
from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.recognizer import Recognizer
from small_videos import ScriptedDetector, noise_video, small_model

P, RAW, EVIDENCE = ([f"{kind}_{e}" for e in EMOTIONS] for kind in ("p", "raw", "evidence"))


@pytest.fixture
def sad() -> Prediction:
    """A face that looks sad to the model, and once happy, from 3 to 4 s."""
    model = small_model()
    model.classifier.bias.data[EMOTIONS.index("sadness")] = 30
    model.classifier.bias.data[EMOTIONS.index("happiness")] = 10
    prediction = Recognizer(model)(noise_video(100), aligned=True)
    smiles = prediction.instances["start_s"].between(3, 4)
    prediction.instances.loc[smiles, "evidence_happiness"] += 12
    return prediction


def test_at_rest_the_face_is_neutral_and_other_emotions_remain(sad: Prediction):
    assert (sad.clips["emotion"][sad.clips["end_s"] < 2.5] == "sadness").all()
    corrected = subtract_baseline(sad, Baseline(0, 2), 0.5, 0.2)
    early = corrected.clips[corrected.clips["end_s"] < 2]
    logits = corrected.instances.groupby("clip")[EVIDENCE].sum().to_numpy()[early.index].mean(0)
    at_rest = np.exp(logits) / np.exp(logits).sum()
    assert at_rest[EMOTIONS.index("neutral")] >= 0.6
    smile = corrected.clips["start_s"].between(3.1, 3.3)
    assert (corrected.clips["emotion"][smile] == "happiness").all()


def test_the_offsets_follow_the_formula_and_are_stated(sad: Prediction):
    corrected = subtract_baseline(sad, Baseline(0, 2), 0.5, 0.2)
    chosen = (sad.clips["start_s"] + sad.clips["end_s"]) / 2 <= 2
    mean = sad.instances.groupby("clip")[EVIDENCE].sum().to_numpy()[chosen].mean(0)
    beyond = mean - mean[EMOTIONS.index("neutral")] - np.log(0.4 / (0.6 * 6))
    expected = dict(zip(EMOTIONS, np.maximum(0, beyond), strict=True)) | {"neutral": 0}
    assert corrected.settings["baseline_offsets"] == {"1": pytest.approx(expected, abs=1e-3)}
    assert corrected.settings["baseline"] == "0,2"


def test_evidence_still_sums_to_the_logits_and_probabilities_to_one(sad: Prediction):
    clips = subtract_baseline(sad, Baseline(0, 2), 0.5, 0.2).clips
    evidence = (
        subtract_baseline(sad, Baseline(0, 2), 0.5, 0.2).instances.groupby("clip")[EVIDENCE].sum()
    )
    raw = np.exp(evidence.to_numpy() - evidence.to_numpy().max(1, keepdims=True))
    assert clips[RAW].to_numpy() == pytest.approx(raw / raw.sum(1, keepdims=True), abs=1e-4)
    assert clips[P].sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-4)
    assert clips["confidence"].to_numpy() == pytest.approx(clips[P].max(axis=1).to_numpy())
    assert (clips["mark"] == np.where(clips["confidence"] < 0.5, "uncertain", "")).all()


def test_a_face_that_is_neutral_already_keeps_its_answers():
    model = small_model()
    model.classifier.bias.data[EMOTIONS.index("neutral")] = 40
    prediction = Recognizer(model)(noise_video(60), aligned=True)
    corrected = subtract_baseline(prediction, Baseline(0, 1), 0.5, 0.2)
    assert corrected.clips[P].to_numpy() == pytest.approx(prediction.clips[P].to_numpy(), abs=1e-3)
    first = subtract_baseline(prediction, Baseline(), 0.5, 0.2)
    assert first.settings["baseline"] == "neutral"
    assert "1" in first.settings["baseline_offsets"]


def test_a_person_outside_of_the_baseline_keeps_all_answers_and_the_note_says_so(
    prediction: Prediction, tmp_path: Path
):
    corrected = subtract_baseline(prediction, Baseline(0, 1), 0.5, 0.2)
    late = prediction.clips["person"] == 3
    assert corrected.clips[late].equals(prediction.clips[late])
    assert corrected.note == "person 3 is not seen in the baseline: the answers are unchanged"
    corrected.save(tmp_path, ["json"])
    settings = json.loads((tmp_path / "frames.json").read_text())["settings"]
    assert list(settings["baseline_offsets"]) == ["1", "2"]
    assert Prediction.load(tmp_path / "frames.json").settings == settings


def test_the_first_neutral_seconds_are_those_of_one_track(prediction: Prediction):
    clips = prediction.clips[prediction.clips["person"] == 1].copy()
    clips["emotion"] = "anger"
    assert not Baseline().clips(clips).any()
    clips.loc[clips["start_s"].between(0.5, 1.4), "emotion"] = "neutral"
    chosen = clips[Baseline().clips(clips)]
    assert chosen["start_s"].min() >= 0.5
    assert (chosen["emotion"] == "neutral").all()


def test_the_own_baseline_follows_the_formula_and_what_it_subtracts_is_stated(
    prediction: Prediction,
):
    corrected = subtract_baseline(prediction, Baseline(own=True), 0.5, 0.2)
    assert corrected.settings["baseline"] == "own"
    before = np.log(softmax(evidence(prediction), axis=1) + 0.003)
    after = log_softmax(evidence(corrected), axis=1)
    for person, clips in prediction.clips.groupby("person"):
        spans = clips.groupby("track").agg({"start_s": "min", "end_s": "max"})
        seen_s = (spans["end_s"] - spans["start_s"]).sum()
        weight = seen_s / (seen_s + 5)
        offset = weight * before[clips.index].mean(0)
        expected = log_softmax((1 + weight / 2) * (before[clips.index] - offset), axis=1)
        assert after[clips.index] == pytest.approx(expected, abs=1e-3)
        stated = corrected.settings["baseline_offsets"][str(person)]
        assert [*stated.values()] == pytest.approx(offset, abs=1e-3)
        assert corrected.settings["baseline_seconds"][str(person)] == pytest.approx(seen_s)
    assert not corrected.note


def evidence(prediction: Prediction) -> np.ndarray:
    """The logits of each clip."""
    return prediction.instances.groupby("clip")[EVIDENCE].sum().to_numpy()


def test_the_own_baseline_takes_out_what_a_face_always_shows(sad: Prediction):
    corrected = subtract_baseline(sad, Baseline(own=True), 0.0, 0.2)
    sadness = corrected.clips["p_sadness"].mean()
    assert sadness < sad.clips["p_sadness"].mean()
    smile = corrected.clips["start_s"].between(3.1, 3.3)
    assert (corrected.clips["emotion"][smile] == "happiness").all()


def test_unreadable_clips_stay_unreadable():
    blank = noise_video(60, side=64)
    for frame in blank[:30]:
        frame.image[:] = 90
    detector = ScriptedDetector((0, set(range(60))))
    prediction = Recognizer(small_model(), detector=detector)(blank)
    corrected = subtract_baseline(prediction, Baseline(0, 3), 0.5, 0.2)
    hidden = prediction.clips["emotion"].isna()
    assert hidden.any()
    assert corrected.clips.loc[hidden, [*P, "emotion"]].isna().all(axis=None)
    assert (corrected.clips["mark"][hidden] == "blurred").all()


@pytest.mark.parametrize("words", ["", "1", "2,1", "a,b", "-1,2", "0,nan", "calm"])
def test_a_baseline_that_is_no_interval_is_an_input_error(words: str):
    with pytest.raises(InputError, match="must be START,END in seconds"):
        Baseline.parse(words)


def test_a_baseline_is_parsed_and_needs_a_model_that_knows_neutral():
    assert Baseline.parse("0,2.5") == Baseline(0, 2.5)
    assert Baseline.parse("neutral") == Baseline()
    assert Baseline.parse("own") == Baseline(own=True)
    model = M3DFEL(("joy", "anger"), size=32, backbone_options={"width": 4, "depth": 10})
    prediction = Recognizer(model)(noise_video(20), aligned=True)
    with pytest.raises(InputError, match="its labels are joy, anger"):
        subtract_baseline(prediction, Baseline(0, 1), 0.5, 0.2)
    assert subtract_baseline(prediction, Baseline(own=True), 0.5, 0.2).settings["baseline"] == "own"
