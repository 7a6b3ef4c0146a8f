from pathlib import Path

from m3dfel.training.environment import launch_fabric
from m3dfel.training.progress import log_epoch, progress_bar
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
