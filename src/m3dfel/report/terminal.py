"""What the commands print: tables of results, timelines, failures and data sets."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table

from m3dfel.data.manifest import Manifest
from m3dfel.emotions import colors
from m3dfel.experiments.tables import format_table
from m3dfel.files import printable, shown
from m3dfel.report.numbers import confidence
from m3dfel.report.recognized import Recognized
from m3dfel.report.spans import span_table
from m3dfel.report.style import percent
from m3dfel.report.words import translate
from m3dfel.video.marks import NO_FACE

_MAX_ROWS = 40

# Columns of words; all others have numbers.
_WORDS = frozenset(
    {"", "emotion", "most often mistaken for", "video", "most of the time", "file", "model"}
)

_MODELS = {
    "last": "last epoch",
    "best_on_val": "best on validation",
    "calibrated": "best on validation, calibrated",
    "best_on_test": "best on test",
}


def print_metrics(results: dict[str, Any], name: str) -> None:
    """Print the recall and most frequent error of each emotion, WAR, UAR and what else is known.

    That is the calibration error, the fit to the votes, the answers given, the clips left out.

    Args:
        results: what `Metrics.to_dict` returns or `results.json` holds.
        name: of the model, as the title.
    """
    table = _new_table(name, ["emotion", "recall %", "clips", "most often mistaken for"])
    for index, label in enumerate(results["labels"]):
        recall, clips = results["recall"][label], results["support"][label]
        table.add_row(
            _plain(label),
            "–" if recall is None else percent(recall),
            f"{clips:,}",
            _plain(_most_frequent_error(results["confusion"][index], index, results["labels"])),
        )
    table.add_section()
    table.add_row("WAR", percent(results["war"]), f"{sum(results['support'].values()):,}")
    table.add_row("UAR", percent(results["uar"]))
    table.caption = "; ".join(_notes(results))
    Console().print(table)


def _notes(results: dict[str, Any]) -> Iterator[str]:
    """Yield what is printed below the metrics."""
    yield f"expected calibration error {percent(results['ece'])} %"
    if votes := results.get("votes"):
        yield (
            f"against the votes on {votes['clips']:,} clips: cross entropy "
            f"{votes['cross_entropy']:.3f} nats, Jensen-Shannon divergence "
            f"{votes['jensen_shannon']:.3f} bits"
        )
    if results.get("answered"):
        yield (
            f"confidence of {percent(results['min_confidence'])} % or more: "
            f"{percent(results['answered'])} % of the clips, "
            f"{percent(results['answered_right'])} % of them right"
        )
    left_out = {reason: clips for reason, clips in results.get("left_out", {}).items() if clips}
    if left_out:
        reasons = (f"{clips:,} {reason.replace('_', ' ')}" for reason, clips in left_out.items())
        yield f"left out: {', '.join(reasons)}"


def _most_frequent_error(row: Sequence[float], own: int, labels: Sequence[str]) -> str:
    """Return what clips of the emotion `own` are mistaken for, from their row of the matrix."""
    fraction, index = max((value, index) for index, value in enumerate(row) if index != own)
    return f"{labels[index]} ({percent(fraction)} %)" if fraction else "–"


def print_spans(prediction: Recognized, title: str, lang: str = "en") -> None:
    """Print when each person shows which emotion, and the note of the prediction, if any.

    Args:
        prediction: the recognized faces of a video.
        title: name of the video.
        lang: language of the table, `en` or `zh`.
    """
    spans = span_table(prediction)
    if len(spans):
        table = _new_table(title, ["person", "from s", "to s", "emotion", "confidence %"], lang)
        color_of = colors(prediction.labels)
        for person, of_person in spans.groupby("person"):
            rows = of_person[["start_s", "end_s", "emotion", "confidence"]].to_numpy().tolist()
            for start_s, end_s, word, certainty in rows:
                table.add_row(
                    str(person) if start_s == 0 else "",
                    f"{start_s:.2f}",
                    f"{end_s:.2f}",
                    _answer(word, color_of, lang),
                    "–" if np.isnan(certainty) else confidence(certainty).removesuffix(" %"),
                )
            table.add_section()
        Console().print(table)
    if prediction.note:
        Console().print(printable(prediction.note), markup=False, highlight=False, soft_wrap=True)


def print_people(table: pd.DataFrame, folder: str, lang: str = "en") -> None:
    """Print what each person in each video shows most, and for which part of the time.

    Args:
        table: returned by `batch.summary.summarize`.
        folder: where the whole table is.
        lang: language of the printed table, `en` or `zh`.
    """
    columns = ["video", "person", "video s", "seen s", "readable %", "most of the time"]
    printed = _new_table(folder, columns, lang)
    times = table.filter(like="time_").fillna(0.0)
    times.columns = times.columns.str.removeprefix("time_").str.replace("_", " ")
    color_of = colors(times.columns.tolist())
    for row, parts in zip(_first_rows(table), _first_rows(times), strict=True):
        name, length = _plain(Path(row["video"]).name), f"{row['duration_s']:.1f}"
        if pd.isna(row["person"]):
            printed.add_row(name, "–", length, "0.0", "–", translate(lang, NO_FACE))
            continue
        word = str(max(parts, key=parts.__getitem__))
        printed.add_row(
            name,
            str(row["person"]),
            length,
            f"{row['seen_s']:.1f}",
            percent(row["readable_of_seen"]),
            f"{_answer(word, color_of, lang)} {100 * parts[word]:.0f} %",
        )
    all_parts = translate(lang, "all parts are of the time seen")
    details = translate(lang, "all details in {folder}/summary.*", folder=_plain(folder))
    printed.caption = "; ".join([*_more_rows(table, lang), all_parts, details])
    Console().print(printed)


def _more_rows(table: pd.DataFrame, lang: str) -> list[str]:
    """Return what says that a table has more rows than are printed, if so."""
    more = len(table) - _MAX_ROWS
    return [translate(lang, "{n} more rows", n=f"{more:,}")] if more > 0 else []


def print_photos(photos: pd.DataFrame, lang: str = "en") -> None:
    """Print what each face in each photo expresses.

    Args:
        photos: returned by `photo_table`.
        lang: language of the printed table, `en` or `zh`.
    """
    title, columns = translate(lang, "photos"), ["file", "face", "emotion", "confidence %"]
    table = _new_table(title, columns, lang)
    color_of = colors([str(name).removeprefix("p_") for name in photos.filter(regex="^p_")])
    for row in _first_rows(photos):
        table.add_row(
            _plain(Path(row["file"]).name),
            "" if pd.isna(row["face"]) else str(row["face"]),
            _answer(row["mark"] or row["emotion"], color_of, lang),
            "–" if pd.isna(row["confidence"]) else f"{100 * row['confidence']:.0f}",
        )
    table.caption = "".join(_more_rows(photos, lang))
    Console().print(table)


def print_run(results: dict[str, Any], folder: str) -> None:
    """Print the results of a training: one row per model, named after how its epoch was chosen.

    Args:
        results: what `training.train` returns.
        folder: the run's folder.
    """
    columns = ["model", "epoch", "val WAR %", "val UAR %", "test WAR %", "test UAR %"]
    table = _new_table(folder, columns)
    for name, words in _MODELS.items():
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
            "The epoch that is best on test was chosen with the test clips, so its results are "
            "too good. Use them only to compare with published numbers.",
            soft_wrap=True,
        )


def print_summary(table: pd.DataFrame, folder: str) -> None:
    """Print WAR and UAR of many runs; the written tables also have the recalls.

    Args:
        table: returned by `experiments.crossval`, `ablate` or `compare`.
        folder: where the tables are.
    """
    cells = format_table(table)
    columns = [
        name
        for name in cells.columns.astype(str)
        if name in ("", "runs", "WAR", "UAR") or name.startswith("Δ")
    ]
    printed = _table_of(cells[columns], folder)
    printed.caption = f"in percent; with the recall of each emotion in {_plain(folder)}/table.*"
    Console().print(printed)


def print_failures(counts: pd.DataFrame, located: dict[str, float] | None, page: Path) -> None:
    """Print why a model fails.

    Args:
        counts: returned by `evaluation.failures.count_causes`.
        located: returned by `experiments.localization.localization`.
        page: where the errors are shown.
    """
    console = Console()
    console.print(_table_of(counts, "Wrong clips by cause"))
    if located:
        console.print(
            f"evidence and true target frames of {located['clips']:.0f} drawn clips: frame AUC "
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
    table = _new_table(manifest.source, ["emotion", *counts])
    for emotion, row in counts.iterrows():
        table.add_row(_plain(str(emotion)), *(f"{clips:,}" for clips in row))
    table.add_section()
    table.add_row("all", *(f"{clips:,}" for clips in counts.sum()))
    console = Console()
    console.print(table)
    for problem in manifest.problems:
        console.print(shown(f"{problem.path}: {problem.what}"), markup=False, soft_wrap=True)
    usable, problems = f"{len(manifest.clips):,}", f"{len(manifest.problems):,}"
    voted = sum(bool(clip.votes) for clip in manifest.clips)
    votes = f"; clips with votes: {voted:,}" if voted else ""
    console.print(f"usable clips: {usable}; problems: {problems}{votes}", highlight=False)


def _table_of(cells: pd.DataFrame, title: str) -> Table:
    table = _new_table(title, cells)
    for row in cells.itertuples(index=False):
        table.add_row(*(_plain(str(cell)) for cell in row))
    return table


def _new_table(title: str, columns: Iterable[object], lang: str = "en") -> Table:
    table = Table(
        title=_plain(title),
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        caption_style="dim",
    )
    for name in map(str, columns):
        justify: JustifyMethod = "left" if name in _WORDS else "right"
        table.add_column(_plain(translate(lang, name)), justify=justify)
    return table


def _answer(word: str, color_of: Mapping[str, str], lang: str) -> str:
    """Return an emotion with its color, or a mark, in a language."""
    square = f"[{color_of[word]}]■[/] " if word in color_of else "  "
    return square + _plain(translate(lang, word))


def _first_rows(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    return table.head(_MAX_ROWS).to_dict("records")


def _plain(text: str) -> str:
    """Return a text that neither rich nor the terminal takes for a command."""
    return escape(printable(text))
