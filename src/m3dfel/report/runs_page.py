"""One HTML page about finished runs: results, curves, recalls, confusion, evidence, settings.

The page is a single file with its images inside, so that it can be sent to somebody. It is made
from the runs' folders alone, without the models or the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from markupsafe import Markup

from m3dfel.errors import InputError
from m3dfel.evaluation.runs import Run, short_names
from m3dfel.experiments.tables import compare_groups, format_table, published_rows
from m3dfel.files import write_text
from m3dfel.report.confusion import plot_confusion
from m3dfel.report.curves import plot_curves
from m3dfel.report.evidence import plot_clip_evidence
from m3dfel.report.html import embed_figure, html_table, render
from m3dfel.report.recalls import plot_recalls


def write_report(runs: Sequence[Run], path: Path) -> None:
    """Write a page that shows runs side by side.

    Args:
        runs: one or more, with the same label set; each is compared with the first.
        path: of the page.

    Raises:
        InputError: the label sets differ, or the page cannot be written.
    """
    if any(run.labels != runs[0].labels for run in runs):
        raise InputError("the runs have different label sets: write a report for each label set")
    named = dict(zip(short_names(runs), runs, strict=True))
    metrics = {name: run.metrics for name, run in named.items()}
    content = {
        "title": f"M3DFEL: {', '.join(named)}",
        "measured": measured_on(runs),
        "table": _results_table(named),
        "curves": _curves(named),
        "recalls": embed_figure(plot_recalls(metrics)),
        "matrices": _confusion_pairs(metrics),
        "runs": [_describe(run, name) for name, run in named.items()],
    }
    write_text(path, render("report.html", content))


def measured_on(runs: Sequence[Run]) -> str:
    """Return a sentence that says on which data the runs were measured."""
    splits = {f"{run.results['dataset']}, {run.split} ({len(run.clips):,} clips)" for run in runs}
    return f"Measured on {'; '.join(sorted(splits))}."


def _results_table(named: Mapping[str, Run]) -> Markup:
    """Return the runs' results, with published results on the same data set below them."""
    table = compare_groups({name: [run] for name, run in named.items()})
    published = published_rows(next(iter(named.values())).results["dataset"])
    if len(published):
        table = pd.concat([table, published], ignore_index=True)
    return html_table(format_table(table).rename(columns={"": "run"}), "Results")


def _curves(named: Mapping[str, Run]) -> str:
    """Return the training curves; empty where all runs are evaluations without training."""
    histories = {
        name: run.results["history"] for name, run in named.items() if "history" in run.results
    }
    return embed_figure(plot_curves(histories)) if histories else ""


def _confusion_pairs(metrics: Mapping[str, dict[str, Any]]) -> list[str]:
    """Return the confusion matrices, two in a figure."""
    names = list(metrics)
    pairs = [names[first : first + 2] for first in range(0, len(names), 2)]
    return [embed_figure(plot_confusion([metrics[name] for name in pair], pair)) for pair in pairs]


def _describe(run: Run, name: str) -> dict[str, Any]:
    environment = run.results.get("environment")
    return {
        "name": name,
        "evidence": [_clip_evidence(run, index) for index in _first_of_each_emotion(run)],
        "config": yaml.safe_dump(run.config, sort_keys=False) if run.config else "",
        "environment": yaml.safe_dump(environment, sort_keys=False) if environment else "",
    }


def _first_of_each_emotion(run: Run) -> list[int]:
    """Return the index of the first clip of each emotion, in the order of the label set."""
    first = run.clips.drop_duplicates("emotion").reset_index().set_index("emotion")["index"]
    return [int(first[label]) for label in run.labels if label in first.index]


def _clip_evidence(run: Run, index: int) -> str:
    clip = run.clips.loc[index]
    mistake = "" if clip["right"] else f", taken for {clip['predicted']}"
    return embed_figure(plot_clip_evidence(run, index, f"{clip['emotion']}{mistake}"))
