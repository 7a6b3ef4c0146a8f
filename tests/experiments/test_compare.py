from pathlib import Path

import pandas as pd
import pytest

from m3dfel.cli import main
from m3dfel.errors import InputError
from m3dfel.evaluation.runs import read_run
from m3dfel.experiments.compare import METHODS, compare
from small_data import tiny


def test_all_methods_train_in_the_same_protocol(ferv39k: Path, tmp_path: Path, capsys):
    options = ["--data.path", str(ferv39k), "--data.val_fraction", "0.4", "--workers", "0"]
    options += ["--model.weights", "none", "--model.backbone_options", "{width: 4, depth: 10}"]
    options += ["--model.size", "16", "--model.frames", "4", "--model.bag_size", "2"]
    options += ["--optim.epochs", "1", "--optim.warmup_epochs", "0", "--optim.batch_size", "4"]
    options += ["--seeds", "0", "--output", str(tmp_path / "runs")]
    assert main(["compare", *options]) == 0
    table = pd.read_csv(tmp_path / "runs/table.csv")
    assert table["name"].tolist() == [title for title, _ in METHODS.values()]
    assert (tmp_path / "runs/table.png").stat().st_size > 10_000
    output = capsys.readouterr()
    assert "run 9 of 9, about" in output.err
    assert "M3DFEL" in output.out
    mil = read_run(tmp_path / "runs/mil-max/seed-0")
    assert mil.config["model"]["bag_size"] == 4, "every frame is an instance"
    assert len(mil.instances) == 4 * len(mil.clips)
    m3dfel = read_run(tmp_path / "runs/m3dfel/seed-0")
    assert m3dfel.config["model"]["bag_size"] == 2, "the configuration's own model"

    # Given again, finished runs are only read, and the first method is the reference.
    trained_at = (tmp_path / "runs/r3d/seed-0/results.json").stat().st_mtime_ns
    assert main(["compare", *options, "--methods", "r3d", "m3dfel"]) == 0
    assert (tmp_path / "runs/r3d/seed-0/results.json").stat().st_mtime_ns == trained_at
    table = pd.read_csv(tmp_path / "runs/table.csv")
    assert table["name"].tolist() == ["R3D-18, whole clip", "M3DFEL"]
    assert table["war_difference"].isna().tolist() == [True, False]


def test_an_unknown_method_is_an_input_error_that_names_all_methods(ferv39k: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"unknown method vgg: use one of m3dfel, r3d"):
        compare(tiny(tmp_path / "runs", ferv39k), [0], ["m3dfel", "vgg"])
    assert not (tmp_path / "runs").exists()
