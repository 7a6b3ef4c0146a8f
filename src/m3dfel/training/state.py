"""The state of a run: what a resumed run needs to end with the numbers of an uninterrupted one.

It lies beside the last model, as tensors and one JSON record in a safetensors file.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from lightning_fabric.plugins import Precision
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from m3dfel.errors import InputError, first_line
from m3dfel.files import atomic_write
from m3dfel.models.checkpoints import disk_errors
from m3dfel.models.m3dfel import M3DFEL


@dataclass
class TrainingState:
    """The model, the optimizer, the averaged weights and the scale of the loss of a run.

    Attributes:
        model: the model being trained.
        optimizer: its optimizer, as Fabric returns it.
        ema: the exponential moving average of its weights, if the run keeps one.
        precision: Fabric's; in `16-mixed` it scales the loss, by a factor that changes.
    """

    model: M3DFEL
    optimizer: Any
    ema: AveragedModel | None
    precision: Precision

    def save(self, folder: Path, history: list[dict[str, Any]]) -> None:
        """Write the state after an epoch to the run's folder.

        Raises:
            InputError: the file cannot be written.
        """
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        if self.ema:
            tensors |= {f"ema.{name}": value for name, value in self.ema.state_dict().items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        record = {"history": history, "precision": self.precision.state_dict()}
        with atomic_write(_file(folder)) as temporary, disk_errors():
            save_file(tensors, temporary, metadata={"record": json.dumps(record)})

    def load(self, folder: Path) -> list[dict[str, Any]]:
        """Restore the state after the last complete epoch.

        Returns:
            The history up to this epoch; empty if no epoch was completed.

        Raises:
            InputError: the file cannot be read.
        """
        file = _file(folder)
        if not file.exists():
            return []
        try:
            with safe_open(file, framework="pt") as state:
                tensors = {name: state.get_tensor(name) for name in state.keys()}  # noqa: SIM118
                record = json.loads(state.metadata()["record"])
            return self._restore(tensors, record)
        # Damaged, of another model, or changed: torch has a RuntimeError for each wrong shape.
        except (
            *(OSError, SafetensorError, RuntimeError),
            *(LookupError, TypeError, ValueError, AttributeError),
        ) as error:
            raise InputError(
                f"cannot resume from {file}: it is damaged, or of another run ({first_line(error)})"
            ) from error

    def _restore(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> list[dict[str, Any]]:
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "ema": {}, "optimizer": {}}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        self.model.load_state_dict(parts["model"])
        if self.ema:
            self.ema.load_state_dict(parts["ema"])
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in parts["optimizer"].items():
            index, _, rest = name.partition(".")
            parameter = parameters[int(index)]
            if value.shape == parameter.shape:
                # Fused steps take for granted that both lie in memory in the same order.
                value = torch.empty_like(parameter).copy_(value)
            moments.setdefault(int(index), {})[rest] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        if scale := record.get("precision"):
            self.precision.load_state_dict(scale)
        history: list[dict[str, Any]] = record["history"]
        if [row["epoch"] for row in history] != list(range(1, len(history) + 1)):
            raise ValueError("its history has gaps")
        return history


def _file(folder: Path) -> Path:
    return folder / "last" / "training.safetensors"


@torch.no_grad()
def mix_weights(initial: dict[str, Tensor], trained: M3DFEL, keep: float) -> M3DFEL:
    """Return a model whose weights are a mean of those before and after training.

    The movements, which start at random, are as trained.

    Args:
        initial: the state before.
        trained: the model after.
        keep: weight of the state before, from 0 to 1; with 0, the trained model itself is returned.
    """
    if not keep:
        return trained
    mixed = copy.deepcopy(trained)
    for name, value in mixed.state_dict().items():
        if value.is_floating_point() and not name.startswith("movement_head."):
            value.lerp_(initial[name], keep)
    return mixed


_Tensors: TypeAlias = tuple[Tensor, ...] | list[Tensor]


def ema_model(model: M3DFEL, decay: float) -> AveragedModel:
    """Return the exponential moving average of a model's weights, to be updated after every step.

    The decay starts smaller and rises to `decay`, so that the initial weights are soon forgotten.
    """

    def average(means: _Tensors, values: _Tensors, updates: Tensor | int) -> None:
        if means[0].is_floating_point():
            n = float(updates)
            torch._foreach_lerp_(means, values, 1 - min(decay, (1 + n) / (10 + n)))
        else:
            torch._foreach_copy_(means, values)

    return AveragedModel(model, multi_avg_fn=average, use_buffers=True)
