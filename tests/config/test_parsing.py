from pathlib import Path

import pytest
import yaml

from m3dfel.config import TrainConfig, from_settings, read_recipe, with_overrides
from m3dfel.errors import InputError


def some_config() -> TrainConfig:
    config = TrainConfig(output="run")
    config.stages = [{"model.frames": 4, "optim.lr": 1e-3}]
    return config


def test_several_data_sets_are_named_in_a_list():
    settings = yaml.safe_load("data:\n  path: [a.csv, b.csv]\n  mixing_weights: [2, 1]\n")
    config = from_settings(settings)
    assert (config.data.paths, config.data.mixing_weights) == (["a.csv", "b.csv"], [2.0, 1.0])
    assert with_overrides(config, {"data.path": "c.csv"}).data.paths == ["c.csv"]


def test_a_recipe_is_read_with_overrides(tmp_path: Path):
    (tmp_path / "own.yaml").write_text("seed: 3\noptim: {epochs: 5}\n")
    config = read_recipe(str(tmp_path / "own.yaml"), {"optim.epochs": 7})
    assert (config.seed, config.optim.epochs, config.optim.batch_size) == (3, 7, 256)


def test_a_changed_configuration_differs_in_that_alone():
    config = some_config()
    other = with_overrides(config, {"model.bag_size": 8, "loss.ial_weight": 0})
    assert (other.model.bag_size, other.loss.ial_weight) == (8, 0)
    other.model.bag_size, other.loss.ial_weight = None, 0.1
    assert other == config == with_overrides(config, {})


def test_naming_an_aggregation_resets_its_options():
    config = with_overrides(some_config(), {"model.aggregation_options.init": "mean"})
    assert with_overrides(config, {"model.bag_size": 8}).model.aggregation_options
    other = with_overrides(config, {"model.aggregation": "mean"})
    assert other.model.aggregation_options == {}
    again = {"model.aggregation": "dliam", "model.aggregation_options.norm": "layer"}
    assert with_overrides(config, again).model.aggregation_options == {"norm": "layer"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model.bags": 8}, "no setting 'model.bags': `m3dfel train --help`"),
        ({"model": 8}, "no setting 'model'"),
        ({"model.bag_size.x": 8}, "no setting 'model.bag_size.x'"),
        ({"model.bag_size": "many"}, "model.bag_size: expected int, got many"),
        ({"optim.lr": -1}, "optim.lr is -1.0 but must be greater than 0"),
        ({"select_metric": "f1"}, "select_metric: expected Literal['war', 'uar', 'mean']"),
    ],
)
def test_a_change_that_cannot_be_made_says_why(changes: dict, words: str):
    with pytest.raises(InputError) as error:
        with_overrides(some_config(), changes)
    assert words in str(error.value)
