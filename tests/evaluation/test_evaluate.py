import json
from pathlib import Path

import pytest

from m3dfel.data.manifest import Clip
from m3dfel.errors import InputError
from m3dfel.evaluation.evaluate import choose_split, evaluate
from m3dfel.training.transfer import build_model
from small_data import tiny, write_frames


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
    with pytest.raises(InputError, match="no clips in the split 'val': choose one of train, test"):
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
    }


def test_data_of_other_emotions_only_are_rejected(tmp_path: Path):
    write_frames(tmp_path / "faces" / "fear" / "1", 3)
    config = tiny(tmp_path / "run", "faces")
    config.data.labels = ["happiness", "anger"]
    with pytest.raises(InputError, match=r"no clips of the model's emotions \(happiness, anger\)"):
        evaluate(build_model(config), str(tmp_path / "faces"), str(tmp_path / "out"), workers=0)
