"""Whole runs: what they leave behind, and that stopping or spreading them changes nothing."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from m3dfel.config import LossConfig, OptimConfig, TrainConfig
from m3dfel.config.stages import stages
from m3dfel.errors import InputError
from m3dfel.evaluation.evaluate import evaluate
from m3dfel.models.checkpoints import load_model
from m3dfel.training import loop
from m3dfel.training import results as training_results
from m3dfel.training.loop import train
from m3dfel.training.prepare import prepare
from m3dfel.training.schedule import learning_rate
from m3dfel.training.transfer import build_model
from small_data import tiny, write_frames


def numbers(results: dict) -> list[tuple[float, ...]]:
    return [
        (row["loss"], row["lr"], row["val"]["loss"], row["val"]["war"])
        for row in results["history"]
    ]


def use_single_frames(config: TrainConfig) -> None:
    """Avoid 3D convolutions in bfloat16: on a CPU, torch 2.13 gives wrong gradients for some."""
    config.model.frames = config.model.bag_size = 2


def test_a_run_leaves_everything_needed_to_use_and_repeat_it(dfew: Path, tmp_path: Path):
    config = tiny(tmp_path / "run", dfew, ema=0.5, clip_norm=1.0, accumulate=2)
    config.test_every_epoch = True
    results = train(config)
    run = tmp_path / "run"
    assert json.loads((run / "results.json").read_text()) == results
    assert yaml.safe_load((run / "config.yaml").read_text())["optim"]["ema"] == 0.5
    assert list((run / "tensorboard").iterdir())
    assert results["selected_by"] == "val war"
    for name in ("last", "best_on_val", "best_on_test"):
        assert 0 <= results[name]["test"]["uar"] <= 1
    assert torch.__version__.startswith(results["environment"]["packages"]["torch"])
    for folder in (run, run / "last", run / "best"):
        model = load_model(str(folder))
        assert (model.frames, model.bag_size, model.size) == (8, 2, 16)


def test_ferv39k_can_be_trained_on(ferv39k: Path, tmp_path: Path):
    config = tiny(tmp_path / "run", ferv39k, epochs=1)
    config.test_every_epoch = True
    config.model.frames, config.model.bag_size = 16, 4
    results = train(config)
    assert results["last"]["test"]["support"]["fear"] == 1


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_evaluating_the_saved_model_repeats_the_results_of_the_run(
    precision: str, dfew: Path, tmp_path: Path
):
    config = tiny(tmp_path / "run", dfew, epochs=3)
    config.precision = precision
    if precision != "32-true":
        use_single_frames(config)
    results = train(config)
    model = load_model(config.output)
    batch_size = config.optim.batch_size
    again = evaluate(model, str(dfew), str(tmp_path / "test"), "test", 1, batch_size, workers=0)
    assert {name: again[name] for name in results["calibrated"]["test"]} == results["calibrated"][
        "test"
    ]
    clips = pd.read_csv(tmp_path / "run" / "clips.csv")
    instances = pd.read_csv(tmp_path / "run" / "instances.csv")
    tested = clips[clips["split"] == "test"].reset_index(drop=True)
    of_tested = instances[instances["path"].isin(tested["path"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(tested, pd.read_csv(tmp_path / "test" / "clips.csv"))
    pd.testing.assert_frame_equal(of_tested, pd.read_csv(tmp_path / "test" / "instances.csv"))


def test_epochs_are_compared_in_the_precision_of_the_run(dfew: Path, tmp_path: Path, monkeypatch):
    precisions = []
    measure = training_results.measure

    def record(model, batches):
        precisions.append(torch.is_autocast_enabled("cpu"))
        return measure(model, batches)

    monkeypatch.setattr(training_results, "measure", record)
    config = tiny(tmp_path / "run", dfew)
    config.precision = "bf16-mixed"
    use_single_frames(config)
    train(config)
    val, calibrated, calibrated_on_test, last_on_test = [True] * 2, [False], [False], [True]
    assert precisions == [*val, *calibrated, *calibrated_on_test, *last_on_test]


def test_a_run_without_validation_and_test_clips_ends_with_its_last_model(tmp_path: Path):
    for emotion in "fear", "anger":
        write_frames(tmp_path / "faces" / "train" / emotion / "clip", 8)
    config = tiny(tmp_path / "run", tmp_path / "faces", batch_size=2)
    config.data.val_fraction = 0.0
    assert set(train(config)["last"]) == {"epoch", "loss", "lr"}
    load_model(config.output)
    assert not (tmp_path / "run" / "clips.csv").exists()


def test_a_run_that_could_not_start_can_be_started_with_other_settings(dfew: Path, tmp_path: Path):
    config = tiny(tmp_path / "run", dfew, epochs=1)
    config.model.weights = str(tmp_path / "nowhere")
    config.stages = [{"optim.epochs": 1}]
    for resume in (False, True):
        with pytest.raises(InputError, match="nowhere"):
            train(config, resume)
    config.model.weights = "none"
    assert len(train(config)["history"]) == 1
    with pytest.raises(InputError, match="already holds a run"):
        train(config)


def test_without_validation_clips_the_last_model_is_reported(dfew: Path, tmp_path: Path):
    config = tiny(tmp_path / "run", dfew, epochs=1)
    config.data.val_fraction = 0.0
    results = train(config)
    assert "best_on_val" not in results
    assert "calibrated" not in results
    assert not (tmp_path / "run" / "best").exists()
    clips = pd.read_csv(tmp_path / "run" / "clips.csv")
    assert set(clips["split"]) == {"test"}
    assert clips["right"].mean() == pytest.approx(results["last"]["test"]["war"])


def test_a_resumed_run_has_the_numbers_of_an_uninterrupted_one(
    dfew: Path, tmp_path: Path, monkeypatch
):
    whole_config = tiny(tmp_path / "whole", dfew, epochs=3, ema=0.5)
    whole_config.model.aggregation = "transformer"  # which has dropout
    whole = train(whole_config)

    def stop_in_the_second_epoch(epoch: float, optim: OptimConfig) -> float:
        if epoch > 1.5:
            raise KeyboardInterrupt
        return learning_rate(epoch, optim)

    config = replace(whole_config, output=str(tmp_path / "stopped"))
    with monkeypatch.context() as patch:
        patch.setattr(loop, "learning_rate", stop_in_the_second_epoch)
        with pytest.raises(KeyboardInterrupt):
            train(config)
    assert (tmp_path / "stopped" / "last" / "training.safetensors").exists()
    resumed = train(config, resume=True)
    assert numbers(resumed) == numbers(whole)
    assert resumed["calibrated"] == whole["calibrated"]
    for model in ("best", "last"):
        weights = load_model(str(tmp_path / "stopped" / model)).state_dict()
        for name, value in load_model(str(tmp_path / "whole" / model)).state_dict().items():
            assert torch.equal(value, weights[name]), name


def test_a_model_is_calibrated_once_even_if_the_run_is_stopped_while_it_ends(
    dfew: Path, tmp_path: Path, monkeypatch
):
    whole = train(tiny(tmp_path / "whole", dfew))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    for step in "write_outputs", "use_calibrated_model":  # one after the other
        with monkeypatch.context() as patch:
            patch.setattr(training_results, step, stop)
            with pytest.raises(KeyboardInterrupt):
                train(tiny(tmp_path / "stopped", dfew), resume=True)
    resumed = train(tiny(tmp_path / "stopped", dfew), resume=True)
    assert resumed["calibrated"] == whole["calibrated"]
    weights = load_model(str(tmp_path / "stopped")).state_dict()
    for name, value in load_model(str(tmp_path / "whole")).state_dict().items():
        assert torch.equal(value, weights[name]), name
    assert not (tmp_path / "stopped" / "calibrated").exists()


def test_resuming_a_finished_run_returns_its_results(dfew: Path, tmp_path: Path):
    config = tiny(tmp_path / "run", dfew, epochs=1)
    first = train(config, resume=True)
    written = (tmp_path / "run" / "results.json").stat().st_mtime_ns
    assert train(config, resume=True) == first
    assert (tmp_path / "run" / "results.json").stat().st_mtime_ns == written


def test_two_processes_give_the_metrics_of_one(dfew: Path, tmp_path: Path):
    # Same seed, same global batches, shared batch statistics: only rounding may differ.
    alone = train(tiny(tmp_path / "alone", dfew, batch_size=4, lr=1e-3))
    config = tmp_path / "config.yaml"
    settings = yaml.safe_load((tmp_path / "alone" / "config.yaml").read_text())
    config.write_text(yaml.safe_dump(settings | {"output": str(tmp_path / "pair")}))
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    subprocess.run(
        [sys.executable, *launch, "-m", "m3dfel", "train", "--config", str(config)],
        check=True,
        timeout=200,
    )
    pair = json.loads((tmp_path / "pair" / "results.json").read_text())
    assert pair["environment"]["processes"] == 2
    for one, two in zip(alone["history"], pair["history"], strict=True):
        assert one["loss"] == pytest.approx(two["loss"], rel=1e-3)
        assert one["val"]["loss"] == pytest.approx(two["val"]["loss"], rel=1e-2)
        assert one["val"]["support"] == two["val"]["support"]


def test_a_run_starts_from_the_weights_of_its_stage(dfew: Path, tmp_path: Path):
    config = tiny(tmp_path / "run", dfew, epochs=1)
    config.stages = [{"model.frames": 4, "model.bag_size": 1, "optim.epochs": 2}]
    results = train(config)
    assert len(results["history"]) == 1
    stage = load_model(str(tmp_path / "run" / "stage-1"))
    assert (stage.frames, stage.bag_size) == (4, 1)
    assert load_model(str(tmp_path / "run")).bag_size == 2
    assert numbers(train(config, resume=True)) == numbers(results)


def test_each_stage_starts_from_the_weights_of_the_previous_one(dfew: Path, tmp_path: Path):
    config = tiny(tmp_path / "run", dfew, epochs=1)
    instances = {"model.bag_size": 1, "model.aggregation": "mean"}
    config.stages = [
        {"model.frames": 1, **instances, "optim.epochs": 2},
        {"model.frames": 4, **instances},
    ]
    results = train(config)
    assert numbers(train(config, resume=True)) == numbers(results)
    frame_model = load_model(str(tmp_path / "run" / "stage-1"))
    assert (frame_model.frames, frame_model.bag_size) == (1, 1)
    # The kernels for neighboring frames start at zero, so a face that does not move looks the
    # same to the initial model of instances as to the trained model of single frames.
    instance_model = build_model(stages(prepare(config))[1]).eval()
    still = torch.rand(2, 1, 3, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(
            instance_model(still.expand(-1, 4, -1, -1, -1)), frame_model(still)
        )
    config.stages[0]["model.bag_size"] = 2
    with pytest.raises(InputError, match=r"stage 1: .*a divisor of model\.frames"):
        train(config)


def test_several_data_sets_are_learned_together_and_measured_apart(dfew: Path, tmp_path: Path):
    rows = []
    for number in range(8):
        emotion, split = ("happiness", "fear")[number % 2], ("train", "val")[number // 4]
        write_frames(tmp_path / "faces" / str(number), 8, shade=9 * number)
        rows.append(f"{number},{emotion},{split},{6 - number % 2},{4 + number % 2}")
    table = tmp_path / "faces" / "faces.csv"
    table.write_text("file,emotion,split,votes_happiness,votes_fear\n" + "\n".join(rows) + "\n")
    config = tiny(tmp_path / "run", "")
    config.data.path, config.data.mixing_weights = [str(dfew), str(table)], [1.0, 2.0]
    config.loss = LossConfig(votes=True)
    results = train(config)
    assert results["dataset"] == "DFEW + faces.csv"
    assert results["clips"] == {"val": 7 + 4, "test": 7}
    for row in (*results["history"], results["best_on_val"], results["calibrated"]):
        parts = row["val"]["datasets"]
        assert list(parts) == ["DFEW", "faces.csv"]
        clips = [sum(part["support"].values()) for part in (row["val"], *parts.values())]
        assert clips == [11, 7, 4]
        in_dfew, in_faces = (part["war"] for part in parts.values())
        assert 11 * row["val"]["war"] == pytest.approx(7 * in_dfew + 4 * in_faces)
        assert row["val"]["votes"]["clips"] == parts["faces.csv"]["votes"]["clips"] == 4
        assert "votes" not in parts["DFEW"]
    best = max(row["val"]["war"] for row in results["history"])
    assert results["best_on_val"]["val"]["war"] == best
    assert train(config, resume=True) == results


@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
def test_a_loss_that_is_not_a_number_stops_the_run(clip_norm: float, dfew: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"not a number: lower optim\.lr"):
        train(tiny(tmp_path / "run", dfew, lr=1e30, warmup_epochs=0, clip_norm=clip_norm))


def test_data_that_cannot_be_read_leave_no_folder(dfew: Path, tmp_path: Path):
    config = tiny(tmp_path / "run", dfew / "Clip" / "clip_224x224")
    with pytest.raises(InputError, match="none of the known layouts"):
        train(config)
    assert not (tmp_path / "run").exists()


def test_movements_are_learned_beside_the_emotion(dfew: Path, tmp_path: Path):
    stills = tmp_path / "stills"
    rows = []
    for number in range(12):
        name = f"{number}.jpg"
        write_frames(stills / str(number), 1, shade=20 * number)
        (stills / str(number) / "1.jpg").rename(stills / name)
        rows.append({"file": name, "emotion": ["fear", "anger"][number % 2]})
    table = stills / "clips.csv"
    pd.DataFrame(rows).to_csv(table, index=False)
    moving = [{"file": row["file"], "jawOpen": index / 12} for index, row in enumerate(rows)]
    pd.DataFrame(moving).to_parquet(stills / "clips_movements.parquet")
    config = tiny(tmp_path / "run", table, epochs=1)
    config.loss.movements = 0.5
    config.augment.mixup = 0.4
    assert train(config)["history"][0]["loss"] > 0
    assert load_model(str(tmp_path / "run")).movements == ("jawOpen",)
    # Data in which more moves teach a trained model only what it knows.
    more = pd.DataFrame(moving).assign(eyeWide=lambda table: table["jawOpen"])
    more.to_parquet(stills / "clips_movements.parquet")
    config.output, config.model.weights = str(tmp_path / "next"), str(tmp_path / "run")
    train(config)
    assert load_model(config.output).movements == ("jawOpen",)
    config.output, config.data.path = str(tmp_path / "other"), str(dfew)
    with pytest.raises(InputError, match="there are no movements of"):
        train(config)


def test_parts_that_do_not_learn_stay_and_some_of_the_start_is_kept(dfew: Path, tmp_path: Path):
    config = tiny(tmp_path / "first", dfew, epochs=1)
    train(config)
    first = load_model(str(tmp_path / "first"))
    config = tiny(tmp_path / "second", dfew, epochs=1, parts=["classifier"], keep=0.5)
    config.model.weights = str(tmp_path / "first")
    train(config)
    second = load_model(str(tmp_path / "second" / "last"))
    before, after = first.backbone.state_dict(), second.backbone.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not torch.equal(second.classifier.weight, first.classifier.weight)
