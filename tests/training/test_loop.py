import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from m3dfel.checkpoints import load_model
from m3dfel.config import OptimConfig, Stage, previous_stage
from m3dfel.data.dataset import EpochBatches
from m3dfel.data.manifest import checksum
from m3dfel.errors import InputError
from m3dfel.training.loop import train
from m3dfel.training.schedule import learning_rate
from m3dfel.training.transfer import build_model
from small_data import tiny, write_frames


def numbers(results: dict) -> list[tuple[float, ...]]:
    return [
        (row["loss"], row["lr"], row["val"]["loss"], row["val"]["war"])
        for row in results["history"]
    ]


def test_a_run_leaves_all_that_is_needed_to_use_and_to_repeat_it(dfew: Path, tmp_path: Path):
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
    assert results["environment"]["packages"]["torch"] == torch.__version__
    for folder in (run, run / "last", run / "best"):
        model = load_model(str(folder))
        assert (model.frames, model.bag_size, model.size) == (8, 2, 16)


@pytest.mark.parametrize("layout", ["dfew", "ferv39k"])
def test_the_recipes_run_on_their_layouts(layout: str, request, tmp_path: Path):
    config = tiny(tmp_path / "run", request.getfixturevalue(layout), epochs=1)
    config.test_every_epoch = True
    config.model.frames, config.model.bag_size = 16, 4
    results = train(config)
    assert results["last"]["test"]["support"]["fear"] == 1


def test_a_resumed_run_has_the_numbers_of_one_that_never_stopped(dfew: Path, tmp_path: Path):
    whole = train(tiny(tmp_path / "whole", dfew, epochs=3, ema=0.5))

    config = tiny(tmp_path / "stopped", dfew, epochs=3, ema=0.5)
    script = (
        "import sys, pickle; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "from small_data import tiny; from m3dfel.training.loop import train;"
        "train(tiny(Path(sys.argv[2]), sys.argv[3], epochs=3, ema=0.5))"
    )
    words = [sys.executable, "-c", script, str(Path(__file__).parents[1]), config.output, str(dfew)]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    state = Path(config.output) / "last" / "training.safetensors"
    while not state.exists() and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    resumed = train(config, resume=True)
    assert numbers(resumed) == numbers(whole)
    weights = load_model(config.output).state_dict()
    for name, value in load_model(str(tmp_path / "whole")).state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_resuming_a_finished_run_only_tells_its_results_again(dfew: Path, tmp_path: Path):
    config = tiny(tmp_path / "run", dfew)
    assert numbers(train(config, resume=True)) == numbers(train(config, resume=True))


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
    for mine, theirs in zip(alone["history"], pair["history"], strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-3)
        assert mine["val"]["loss"] == pytest.approx(theirs["val"]["loss"], rel=1e-2)
        assert mine["val"]["support"] == theirs["val"]["support"]


def test_a_run_is_never_overwritten(dfew: Path, tmp_path: Path):
    train(tiny(tmp_path / "run", dfew, epochs=1))
    with pytest.raises(InputError, match="already holds a run"):
        train(tiny(tmp_path / "run", dfew, epochs=1))
    with pytest.raises(InputError, match=r"optim\.lr was 0\.01, is now 0\.02"):
        train(tiny(tmp_path / "run", dfew, epochs=1, lr=0.02), resume=True)


def test_left_out_clips_are_listed_in_the_run(dfew: Path, tmp_path: Path):
    broken = next((dfew / "Clip" / "clip_224x224").iterdir())
    for frame in broken.iterdir():
        frame.unlink()
    train(tiny(tmp_path / "run", dfew, epochs=1))
    assert "a folder without frames" in (tmp_path / "run" / "problems.csv").read_text()


def test_training_goes_on_from_another_model(dfew: Path, tmp_path: Path):
    train(tiny(tmp_path / "first", dfew, epochs=1))
    config = tiny(tmp_path / "second", dfew, epochs=1)
    config.model.weights = str(tmp_path / "first")
    train(config)
    config = tiny(tmp_path / "third", dfew, epochs=1)
    config.model.weights, config.model.width = str(tmp_path / "first"), 8
    with pytest.raises(InputError, match="do not fit this run's backbone"):
        train(config)


def test_single_instances_come_first_where_asked_for(dfew: Path, tmp_path: Path):
    config = tiny(tmp_path / "run", dfew, epochs=1)
    config.stages = [Stage(frames=4, bag_size=1, epochs=2, lr=1e-2)]
    results = train(config)
    assert len(results["history"]) == 1
    first = load_model(str(tmp_path / "run" / "stage-1"))
    assert (first.frames, first.bag_size) == (4, 1)
    assert load_model(str(tmp_path / "run")).bag_size == 2
    assert numbers(train(config, resume=True)) == numbers(results)


