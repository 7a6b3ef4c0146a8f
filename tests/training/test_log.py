from pathlib import Path

from m3dfel.training.environment import create_fabric
from m3dfel.training.log import log_epoch
from small_data import tiny


def test_each_epoch_is_a_line_and_a_point_in_tensorboard(tmp_path: Path, capsys):
    fabric = create_fabric(tiny(tmp_path / "run", "faces"))
    row = {"epoch": 3, "lr": 0.1, "loss": 1.5, "val": {"war": 0.25, "uar": 0.5, "loss": 1.0}}
    log_epoch(fabric, row)
    line = "epoch   3  loss 1.5000  val WAR 0.2500 UAR 0.5000"
    assert line in capsys.readouterr().err
    assert list((tmp_path / "run" / "tensorboard").iterdir())
