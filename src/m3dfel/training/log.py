"""What a run reports: a line per epoch in the terminal, and points in TensorBoard."""

from __future__ import annotations

from typing import Any

from lightning_fabric import Fabric
from rich.console import Console


def log_once(fabric: Fabric, line: str) -> None:
    """Print a line on stderr, once for all processes."""
    if fabric.is_global_zero:
        Console(stderr=True).print(line, highlight=False)


def log_epoch(fabric: Fabric, row: dict[str, Any]) -> None:
    """Print the metrics of an epoch and write them to TensorBoard."""
    values = {"train/loss": row["loss"], "train/lr": row["lr"]}
    line = f"epoch {row['epoch']:3d}  loss {row['loss']:.4f}"
    for split in ("val", "test"):
        if split in row:
            values |= {f"{split}/{name}": row[split][name] for name in ("war", "uar", "loss")}
            line += f"  {split} WAR {row[split]['war']:.4f} UAR {row[split]['uar']:.4f}"
    fabric.log_dict(values, step=row["epoch"])
    log_once(fabric, line)
