from pathlib import Path

import pytest

from m3dfel.cli import main
from m3dfel.errors import InputError
from m3dfel.evaluation.runs import read_run
from m3dfel.experiments.ablate import ablate
from small_data import tiny


def test_one_setting_is_changed_at_a_time(ferv39k: Path, tmp_path: Path):
    config = tiny(tmp_path / "runs", ferv39k, epochs=1, warmup_epochs=0)
    vary = ["model.bag_size=1,2", "model.aggregation_options.norm=none, layer"]
    table = ablate(config, [0, 1], vary).set_index("name")
    assert table.index.tolist() == [
        "unchanged",
        "model.bag_size = 1",  # the configuration has 2
        "model.aggregation_options.norm = none",
        "model.aggregation_options.norm = layer",
    ]
    assert (table["runs"] == 2).all()
    changes = table.drop("unchanged")
    assert (changes["war_low"] <= changes["war_difference"]).all()
    assert (changes["war_difference"] <= changes["war_high"]).all()
    run = read_run(tmp_path / "runs/model.bag_size=1/seed-1")
    assert (run.config["model"]["bag_size"], run.config["seed"]) == (1, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.bag_size", "cannot read 'model.bag_size': write SETTING=VALUE,VALUE"),
        ("model.bag_size=[", "cannot read"),
        ("model.bag_size=2", "nothing to vary"),
        ("model.bags=2", "no setting 'model.bags'"),
        ("data=2", "no setting 'data'"),
        ("seed=&a [*a]", "cannot read 'seed=&a"),
        ("model.aggregation_options.norm=group", "norm is .group. but must be"),
        ("model.bag_size=3", "model.bag_size is 3 but must be a divisor"),
    ],
)
def test_an_invalid_change_stops_before_the_first_run(change, message, ferv39k, tmp_path):
    config = tiny(tmp_path / "runs", ferv39k, epochs=1, warmup_epochs=0)
    with pytest.raises(InputError, match=message):
        ablate(config, [0], [change])
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--vary", "optim.lr=1e-3", "model.bags=2"],
        ["--vary", "model.bags=2", "--vary", "optim.lr=1e-3"],
    ],
)
def test_several_settings_are_varied_with_one_option_or_several(options, tmp_path, capsys):
    output = tmp_path / "runs"
    assert main(["ablate", "--config", "synthetic", *options, "--output", str(output)]) == 2
    assert "no setting 'model.bags'" in capsys.readouterr().err
    assert not output.exists()
