from pathlib import Path

from m3dfel.training import progress
from m3dfel.training.environment import launch_fabric
from m3dfel.training.progress import Clock, log_epoch, progress_bar
from small_data import tiny


def test_each_epoch_is_a_line_and_a_point_in_tensorboard(tmp_path: Path, capsys):
    fabric = launch_fabric(tiny(tmp_path / "run", "faces"), tmp_path / "run")
    row = {"epoch": 3, "lr": 0.1, "loss": 1.5, "val": {"war": 0.25, "uar": 0.5, "loss": 1.0}}
    log_epoch(fabric, row)
    line = "epoch   3  loss 1.5000  val WAR 0.2500 UAR 0.5000"
    assert line in capsys.readouterr().err
    assert list((tmp_path / "run" / "tensorboard").iterdir())


def test_progress_is_reported_while_it_runs(tmp_path: Path):
    fabric = launch_fabric(tiny(tmp_path / "run", "faces"), tmp_path / "run")
    with progress_bar(fabric, steps=4, done=2) as advance:
        advance("epoch 2/2", 8)
        advance("epoch 2/2", 8)


def test_the_time_of_a_stage_is_divided_among_its_activities(monkeypatch):
    seconds = iter([0.0, 1.0, 3.0, 13.0, 14.0, 34.0, 34.5, 40.0, 40.0])
    monkeypatch.setattr(progress, "perf_counter", lambda: next(seconds))
    clock = Clock()
    for _ in clock.batches("ab"):
        pass
    clock.enter("validation")
    assert str(clock) == "39 s: network 91%, reading clips 9%, validation 0%"
