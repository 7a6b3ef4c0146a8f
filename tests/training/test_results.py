from m3dfel.config import TrainConfig
from m3dfel.training.results import best_epoch, reported_epochs

HISTORY = [
    {"epoch": 1, "val": {"war": 0.5, "uar": 0.6}, "test": {"war": 0.7}},
    {"epoch": 2, "val": {"war": 0.6, "uar": 0.5}, "test": {"war": 0.8}},
    {"epoch": 3, "val": {"war": 0.6, "uar": 0.4}, "test": {"war": 0.8}},
]


def test_the_best_epoch_is_the_first_with_the_highest_metric():
    assert best_epoch(HISTORY, "val", "war")["epoch"] == 2
    assert best_epoch(HISTORY, "val", "uar")["epoch"] == 1
    assert best_epoch([{"epoch": 1}], "val", "war") is None


def test_the_best_epoch_on_test_is_reported_only_if_test_was_measured_every_epoch():
    config = TrainConfig()
    assert {k: row["epoch"] for k, row in reported_epochs(HISTORY, config).items()} == {
        "last": 3,
        "best_on_val": 2,
    }
    config.test_every_epoch = True
    assert reported_epochs(HISTORY, config)["best_on_test"]["epoch"] == 2


def test_adding_to_a_reported_epoch_leaves_the_history_unchanged():
    history = [{"epoch": 1, "val": {"war": 0.5}}]
    reported_epochs(history, TrainConfig())["last"]["test"] = {}
    assert history == [{"epoch": 1, "val": {"war": 0.5}}]


def test_an_epoch_can_be_chosen_by_the_mean_of_war_and_uar():
    rows = [(0.81, 0.71), (0.84, 0.66), (0.83, 0.70)]
    history = [{"epoch": i, "val": {"war": w, "uar": u}} for i, (w, u) in enumerate(rows)]
    chosen = {metric: best_epoch(history, "val", metric) for metric in ("war", "uar", "mean")}
    assert [row["epoch"] for row in chosen.values() if row] == [1, 0, 2]
