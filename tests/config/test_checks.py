import pytest

from m3dfel.config import TrainConfig
from m3dfel.config.checks import check
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
    assert (config.loss.label_smoothing, config.loss.ial_weight) == (0.1, 0.1)


def test_every_value_out_of_range_is_named_at_once():
    config = usable()
    config.optim.lr = -1
    config.augment.crop_scale = (0.5, 2)
    config.select_metric = "f1"
    config.data.mixing_weights = [2.0, 0.0]
    with pytest.raises(InputError) as error:
        check(config)
    for words in (
        "optim.lr is -1 but must be greater than 0",
        "augment.crop_scale.1 is 2 but must be less than or equal to 1",
        "select_metric is 'f1' but must be 'war', 'uar' or 'mean'",
        "data.mixing_weights.1 is 0.0 but must be greater than 0",
    ):
        assert words in str(error.value)


def test_all_settings_that_do_not_fit_together_are_named_at_once():
    config = usable()
    config.model.frames, config.model.bag_size = 16, 5
    config.data.folds, config.data.fold = 5, 6
    config.data.path, config.data.mixing_weights = ["synthetic", "faces.csv"], [1.0]
    config.stages = [{"model.frames": 4, "model.bag_size": 3}]
    with pytest.raises(InputError) as error:
        check(config)
    for words in (
        "model.bag_size is 5 but must be a divisor of model.frames (16)",
        "data.fold is 6 but must be 1 to 5",
        "data.mixing_weights is [1.0] but must be one number for each path of data.path",
        "stage 1: model.bag_size is 3 but must be a divisor of model.frames (4)",
    ):
        assert str(error.value).count(words) == 1


@pytest.mark.parametrize(
    ("group", "settings", "words"),
    [
        ("model", {"bag_size": 1, "context": 2}, "model.context is 2 but must be 0 if model.bag"),
        ("data", {"path": []}, "data.path is [] but must be a data set"),
        ("data", {"folds": 1}, "data.folds is 1 but must be 0, 2 or more, or `identity`"),
        ("data", {"labels": ["happiness"]}, "two or more"),
        ("data", {"labels": ["Happy", "sadness"]}, "must be written ['happiness', 'sadness']"),
        ("optim", {"warmup_epochs": 301}, "must be at most optim.epochs (300)"),
        ("optim", {"accumulate": 3}, "must be a multiple of optim.accumulate (3)"),
        ("optim", {"min_lr": 1.0}, "must be at most optim.lr (0.0005)"),
        ("augment", {"crop_scale": (0.5, 0.4)}, "the first must not exceed the second"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(group: str, settings: dict, words: str):
    config = usable()
    for name, value in settings.items():
        setattr(getattr(config, group), name, value)
    with pytest.raises(InputError) as error:
        check(config)
    assert words in str(error.value)


def test_folds_can_be_identities():
    config = usable()
    config.data.folds, config.data.fold = "identity", 60
    check(config)
