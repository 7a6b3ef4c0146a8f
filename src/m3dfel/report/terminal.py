"""What the command line shows in the terminal: tables of results, timelines and data sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from m3dfel.data.manifest import Manifest
from m3dfel.emotions import colours
from m3dfel.experiments.tables import format_table
from m3dfel.report.figures import equal_spans, percent


def print_metrics(results: dict[str, Any], name: str) -> None:
    """Print WAR, UAR, calibration error, and the recall of each emotion beside its clips.

    Args:
        results: what `Metrics.to_dict` gives or `results.json` holds.
        name: of the model, for the heading.
    """
    table = Table(title=escape(name), title_justify="left", title_style="bold", caption_style="dim")
    table.add_column("emotion")
    table.add_column("recall %", justify="right")
    table.add_column("clips", justify="right")
    table.add_column("most often mistaken for")
    for place, label in enumerate(results["labels"]):
        recall, clips = results["recall"][label], results["support"][label]
        table.add_row(
            label,
            "–" if recall is None else percent(recall),
            f"{clips:,}",
            _mistaken(results["confusion"][place], place, results["labels"]),
        )
    table.add_section()
    table.add_row("WAR", percent(results["war"]), f"{sum(results['support'].values()):,}")
    table.add_row("UAR", percent(results["uar"]))
    table.caption = f"expected calibration error {percent(results['ece'])} %"
    left_out = {what: clips for what, clips in results.get("left_out", {}).items() if clips}
    if left_out:
        reasons = (f"{clips:,} {what.replace('_', ' ')}" for what, clips in left_out.items())
        table.caption += f"; left out: {', '.join(reasons)}"
    table.caption_justify = "left"
    Console().print(table)


def _mistaken(shares: Sequence[float], own: int, labels: Sequence[str]) -> str:
    share, place = max((share, place) for place, share in enumerate(shares) if place != own)
    return f"{labels[place]} ({percent(share)} %)" if share else "–"


def print_timeline(clips: pd.DataFrame, title: str, note: str = "") -> None:
    """Print what each face expresses from when to when, and the note, if any.

    Neighbouring clips of the same answer are one row, from and to the middle between clips. Clips
    without a certain one say what they are marked with.

    Args:
        clips: of a prediction.
        title: of the video.
        note: a sentence to say besides.
    """
    if len(clips):
        table = Table(title=escape(title), title_justify="left", title_style="bold")
        table.add_column("face", justify="right")
        table.add_column("from s", justify="right")
        table.add_column("to s", justify="right")
        table.add_column("emotion")
        table.add_column("confidence %", justify="right")
        answers = clips["emotion"].where(clips["mark"] == "", clips["mark"])
        colour_of = colours([c.removeprefix("p_") for c in clips.columns if c.startswith("p_")])
        for face, own in clips.groupby("face"):
            middles = ((own["start_s"] + own["end_s"]) / 2).to_numpy()
            borders = [
                own["start_s"].iloc[0],
                *((middles[1:] + middles[:-1]) / 2),
                own["end_s"].iloc[-1],
            ]
            for first, last, answer in equal_spans(answers[own.index].tolist()):
                confidence = own["confidence"].iloc[first : last + 1].mean()
                colour = f"[{colour_of[answer]}]■[/] " if answer in colour_of else "  "
                table.add_row(
                    str(face) if first == 0 else "",
                    f"{borders[first]:.2f}",
                    f"{borders[last + 1]:.2f}",
                    colour + answer,
                    "–" if np.isnan(confidence) else f"{100 * confidence:.0f}",
                )
            table.add_section()
        Console().print(table)
    if note:
        Console().print(note, markup=False, highlight=False, soft_wrap=True)


def print_run(results: dict[str, Any], folder: str) -> None:
    """Print what a training came to: the epochs that count, each told by how it was chosen.

    Args:
        results: what `training.train` returns.
        folder: the run's folder.
    """
    table = Table(title=escape(folder), title_justify="left", title_style="bold")
    table.add_column("model")
    for column in ("epoch", "val WAR %", "val UAR %", "test WAR %", "test UAR %"):
        table.add_column(column, justify="right")
    for name, words in _CHOICES.items():
        if name in results:
            row = results[name]
            cells = [
                percent(row[split][metric]) if split in row else "–"
                for split in ("val", "test")
                for metric in ("war", "uar")
            ]
            table.add_row(words, str(row["epoch"]), *cells)
    Console().print(table)
    if "best_on_test" in results:
        Console().print(
            "Best on test was chosen by looking at the test clips: it flatters, and is for "
            "comparison with published numbers only.",
            soft_wrap=True,
        )


def print_summary(table: pd.DataFrame, folder: str) -> None:
    """Print what many runs came to, in WAR and UAR; the recalls stand in the written tables.

    Args:
        table: of `experiments.crossval`, `ablate` or `compare`.
        folder: where the tables are.
    """
    read = format_table(table)
    shown = Table(title=escape(folder), title_justify="left", title_style="bold")
    read = read[[c for c in read.columns if c in ("", "runs") or "WAR" in c or "UAR" in c]]
    for column in read.columns:
        shown.add_column(escape(column), justify="right" if column else "left")
    for row in read.itertuples(index=False):
        shown.add_row(*(escape(str(cell)) for cell in row))
    shown.caption = f"in percent; of each emotion, in LaTeX and as numbers: {folder}/table.*"
    shown.caption_justify = "left"
    Console().print(shown)


_CHOICES = {
    "last": "last epoch",
    "best_on_val": "best on validation",
    "calibrated": "the same, calibrated",
    "best_on_test": "best on test",
}


def print_failures(counts: pd.DataFrame, located: dict[str, float] | None, page: Path) -> None:
    """Print why a model fails.

    Args:
        counts: of `failures.count_causes`.
        located: of `failures.localization`.
        page: where the errors are shown.
    """
    table = Table(title="Wrong clips by cause", title_justify="left", title_style="bold")
    for place, column in enumerate(counts.columns):
        table.add_column(column, justify="right" if place else "left")
    for row in counts.itertuples(index=False):
        table.add_row(*(str(cell) for cell in row))
    console = Console()
    console.print(table)
    if located:
        console.print(
            f"evidence against the true frames of {located['clips']:.0f} drawn clips: frame AUC "
            f"{located['frame_auc']:.3f}, pointing {percent(located['pointing'])} % (by chance "
            f"{percent(located['pointing_chance'])} %)",
            soft_wrap=True,
            highlight=False,
        )
    console.print(f"the most confident errors: {page}", markup=False, highlight=False)


def print_manifest(manifest: Manifest) -> None:
    """Print how many clips of each emotion a data set has in each split, and every problem.

    Args:
        manifest: of the data set.
    """
    counts = manifest.table()
    table = Table(title=escape(manifest.source), title_justify="left", title_style="bold")
    table.add_column("emotion")
    for split in counts.columns:
        table.add_column(split, justify="right")
    for emotion, row in counts.iterrows():
        table.add_row(str(emotion), *(f"{clips:,}" for clips in row))
    table.add_section()
    table.add_row("all", *(f"{clips:,}" for clips in counts.sum()))
    console = Console()
    console.print(table)
    for problem in manifest.problems:
        console.print(f"{problem.path}: {problem.what}", markup=False, soft_wrap=True)
    usable, problems = f"{len(manifest.clips):,}", f"{len(manifest.problems):,}"
    console.print(f"usable clips: {usable}; problems: {problems}", highlight=False)
