import json
from pathlib import Path

import pandas as pd
import pytest

from m3dfel.data.manifest import Clip
from m3dfel.errors import InputError
from m3dfel.evaluation.evaluate import choose_split, evaluate
from m3dfel.training.transfer import build_model
from small_data import small_model, tiny, write_frames


def clips(*splits: str) -> list[Clip]:
    return [Clip(f"{split}.mp4", "video", "fear", split) for split in splits]


def test_test_is_measured_first_then_val_then_everything():
    assert choose_split(clips("train", "val", "test"), None)[0] == "test"
    assert choose_split(clips("train", "val"), None)[0] == "val"
    name, chosen = choose_split(clips("train", "extra"), None)
    assert (name, len(chosen)) == ("all", 2)


def test_a_split_can_be_chosen():
    name, chosen = choose_split(clips("train", "val", "test"), "train")
    assert (name, [clip.path for clip in chosen]) == ("train", ["train.mp4"])
    assert len(choose_split(clips("train", "val", "test"), "all")[1]) == 3
    with pytest.raises(InputError, match="the split 'val': choose one of train, test, all"):
        choose_split(clips("train", "test"), "val")


def test_clips_that_are_left_out_are_counted_by_reason(tmp_path: Path):
    for number in (1, 2):
        write_frames(tmp_path / "faces" / "fear" / str(number), 3)
    write_frames(tmp_path / "faces" / "contempt" / "1", 3)
    (tmp_path / "faces" / "fear" / "2" / "2.jpg").write_bytes(b"broken")
    config = tiny(tmp_path / "run", "faces")
    config.data.labels = ["happiness", "fear"]
    output = tmp_path / "results"
    results = evaluate(build_model(config), str(tmp_path / "faces"), str(output), workers=0)
    assert results["clips"] == 1
    assert results["left_out"]["outside_label_set"] + results["left_out"]["problems"] == 1
    assert results["left_out"]["unreadable"] == 1
    assert json.loads((output / "results.json").read_text()) == results
    assert {path.name for path in output.iterdir()} == {
        "clips.csv",
        "instances.csv",
        "results.json",
        "risk_coverage.csv",
    }


def test_answers_are_counted_from_the_model_s_confidence_on_and_compared_with_votes(
    tmp_path: Path,
):
    for name in ("a", "b", "c"):
        write_frames(tmp_path / "faces" / name, 8)
    rows = "a,fear,6,4\nb,fear,3,7\nc,fear,,\n"
    (tmp_path / "faces" / "faces.csv").write_text(
        f"file,emotion,votes_fear,votes_happiness\n{rows}"
    )
    model = small_model(labels=["happiness", "fear"], min_confidence=0.0)
    words = str(tmp_path / "faces" / "faces.csv"), str(tmp_path / "out")
    results = evaluate(model, *words, workers=0)
    assert (results["answered"], results["answered_right"]) == (1.0, results["war"])
    assert results["votes"]["clips"] == 2
    assert 0 <= results["votes"]["jensen_shannon"] <= 1
    curve = pd.read_csv(tmp_path / "out" / "risk_coverage.csv")
    assert list(curve.columns) == ["coverage", "confidence", "accuracy"]
    assert curve["accuracy"].iloc[-1] == pytest.approx(results["war"], abs=1e-6)
    model.min_confidence = 1.0
    results = evaluate(model, *words, workers=0)
    assert (results["min_confidence"], results["answered"]) == (1.0, 0.0)
    assert results["answered_right"] is None


def test_data_of_other_emotions_only_are_rejected(tmp_path: Path):
    write_frames(tmp_path / "faces" / "fear" / "1", 3)
    config = tiny(tmp_path / "run", "faces")
    config.data.labels = ["happiness", "anger"]
    with pytest.raises(InputError, match=r"no clips of the model's emotions \(happiness, anger\)"):
        evaluate(build_model(config), str(tmp_path / "faces"), str(tmp_path / "out"), workers=0)
