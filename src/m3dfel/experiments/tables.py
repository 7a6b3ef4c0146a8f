"""Tables of many runs, made from their folders: means, spreads, differences, published results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from m3dfel.evaluation.runs import Run
from m3dfel.experiments.bootstrap import paired_difference
from m3dfel.experiments.literature import published
from m3dfel.files import write_text

_PUBLISHED_COLUMNS = ("idea", "source")


def summarize(groups: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """Return one row per group of runs: WAR, UAR and each recall in percent, mean and spread.

    Args:
        groups: from the row's name to its runs, which differ by seed or fold.

    Returns:
        Columns: name, runs, then mean and standard deviation (n - 1; empty for one run) of `war`,
        `uar` and `recall_<emotion>`.
    """
    rows = []
    for name, runs in groups.items():
        row: dict[str, Any] = {"name": name, "runs": len(runs)}
        values = 100 * pd.DataFrame([_recalls(run.metrics) for run in runs], dtype=np.float64)
        for metric, of_runs in values.dropna(axis=1, how="all").items():
            row |= {str(metric): of_runs.mean(), f"{metric}_std": of_runs.std()}
        rows.append(row)
    return pd.DataFrame(rows)


def _recalls(metrics: dict[str, Any]) -> dict[str, float | None]:
    """Return WAR, UAR and the recall of each emotion; None if it has no clips."""
    recalls = {f"recall_{label}": recall for label, recall in metrics["recall"].items()}
    return {"war": metrics["war"], "uar": metrics["uar"], **recalls}


def compare_groups(groups: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """Return `summarize`, with the difference of each row to the first.

    Args:
        groups: from the row's name to its runs.

    Returns:
        The columns of `summarize` and those of `paired_difference`, which are empty in the first
        row and in rows that were measured on other clips.
    """
    first = next(iter(groups.values()))
    differences = [
        paired_difference(first, runs)
        if runs is not first and _clips_of(runs) == _clips_of(first)
        else {}
        for runs in groups.values()
    ]
    return summarize(groups).join(pd.DataFrame(differences, index=range(len(groups))))


def _clips_of(runs: Sequence[Run]) -> set[tuple[str, ...]]:
    return {tuple(run.clips["path"]) for run in runs}


def published_rows(dataset: str) -> pd.DataFrame:
    """Return the published results on a data set as rows of `summarize`, marked as published.

    Returns:
        Columns: name, war, uar, idea, source. Empty if there are none.
    """
    rows = []
    for row in published():
        if dataset in row["results"]:
            war, uar = row["results"][dataset]
            protocol = row.get("protocol", {}).get(dataset)
            rows.append(
                {
                    "name": f"{row['method']}, published" + (f" ({protocol})" if protocol else ""),
                    "war": war,
                    "uar": uar,
                    "idea": row.get("idea", ""),
                    "source": row["source"],
                }
            )
    return pd.DataFrame(rows)


def format_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table for readers: one column per metric, as mean ± spread or difference [interval].

    Args:
        table: returned by `summarize` or `compare_groups`, with or without published rows.
    """
    metrics = [name.removesuffix("_std") for name in table.columns if name.endswith("_std")]
    runs = table["runs"].map("{:.0f}".format, na_action="ignore").fillna("")
    cells = pd.DataFrame({"": table["name"], "runs": runs})
    for metric in sorted(metrics, key=lambda name: name in ("war", "uar")):
        heading = metric.upper() if metric in ("war", "uar") else metric.removeprefix("recall_")
        columns = zip(table[metric], table[f"{metric}_std"], strict=True)
        cells[heading] = [_format_mean(mean, spread) for mean, spread in columns]
    for metric in ("war", "uar"):
        if f"{metric}_difference" in table:
            parts = [table[f"{metric}_{part}"] for part in ("difference", "low", "high")]
            cells[f"Δ{metric.upper()} [95 %]"] = [
                _format_difference(*values) for values in zip(*parts, strict=True)
            ]
    for name in _PUBLISHED_COLUMNS:
        if name in table:
            cells[name] = table[name].fillna("")
    return cells


def _format_mean(mean: float, spread: float) -> str:
    if pd.isna(mean):
        return "–"
    return f"{mean:.2f}" + ("" if pd.isna(spread) else f" ± {spread:.2f}")


def _format_difference(difference: float, low: float, high: float) -> str:
    return "" if pd.isna(difference) else f"{difference:+.1f} [{low:+.1f}, {high:+.1f}]"


def write_tables(table: pd.DataFrame, folder: Path) -> None:
    """Write a table as `table.csv` (numbers), `table.md` and `table.tex` (for readers).

    Raises:
        InputError: a file cannot be written.
    """
    cells = format_table(table)
    write_text(folder / "table.csv", table.round(4).to_csv(index=False))
    write_text(folder / "table.md", cells.to_markdown(index=False, disable_numparse=True) + "\n")
    write_text(folder / "table.tex", _latex(cells))


_LATEX = str.maketrans({"±": r"$\pm$", "−": "$-$", "–": "--", "Δ": r"$\Delta$"})
"""What LaTeX cannot print and pandas does not escape."""


def _latex(cells: pd.DataFrame) -> str:
    columns = "".join("l" if name in ("", *_PUBLISHED_COLUMNS) else "r" for name in cells.columns)
    text: str = cells.to_latex(index=False, escape=True, column_format=columns)
    return text.translate(_LATEX)
