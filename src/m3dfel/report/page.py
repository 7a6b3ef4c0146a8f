"""Self-contained HTML pages: a report of runs, and the failures of one.

Everything stands in the one file, pictures and all, so that it can be sent to somebody. It is made
from what runs left in their folders; only the frames of failed clips are read from the data.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from m3dfel.data.manifest import clip_from_path
from m3dfel.data.reading import read_clip
from m3dfel.data.sampling import centred_indices
from m3dfel.errors import InputError
from m3dfel.evaluation.failures import (
    count_causes,
    failure_causes,
    localization,
    sampled_target_frames,
)
from m3dfel.evaluation.runs import Run, short_names
from m3dfel.experiments.tables import compare_groups, format_table, published_rows
from m3dfel.files import write_text
from m3dfel.report.figures import (
    percent,
    plot_confusion,
    plot_curves,
    plot_evidence,
    plot_recalls,
)
from m3dfel.synthetic.clips import is_synthetic

_THUMBNAIL = 72  # pixels
_ERRORS_SHOWN = 24


def write_report(runs: Sequence[Run], path: Path) -> None:
    """Write one page of runs: results, curves, recalls, confusion, timelines, configuration.

    Args:
        runs: one or more, of the same label set; each is compared with the first.
        path: of the page.

    Raises:
        InputError: the label sets differ, or the page cannot be written.
    """
    if any(run.labels != runs[0].labels for run in runs):
        raise InputError("the runs differ in their label sets: report them apart")
    names = short_names(runs)
    table = compare_groups({name: [run] for name, run in zip(names, runs, strict=True)})
    published = published_rows(runs[0].results["dataset"])
    table = pd.concat([table, published], ignore_index=True) if len(published) else table
    metrics = [run.metrics for run in runs]
    histories = {
        name: run.results["history"]
        for name, run in zip(names, runs, strict=True)
        if "history" in run.results
    }
    page = {
        "title": f"M3DFEL: {', '.join(names)}",
        "measured": _measured(runs),
        "table": _table(format_table(table)),
        "curves": _inline(plot_curves(histories)) if histories else "",
        "recalls": _inline(plot_recalls(dict(zip(names, metrics, strict=True)))),
        "matrices": [
            _inline(plot_confusion(metrics[first : first + 2], names[first : first + 2]))
            for first in range(0, len(runs), 2)
        ],
        "runs": [_told(run, name) for run, name in zip(runs, names, strict=True)],
    }
    write_text(path, _render("report.html", page))


def _told(run: Run, name: str) -> dict[str, Any]:
    environment = run.results.get("environment")
    return {
        "name": name,
        "timelines": [_timeline(run, place) for place in _one_of_each(run)],
        "config": yaml.safe_dump(run.config, sort_keys=False) if run.config else "",
        "environment": yaml.safe_dump(environment, sort_keys=False) if environment else "",
    }


def _one_of_each(run: Run) -> list[int]:
    """Return the place of the first clip of each emotion, in the order of the label set."""
    first = run.clips.drop_duplicates("emotion").reset_index().set_index("emotion")["index"]
    return [int(first[label]) for label in run.labels if label in first.index]


def _timeline(run: Run, place: int) -> str:
    clip = run.clips.loc[place]
    mistaken = "" if clip["right"] else f", taken for {clip['predicted']}"
    return _evidence(run, place, f"{clip['emotion']}{mistaken}")


def _evidence(run: Run, place: int, title: str) -> str:
    path = str(run.clips["path"][place])
    shown = sampled_target_frames(path, run.frames) if is_synthetic(path) else None
    return _inline(plot_evidence(run.evidence[place], run.labels, title, shown))


def write_failures(run: Run, folder: Path) -> tuple[pd.DataFrame, dict[str, float] | None]:
    """Write why a run fails, as tables and as a page.

    Args:
        run: whose failures.
        folder: receives `failures.csv`, `failures_by_emotion.csv`, of drawn clips
            `localization.csv`, and `failures.html`.

    Returns:
        The causes counted by emotion, and the localization, None where clips are not drawn.

    Raises:
        InputError: a file cannot be written.
    """
    failed = failure_causes(run)
    counts = count_causes(failed, run.clips, run.labels)
    located = localization(run)
    places = {path: place for place, path in enumerate(run.clips["path"])}
    page = {
        "title": f"Why {short_names([run])[0]} fails",
        "measured": _measured([run]),
        "counts": _table(counts),
        "localization": _table(format_localization(located)) if located else "",
        "clips": [
            _failure(run, row, places[row["path"]])
            for row in failed.head(_ERRORS_SHOWN).to_dict("records")
        ],
    }
    write_text(folder / "failures.csv", failed.to_csv(index=False))
    write_text(folder / "failures_by_emotion.csv", counts.to_csv(index=False))
    if located:
        write_text(folder / "localization.csv", pd.DataFrame([located]).to_csv(index=False))
    write_text(folder / "failures.html", _render("failures.html", page))
    return counts, located


def format_localization(located: dict[str, float]) -> pd.DataFrame:
    """Return what `localization` found as it is read, in one row."""
    return pd.DataFrame(
        {
            "clips": [f"{located['clips']:.0f}"],
            "target frames %": [percent(located["target_frames"])],
            "frame AUC": [f"{located['frame_auc']:.3f}"],
            "pointing %": [percent(located["pointing"])],
            "by chance %": [percent(located["pointing_chance"])],
        }
    )


def _failure(run: Run, row: dict[Any, Any], place: int) -> dict[str, Any]:
    told = row | {"confidence": percent(row["confidence"])}
    told["evidence"] = _evidence(run, place, "evidence of the instances")
    try:
        told["frames"] = _frames(row["path"], run.frames)
    except InputError as error:
        told["unreadable"] = str(error)
    return told


def _frames(path: str, frames: int) -> str:
    """Return the frames that the model saw, in two rows, as a picture."""
    clip = read_clip(clip_from_path(path), frames, _THUMBNAIL, centred_indices)
    small = [
        np.asarray(Image.fromarray(frame).resize((_THUMBNAIL, _THUMBNAIL)))
        for frame in clip.permute(0, 2, 3, 1).numpy()
    ]
    columns = -(-len(small) // 2)
    small += [np.full_like(small[0], 255)] * (2 * columns - len(small))
    rows = [np.concatenate(small[:columns], 1), np.concatenate(small[columns:], 1)]
    file = io.BytesIO()
    Image.fromarray(np.concatenate(rows)).save(file, "JPEG", quality=85)
    return _data("jpeg", file)


def _measured(runs: Sequence[Run]) -> str:
    told = {f"{run.results['dataset']}, {run.split} ({len(run.clips):,} clips)" for run in runs}
    return f"Measured on {'; '.join(sorted(told))}."


def _table(table: pd.DataFrame) -> Markup:
    return Markup(table.to_html(index=False, border=0, na_rep=""))


def _inline(figure: Figure) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return _data("png", file)


def _data(kind: str, file: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def _render(template: str, page: dict[str, Any]) -> str:
    pages = Environment(loader=PackageLoader("m3dfel.report"), autoescape=True)
    return pages.get_template(template).render(page)
