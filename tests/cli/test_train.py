"""The command `m3dfel train`."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from m3dfel.cli import main
from m3dfel.emotions import EMOTIONS
from m3dfel.training.loop import train
from m3dfel.training.state import TrainingState
from small_data import tiny


def test_every_setting_is_explained(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "λ of the intensity-aware loss" in text
    assert "an official fold of the data set" in text


def test_help_lists_the_parts_with_their_options(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = capsys.readouterr().out
    assert "r3d          width=64, depth=18" in text
    assert "dliam        bilstm=True" in text
    assert "recipes: bundled, cremad, dfew" in text
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
    assert "ResNet-18 + Transformer" in capsys.readouterr().out


def test_a_recipe_can_be_printed_with_overrides(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--config", "dfew", "--optim.lr", "0.001", "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["optim"]["lr"] == 0.001
    assert config["optim"]["epochs"] == 300


def test_several_data_sets_are_given_as_a_list(capsys, said):
    words = ["--data.path", "[a.csv, b.csv]", "--data.mixing_weights", "[2, 1]"]
    with pytest.raises(SystemExit):
        main(["train", *words, "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["data"]["path"] == ["a.csv", "b.csv"]
    assert config["data"]["mixing_weights"] == [2, 1]
    assert main(["train", *words[:3], "[2]", "--output", "x"]) == 2
    assert said().count("data.mixing_weights is [2.0] but must be one number for each path") == 1


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--model.aggregation", "lstm"], {}),
        (["--model.aggregation=lstm"], {}),
        (["--model.aggregation", "lstm", "--model.aggregation_options.a", "1"], {"a": 1}),
        (["--model.aggregation_options.a", "1", "--model.aggregation", "lstm"], {"a": 1}),
    ],
)
def test_naming_an_aggregation_resets_the_options_of_the_recipe(words, options, capsys):
    with pytest.raises(SystemExit):
        main(["train", "--config", "synthetic", *words, "--print_config"])
    model = yaml.safe_load(capsys.readouterr().out)["model"]
    assert (model["aggregation"], model["aggregation_options"]) == ("lstm", options)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--optim.lr", "fast"], "optim.lr: expected float, got fast (see m3dfel train --help)"),
        (["--optim.lr", "-1"], "optim.lr is -1.0 but must be greater than 0"),
        (["--model.frames", "0"], "model.frames is 0 but must be greater than 0"),
        (["--select_metric", "f1"], "select_metric: expected Literal['war', 'uar', 'mean']"),
        (["--optim.rate", "1"], "unrecognized arguments: --optim.rate"),
    ],
)
def test_a_wrong_setting_is_explained_and_points_to_the_help(words, sentence: str, said):
    assert main(["train", "--config", "dfew", *words]) == 2
    text = said()
    assert sentence in text


def test_a_run_from_recipe_to_evaluation_and_back(dfew: Path, tmp_path: Path, capsys, said):
    words = [
        "train",
        "--config",
        "dfew",
        "--data.path",
        str(dfew),
        "--output",
        str(tmp_path / "run"),
    ]
    for name, value in {
        "model.weights": "none",
        "model.backbone_options.width": 4,
        "model.size": 32,
        "optim.epochs": 1,
        "optim.warmup_epochs": 0,
        "optim.batch_size": 4,
        "accelerator": "cpu",
        "workers": 0,
    }.items():
        words += [f"--{name}", str(value)]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "WAR" in text
    assert "Loading weights" not in text
    assert main(words) == 2
    assert "already holds a run" in said()
    assert main(["train", "--output", str(tmp_path / "run"), "--resume"]) == 0
    assert main(["train", f"--output={tmp_path / 'run'}", "--resume"]) == 0

    out = tmp_path / "results"
    words = ["evaluate", "--model", str(tmp_path / "run"), "--data", str(dfew), "--workers", "0"]
    assert main([*words, "--output", str(out)]) == 0
    first = (out / "results.json").read_bytes()
    results = json.loads(first)
    assert results["split"] == "test"
    assert set(results["recall"]) == set(results["support"]) == set(EMOTIONS)
    assert np.array(results["confusion"]).sum(1) == pytest.approx(np.ones(7))
    clips = pd.read_csv(out / "clips.csv")
    assert len(clips) == 7
    assert clips["right"].mean() == pytest.approx(results["war"])
    for name in ("confusion.png", "risk_coverage.png", "risk_coverage.csv"):
        assert (out / name).stat().st_size > 0
    assert main([*words, "--output", str(out)]) == 0
    assert (out / "results.json").read_bytes() == first, "evaluation is the same every time"


def test_a_second_training_into_the_same_folder_ends_and_the_first_loses_nothing(
    dfew: Path, tmp_path: Path, monkeypatch
):
    alone = train(tiny(tmp_path / "alone", dfew))
    save, second = TrainingState.save, []

    def save_while_another_starts(state: TrainingState, folder: Path, history: list):
        save(state, folder, history)
        if second:
            return
        files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        command = [sys.executable, "-m", "m3dfel", "train", "--output", str(folder), "--resume"]
        second.append(subprocess.run(command, capture_output=True, text=True, check=False))
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files

    monkeypatch.setattr(TrainingState, "save", save_while_another_starts)
    first = train(tiny(tmp_path / "run", dfew))
    assert second[0].returncode == 2
    (sentence,) = second[0].stderr.splitlines()
    assert "another process is training in" in sentence
    assert first["history"] == alone["history"]
