"""A finished run or evaluation, read back from its folder.

Whatever compares, explains or draws a run starts here and needs neither the model nor the data.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml

from m3dfel.errors import InputError

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """A finished run, or the folder of an evaluation.

    Attributes:
        folder: where it lies.
        config: what it was told; empty for an evaluation.
        results: what `results.json` holds.
        clips: what `clips.csv` holds, of the split that counts: test, or without one val.
        instances: what `instances.csv` holds of these clips.
    """

    folder: Path
    config: dict[str, Any]
    results: dict[str, Any]
    clips: pd.DataFrame
    instances: pd.DataFrame

    @property
    def frames(self) -> int:
        """Frames a clip."""
        return int(self.results["frames"])

    @property
    def labels(self) -> list[str]:
        """The label set."""
        return [name.removeprefix("p_") for name in self.clips.columns if name.startswith("p_")]

    @property
    def split(self) -> str:
        """The split that counts."""
        return str(self.clips["split"].iloc[0])

    @cached_property
    def evidence(self) -> Values:
        """The evidence of the clips, in their order: (M, N, classes)."""
        table = self.instances.set_index("path").loc[self.clips["path"]]
        values = table[[f"evidence_{label}" for label in self.labels]].to_numpy(np.float64)
        return values.reshape(len(self.clips), -1, len(self.labels))

    def best_on_test(self) -> Run:
        """Return the run as if it handed out the epoch that was best on test."""
        return replace(self, results=self.results["best_on_test"]["test"])

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics of the model that the run hands out, on the split that counts."""
        if "history" not in self.results:
            return self.results
        row = "best_on_val" if "best_on_val" in self.results else "last"
        if self.split == "val":
            row = "calibrated"
        metrics: dict[str, Any] = self.results[row][self.split]
        return metrics


def read_run(folder: str | Path) -> Run:
    """Read the folder of a finished run or of an evaluation.

    Raises:
        InputError: there is none, or it is not finished.
    """
    place = Path(folder)
    try:
        results = json.loads((place / "results.json").read_text())
        clips = pd.read_csv(place / "clips.csv", dtype={"identity": str})
        instances = pd.read_csv(place / "instances.csv")
        file = place / "config.yaml"
        config = yaml.safe_load(file.read_text()) if file.exists() else {}
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder} holds no finished run or evaluation (results.json, clips.csv, "
            "instances.csv): check the path, or go on with the run by --resume"
        ) from error
    counts = next((name for name in ("test", "val") if name in set(clips["split"])), None)
    counted = clips[clips["split"] == counts].reset_index(drop=True) if counts else clips
    return Run(place, config, results, counted, instances[instances["path"].isin(counted["path"])])


def short_names(runs: Sequence[Run]) -> list[str]:
    """Return the shortest ends of the runs' folders that tell them apart."""
    parts = [run.folder.resolve().parts for run in runs]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            break
    return names
