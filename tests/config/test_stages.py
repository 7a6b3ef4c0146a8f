from typing import Any

import pytest

from m3dfel.config import TrainConfig
from m3dfel.config.stages import stages
from m3dfel.errors import InputError


def config_of(*of: dict[str, Any]) -> TrainConfig:
    config = TrainConfig(output="run", stages=list(of), target_accuracy=0.9)
    config.data.path, config.data.balance = "synthetic", 0.5
    config.model.size, config.model.aggregation = 64, "dliam"
    config.model.aggregation_options = {"init": "mean"}
    return config


def test_a_run_without_stages_is_itself():
    config = config_of()
    assert stages(config) == [config]


def test_each_stage_starts_from_the_weights_of_the_one_before():
    runs = stages(config_of({"optim.lr": 1e-2}, {"optim.lr": 1e-3}))
    assert [run.output for run in runs] == ["run/stage-1", "run/stage-2", "run"]
    assert [run.model.weights for run in runs] == ["pretrained", "run/stage-1", "run/stage-2"]
    assert [run.optim.lr for run in runs] == [1e-2, 1e-3, 5e-4]
    assert [run.stages for run in runs] == [[], [], []]


def test_a_stage_has_the_settings_of_the_run_but_those_that_it_names():
    own = {"data.path": "b.csv", "model.aggregation": "mean", "model.size": 32}
    first, run = stages(config_of(own))
    assert (first.data.path, first.data.balance, first.target_accuracy) == ("b.csv", 0.5, 0.9)
    assert (first.model.size, first.model.aggregation) == (32, "mean")
    assert first.model.aggregation_options == {}
    assert (run.data.path, run.model.size, run.model.aggregation) == ("synthetic", 64, "dliam")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"model.size": 8}, "stage 2: wrong configuration: model.size is 8 but must be greater"),
        ({"model.sise": 32}, "stage 2: no setting 'model.sise'"),
    ],
)
def test_a_wrong_setting_of_a_stage_is_named(overrides: dict[str, Any], words: str):
    with pytest.raises(InputError, match=words):
        stages(config_of({"optim.lr": 1e-2}, overrides))
