from pathlib import Path

import pytest
import torch

from m3dfel.errors import InputError
from m3dfel.training.environment import create_fabric, environment_info
from small_data import tiny


def test_half_precision_needs_a_gpu(tmp_path: Path):
    config = tiny(tmp_path / "run", "faces")
    config.precision = "16-mixed"
    with pytest.raises(InputError, match="16-mixed needs a GPU: on a CPU choose 32-true"):
        create_fabric(config)


def test_an_accelerator_that_is_missing_is_an_input_error(tmp_path: Path):
    config = tiny(tmp_path / "run", "faces")
    config.accelerator = "mps"
    if torch.backends.mps.is_available():
        pytest.skip("there is one")
    with pytest.raises(InputError, match="'mps' cannot be used here: choose another, such as cpu"):
        create_fabric(config)


def test_the_environment_names_the_device_and_the_versions(tmp_path: Path):
    environment = environment_info(create_fabric(tiny(tmp_path / "run", "faces")))
    assert (environment["device"], environment["processes"]) == ("cpu", 1)
    assert environment["packages"]["torch"] == torch.__version__
