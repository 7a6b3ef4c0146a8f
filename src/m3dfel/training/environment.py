"""The devices and processes of a run, through Lightning Fabric, and a record of the environment."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.loggers import TensorBoardLogger

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
