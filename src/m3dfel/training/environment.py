"""The devices and processes of a run, through Lightning Fabric, and a record of the environment."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.loggers import TensorBoardLogger
from lightning_fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment

from m3dfel.config import TrainConfig
from m3dfel.errors import InputError, first_line


def is_first_process() -> bool:
    """Return whether this is the only process of a run, or the first that `torchrun` started."""
    return int(os.environ.get("RANK", 0)) == 0


def create_fabric(config: TrainConfig) -> Fabric:
    """Return Fabric for the processes that `torchrun` started, or for one; they are not connected.

    Raises:
        InputError: there is no such device, or it does not support the precision.
    """
    processes = int(os.environ.get("WORLD_SIZE", 1))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    try:
        fabric = Fabric(
            accelerator=config.accelerator,
            devices=local,
            num_nodes=processes // local,
            strategy="ddp" if processes > 1 else "auto",
            precision=config.precision,
            # Not that of Slurm, which Fabric would find, since there too `torchrun` starts them.
            plugins=TorchElasticEnvironment() if processes > 1 else LightningEnvironment(),
            loggers=TensorBoardLogger(config.output, name="", version="tensorboard"),
        )
    except RuntimeError as error:
        raise InputError(
            f"the accelerator {config.accelerator!r} cannot be used here: choose another, such as "
            f"cpu ({first_line(error)})"
        ) from error
    if config.precision == "16-mixed" and fabric.device.type == "cpu":
        raise InputError("precision 16-mixed needs a GPU: on a CPU choose 32-true or bf16-mixed")
    return fabric


@contextmanager
def together() -> Iterator[None]:
    """Say in one sentence that another process of the run ended, while this one waited for it.

    Raises:
        InputError: that is so.
    """
    try:
        yield
    except RuntimeError as error:  # Gloo's is no DistError
        words = str(error).lower()
        lost = isinstance(error, dist.DistError) or "gloo" in words or "peer" in words
        if not (dist.is_initialized() and lost):
            raise
        raise InputError(
            f"another process of this training ended, or cannot be reached ({first_line(error)}): "
            "start all of them again with --resume, which continues after the last complete epoch"
        ) from error


def environment_info(fabric: Fabric) -> dict[str, Any]:
    """Return the system, the device and the package versions, for others to reproduce the run."""
    packages = ("m3dfel", "torch", "torchvision", "lightning-fabric", "numpy")
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "device": str(fabric.device),
        "processes": fabric.world_size,
        "threads": torch.get_num_threads(),
        "packages": {name: version(name) for name in packages},
    }
