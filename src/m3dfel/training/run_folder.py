"""The folder of a run: opened without overwriting another run, and resumed only as it started."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from m3dfel.config import TrainConfig, from_settings
from m3dfel.config.bounded_yaml import read_yaml
from m3dfel.config.parsing import plain_settings
from m3dfel.data.manifest import Problem
from m3dfel.errors import InputError
from m3dfel.files import as_utf8, write_text
from m3dfel.models.checkpoints import replace_model
from m3dfel.training.environment import is_first_process

logger = logging.getLogger(__name__)

_MAY_CHANGE = ("workers", "output")  # a resumed run may differ in these


def open_run(config: TrainConfig, resume: bool) -> None:
    """Write `config.yaml` to the folder of a run, or check that the run in it can be resumed.

    Raises:
        InputError: the folder holds another run, or this one with different settings.
    """
    folder = Path(config.output)
    file = folder / "config.yaml"
    if not (file.exists() and _has_started(folder)):
        if is_first_process():
            write_text(file, yaml.safe_dump(plain_settings(config), sort_keys=False))
    elif resume:
        _require_same_settings(config, file)
    else:
        raise InputError(
            f"{folder} already holds a run: resume it with --resume or choose another --output"
        )


def _has_started(folder: Path) -> bool:
    """Return whether a run completed an epoch of any stage; if not, it can be started anew."""
    return (
        (folder / "results.json").exists()
        or (folder / "last").exists()
        or any(map(_has_started, folder.glob("stage-*")))
    )


def finished_results(folder: Path) -> dict[str, Any] | None:
    """Return the results of a finished run, None if the run is not finished."""
    file = folder / "results.json"
    if not file.exists():
        return None
    if is_first_process():
        use_calibrated_model(folder)
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(results, dict):
            raise TypeError("it holds no results")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InputError(
            f"{file} is damaged: delete it, and write it again with --resume"
        ) from error
    return results


def use_calibrated_model(folder: Path) -> None:
    """Move the model in `calibrated/` to `best/`.

    Called after `results.json` is written, and again if the run was killed in between: calibrating
    a model that is calibrated already would change it once more.
    """
    if (folder / "calibrated").is_dir():
        replace_model(folder / "best", folder / "calibrated")


def _require_same_settings(config: TrainConfig, file: Path) -> None:
    """Check that a run has the settings it was started with.

    Settings that the file does not name have their defaults.
    """
    try:
        saved = from_settings(read_yaml(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"cannot resume from {file}: {error}") from error
    old, new = _by_dotted_name(saved), _by_dotted_name(config)
    changes = ", ".join(
        f"{name} was {old.get(name)!r}, is now {new.get(name)!r}"
        for name in {**new, **old}
        if name not in _MAY_CHANGE and old.get(name) != new.get(name)
    )
    if changes:
        raise InputError(
            f"{config.output} was started with different settings ({changes}): "
            "choose another --output"
        )


def _by_dotted_name(config: TrainConfig) -> dict[Any, Any]:
    return pd.json_normalize(plain_settings(config)).to_dict("records")[0]


def write_problems(problems: Sequence[Problem], file: Path) -> None:
    """Write the clips that are left out as a table, and log a warning."""
    rows = [(as_utf8(problem.path), as_utf8(problem.what)) for problem in problems]
    table = pd.DataFrame(rows, columns=["path", "problem"])
    write_text(file, table.to_csv(index=False))
    logger.warning(
        "%d clips left out, the first: %s (%s); see %s for all of them",
        len(problems),
        problems[0].path,
        problems[0].what,
        file,
    )
