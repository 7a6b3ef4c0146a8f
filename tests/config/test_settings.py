from pathlib import Path

import pytest
import yaml

from m3dfel.config import (
    Stage,
    TrainConfig,
    check,
    find_recipe,
    from_settings,
    previous_stage,
    with_overrides,
)
from m3dfel.errors import InputError


def usable() -> TrainConfig:
    config = TrainConfig(output="run")
    config.data.path = "synthetic"
    return config


def test_the_defaults_are_the_published_protocol():
    config = usable()
    check(config)
    assert (config.optim.epochs, config.optim.warmup_epochs, config.optim.batch_size) == (
        300,
        20,
        256,
    )
    assert (config.optim.lr, config.optim.min_lr, config.optim.weight_decay) == (5e-4, 5e-6, 0.05)
    assert (config.model.frames, config.model.size, config.model.bag_size) == (16, 112, 4)
    assert (config.loss.label_smoothing, config.loss.ial_weight) == (0.1, 0.1)


def test_every_wrong_value_is_named_at_once():
    config = usable()
    config.model.bag_size = 5
    config.optim.lr = -1
    config.data.folds, config.data.fold = 5, 6
    config.augment.crop_scale = (0.5, 2)
    config.select_metric = "f1"
    with pytest.raises(InputError) as error:
        check(config)
    for words in (
        "model.bag_size is 5 but must be a divisor of model.frames (16)",
        "optim.lr is -1 but must be above 0",
        "data.fold is 6 but must be 1 to 5",
        "augment.crop_scale is (0.5, 2) but both must be above 0 and at most 1",
        "select_metric is 'f1' but must be one of war, uar",
    ):
        assert words in str(error.value)


def test_context_needs_several_instances():
    config = usable()
    config.model.bag_size, config.model.context = 1, 2
    with pytest.raises(InputError, match=r"model\.context is 2 but must be 0 if model\.bag_size"):
        check(config)
    config.model.bag_size = 4
    check(config)


def test_settings_of_several_data_sets_must_fit_together():
    config = usable()
    config.data.path, config.data.mixing_weights = ["synthetic", "faces.csv"], [1.0]
    with pytest.raises(InputError, match=r"data\.mixing_weights is .* one number for each path"):
        check(config)
    config.data.mixing_weights = [2.0, 1.0]
    check(config)
    config.data.mixing_weights = [2.0, 0.0]
    with pytest.raises(InputError, match=r"data\.mixing_weights is .* but each must be above 0"):
        check(config)
    config.data.path, config.data.mixing_weights = [], []
    with pytest.raises(InputError, match=r"data\.path is \[\] but must be a data set"):
        check(config)


def test_several_data_sets_are_named_in_a_list(tmp_path: Path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("data:\n  path: [a.csv, b.csv]\n  mixing_weights: [2, 1]\n")
    config = from_settings(yaml.safe_load(recipe.read_text()))
    assert (config.data.paths, config.data.mixing_weights) == (["a.csv", "b.csv"], [2.0, 1.0])
    assert with_overrides(config, {"data.path": "c.csv"}).data.paths == ["c.csv"]


def test_a_label_set_of_one_is_refused():
    config = usable()
    config.data.labels = ["happiness"]
    with pytest.raises(InputError, match="two or more"):
        check(config)
    config.data.labels = ["Happy", "sadness"]  # clips are labeled happiness
    with pytest.raises(InputError, match=r"must be written \['happiness', 'sadness'\]"):
        check(config)


def test_recipes_are_found_by_name_and_by_path(tmp_path: Path):
    assert find_recipe("dfew").name == "dfew.yaml"
    own = tmp_path / "own.yaml"
    own.write_text("seed: 3\n")
    assert find_recipe(str(own)) == own
    with pytest.raises(InputError, match="bundled, cremad, dfew, ferv39k, finetune, mafw, ravdess"):
        find_recipe("nonesuch")


def test_a_changed_configuration_differs_in_that_alone():
    config = usable()
    config.stages = [Stage(frames=4, bag_size=1, epochs=3, lr=1e-3)]
    other = with_overrides(config, {"model.bag_size": 8, "loss.ial_weight": 0})
    assert (other.model.bag_size, other.loss.ial_weight) == (8, 0)
    other.model.bag_size, other.loss.ial_weight = 4, 0.1
    assert other == config == with_overrides(config, {})


def test_naming_an_aggregation_resets_its_options():
    config = with_overrides(usable(), {"model.aggregation_options.init": "mean"})
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
        ({"model.bag_size": "many"}, "bag_size is 'many' but must be a number, 1 or more"),
        ({"optim.lr": -1}, "optim.lr is -1 but must be above 0"),
        ({"select_metric": "f1"}, "select_metric is f1 but must be one of 'war', 'uar'"),
    ],
)
def test_a_change_that_cannot_be_made_says_why(changes, words):
    with pytest.raises(InputError, match=words):
        with_overrides(usable(), changes)


def test_a_stage_learns_from_other_data_when_told_and_joins_as_the_model_does_unless_told():
    config = usable()
    config.data.folds = 3
    config.model.aggregation = "lstm"
    config.stages = [Stage(frames=4, bag_size=1, epochs=3, lr=1e-3)]
    before = previous_stage(config)
    assert before.data.path == "synthetic"
    assert before.data.folds == 3
    assert before.model.aggregation == "lstm"
    assert before.model.size == config.model.size
    config.stages[0].size = 32
    assert previous_stage(config).model.size == 32
    config.stages[0].path, config.stages[0].aggregation = "other.csv", "mean"
    before = previous_stage(config)
    assert (before.data.path, before.data.folds) == ("other.csv", 0)
    assert before.model.aggregation == "mean"
    config.stages[0].size = 8
    with pytest.raises(InputError, match=r"stage 1: .*model.size is 8 but must be 16 or more"):
        check(config)
