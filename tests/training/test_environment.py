from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from m3dfel.errors import InputError
from m3dfel.training.environment import create_fabric, environment_info, together
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
    assert torch.__version__.startswith(environment["packages"]["torch"])  # without +cu130


@pytest.mark.parametrize(
    "words",
    [
        "[gloo/transport/tcp/pair.cc:547] Connection closed by peer [10.0.0.2]:3301",
        "Read error [10.0.0.2]:3301: Connection reset by peer",
    ],
)
def test_the_end_of_another_process_is_one_sentence(words: str, monkeypatch):
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    with (
        pytest.raises(InputError, match=r"another process of this training ended.*--resume"),
        together(),
    ):
        raise RuntimeError(words)
    with pytest.raises(RuntimeError, match="shapes"), together():
        raise RuntimeError("shapes do not match")


def test_slurm_starts_no_processes_of_its_own(tmp_path: Path, monkeypatch):
    for name, value in {
        "NTASKS": "8",
        "JOB_NAME": "training",
        "JOB_ID": "1",
        "PROCID": "3",
    }.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    fabric = create_fabric(tiny(tmp_path / "run", "faces"))
    assert (fabric.world_size, fabric.global_rank) == (1, 0)
