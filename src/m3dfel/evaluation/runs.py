"""Read the results of a training run or an evaluation back from its folder.

Comparisons, failure analysis and figures start from a `Run` and need neither the model nor the
data.
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

from m3dfel.config.bounded_yaml import read_yaml
from m3dfel.errors import InputError

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """The results of a training run or of an evaluation.

    Attributes:
        folder: the folder they were read from.
        config: the settings of the training run; empty for an evaluation.
        results: the content of `results.json`.
        clips: the rows of `clips.csv` of the reported split, which is test, or without test clips
            val, or without both all clips.
        instances: the rows of `instances.csv` of these clips.
    """

    folder: Path
    config: dict[str, Any]
    results: dict[str, Any]
    clips: pd.DataFrame
    instances: pd.DataFrame

    @property
    def frames(self) -> int:
        """Frames per clip."""
        return int(self.results["frames"])

    @property
    def labels(self) -> list[str]:
        """The label set."""
        return [name.removeprefix("p_") for name in self.clips.columns if name.startswith("p_")]

    @property
    def split(self) -> str:
        """The reported split."""
        return str(self.clips["split"].iloc[0])

    @cached_property
    def evidence(self) -> Values:
        """The evidence of the clips, in the order of `clips`: (M, N, C)."""
        table = self.instances.set_index("path").loc[self.clips["path"]]
        values = table[[f"evidence_{label}" for label in self.labels]].to_numpy(np.float64)
        return values.reshape(len(self.clips), -1, len(self.labels))

    def best_on_test(self) -> Run:
        """Return this run with the metrics of the epoch that was best on test."""
        return replace(self, results=self.results["best_on_test"]["test"])

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics of the run's final model on the reported split."""
        if "history" not in self.results:
            return self.results
        final = self.results.get("calibrated") or self.results["last"]
        return final[self.split]


def read_run(folder: str | Path) -> Run:
    """Read the folder of a finished training run or of an evaluation.

    Raises:
        InputError: the folder holds neither, or the run is not finished.
    """
    path = Path(folder)
    try:
        results = json.loads((path / "results.json").read_text(encoding="utf-8"))
        clips = pd.read_csv(path / "clips.csv", dtype={"identity": str})
        instances = pd.read_csv(path / "instances.csv")
        file = path / "config.yaml"
        config = read_yaml(file.read_text(encoding="utf-8")) if file.exists() else {}
        split = next((name for name in ("test", "val") if name in set(clips["split"])), None)
        reported = clips[clips["split"] == split].reset_index(drop=True) if split else clips
        instances = instances[instances["path"].isin(reported["path"])]
        if not isinstance(results, dict):
            raise TypeError("results.json holds no results")
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise InputError(
            f"{folder} holds no finished run or evaluation (results.json, clips.csv, "
            "instances.csv): check the path, or finish the run with --resume"
        ) from error
    return Run(path, config, results, reported, instances)


def pool(runs: Sequence[Run]) -> Run:
    """Return the results of runs that were measured on different clips, as of one on all of them.

    Its metrics are `war`, `uar` and `recall`.
    """
    clips = pd.concat([run.clips for run in runs], ignore_index=True)
    instances = pd.concat([run.instances for run in runs], ignore_index=True)
    recall = clips.groupby("emotion")["right"].mean()
    results = {
        "frames": runs[0].frames,
        "war": float(clips["right"].mean()),
        "uar": float(recall.mean()),
        "recall": {label: recall.get(label) for label in runs[0].labels},
    }
    return Run(runs[0].folder.parent, {}, results, clips, instances)


def short_names(runs: Sequence[Run]) -> list[str]:
    """Return the shortest distinct names of runs: the last parts of their folders' paths."""
    parts = [run.folder.resolve().parts for run in runs]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            break
    return names
