from m3dfel.config import Stage, TrainConfig
from m3dfel.config.stages import stages


def config_of(*of: Stage) -> TrainConfig:
    config = TrainConfig(output="run", stages=list(of), target_accuracy=0.9)
    config.data.path, config.data.folds = "synthetic", 3
    config.data.balance, config.data.prior_correction = 0.5, 0.2
    config.model.size, config.model.aggregation, config.model.context = 64, "lstm", 1
    return config


def test_a_run_without_stages_is_itself():
    config = config_of()
    assert stages(config) == [config]


def test_each_stage_starts_from_the_weights_of_the_one_before():
    first, second = (Stage(frames=4, bag_size=1, epochs=3, lr=lr) for lr in (1e-2, 1e-3))
    runs = stages(config_of(first, second))
    assert [run.output for run in runs] == ["run/stage-1", "run/stage-2", "run"]
    assert [run.model.weights for run in runs] == ["pretrained", "run/stage-1", "run/stage-2"]
    assert [run.optim.lr for run in runs] == [1e-2, 1e-3, 5e-4]
    assert [run.target_accuracy for run in runs] == [0, 0, 0.9]
    assert [run.stages for run in runs] == [[], [], []]


def test_a_stage_has_the_settings_of_the_run_where_it_has_none_of_its_own():
    plain = Stage(frames=4, bag_size=1, epochs=3, lr=1e-3)
    own = Stage(frames=4, bag_size=2, epochs=3, lr=1e-3, path="b.csv", aggregation="mean", size=32)
    first, second, run = stages(config_of(plain, own))
    assert (first.data.path, first.data.folds, first.data.balance) == ("synthetic", 3, 0)
    assert (first.model.size, first.model.aggregation, first.model.context) == (64, "lstm", 0)
    assert first.optim.warmup_epochs == 3
    assert (second.data.path, second.data.folds, second.data.prior_correction) == ("b.csv", 0, 0)
    assert (second.model.size, second.model.aggregation, second.model.context) == (32, "mean", 1)
    assert (run.data.balance, run.data.prior_correction) == (0.5, 0.2)