def test_stages_follow_one_another_each_from_the_weights_of_the_last(dfew: Path, tmp_path: Path):
    config = tiny(tmp_path / "run", dfew, epochs=1)
    config.stages = [
        Stage(frames=1, bag_size=1, epochs=2, lr=1e-2, aggregation="mean"),
        Stage(frames=4, bag_size=1, epochs=1, lr=1e-2, aggregation="mean"),
    ]
    results = train(config)
    assert numbers(train(config, resume=True)) == numbers(results)
    frames = load_model(str(tmp_path / "run" / "stage-2" / "stage-1"))
    assert (frames.frames, frames.bag_size) == (1, 1)
    # What the frames taught is where the instances begin: a face that stands still looks the same.
    begins = build_model(previous_stage(config)).eval()
    still = torch.rand(2, 1, 3, 16, 16)
    with torch.inference_mode():
        expected = frames(still)
        got = begins(still.expand(-1, 4, -1, -1, -1))
    torch.testing.assert_close(got, expected)
    config.stages[0].bag_size = 2
    with pytest.raises(InputError, match=r"stage 2: .*stage 1: .*a divisor of model\.frames"):
        train(config)


def test_the_best_model_is_calibrated_on_the_validation_clips(dfew: Path, tmp_path: Path):
    results = train(tiny(tmp_path / "run", dfew, epochs=1))
    told = results["calibrated"]
    assert 0.1 <= told["temperature"] <= 10
    assert told["val"]["loss"] <= results["best_on_val"]["val"]["loss"] + 1e-6
    best, last = (load_model(str(tmp_path / "run" / name)) for name in ("best", "last"))
    for name in ("weight", "bias"):
        calibrated, raw = getattr(best.classifier, name), getattr(last.classifier, name)
        torch.testing.assert_close(calibrated * told["temperature"], raw)


def test_answers_can_take_back_some_of_the_balance(tmp_path: Path):
    """Three of four training clips are happy; drawn evenly, and then answered as they came."""
    for place in range(8):
        write_frames(tmp_path / "faces" / str(place), 1, shade=place)
    emotions = ["happiness"] * 3 + ["fear"] + ["happiness", "fear"] * 2
    splits = ["train"] * 4 + ["val"] * 4
    rows = zip(range(8), emotions, splits, strict=True)
    table = tmp_path / "faces.csv"
    table.write_text("file,emotion,split\n" + "".join(f"{i}/1.jpg,{e},{s}\n" for i, e, s in rows))
    config = tiny(tmp_path / "run", table, epochs=1, batch_size=2)
    config.data.labels = ["happiness", "fear"]
    config.data.balance, config.data.restore = 1.0, 0.5
    temperature = train(config)["calibrated"]["temperature"]
    best, last = (load_model(str(tmp_path / "run" / name)) for name in ("best", "last"))
    gain = best.classifier.bias * temperature - last.classifier.bias
    assert (gain[0] - gain[1]).item() == pytest.approx(0.5 * math.log(3), abs=1e-4)


def test_an_epoch_can_be_shorter_than_the_data(dfew: Path, tmp_path: Path):
    config = tiny(tmp_path / "run", dfew, epochs=1, epoch_clips=4, batch_size=2)
    config.augment.mixup = 0.2
    assert len(train(config)["history"]) == 1
    batches = EpochBatches([0] * 12, 2, seed=0, epoch_clips=4)
    first = [i for batch in batches for _, i in batch]
    batches.epoch = 1
    second = [i for batch in batches for _, i in batch]
    assert len(first) == len(set(first)) == len(batches) * 2 == 4
    assert set(first) != set(second), "another epoch draws other clips"


def test_a_loss_that_explodes_is_told(dfew: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"not a number: lower optim\.lr"):
        train(tiny(tmp_path / "run", dfew, lr=1e30, warmup_epochs=0))


def test_a_data_set_without_training_clips_is_refused(dfew: Path, tmp_path: Path):
    config = tiny(tmp_path / "run", dfew / "Clip" / "clip_224x224")
    with pytest.raises(InputError, match="none of the data sets known"):
        train(config)
    assert not (tmp_path / "run").exists()


def test_the_learning_rate_warms_up_and_falls_as_a_cosine():
    optim = OptimConfig()
    assert learning_rate(0, optim) == 0
    assert learning_rate(10, optim) == pytest.approx(2.5e-4)
    assert learning_rate(20, optim) == pytest.approx(5e-4)
    assert learning_rate(160, optim) == pytest.approx((5e-4 + 5e-6) / 2)
    assert learning_rate(300, optim) == pytest.approx(5e-6)


def test_a_recipe_refuses_data_it_was_not_made_for(tmp_path: Path):
    for name in ("a", "b", "c"):
        write_frames(tmp_path / "faces" / name, 1)
    table = tmp_path / "faces.csv"
    table.write_text(
        "file,emotion,split\na/1.jpg,happiness,train\nb/1.jpg,fear,train\nc/1.jpg,fear,val\n"
    )
    config = tiny(tmp_path / "run", table, epochs=1, batch_size=2)
    config.data.sha256 = checksum(str(table))
    train(config)
    table.write_text(table.read_text() + "d/1.jpg,fear,val\n")
    config.output = str(tmp_path / "other")
    with pytest.raises(InputError, match=r"faces\.csv is not the data this recipe was made for"):
        train(config)
    assert not (tmp_path / "other").exists()
