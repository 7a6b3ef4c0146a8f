"""What finished runs came to together: means, spreads, and differences that can be believed or not.

It reads nothing but the runs' folders, so that every table can be made again without a model or a
data set. It stands between training and the pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from m3dfel.evaluation.runs import Run, Values
from m3dfel.experiments.literature import PUBLISHED
from m3dfel.files import write_text

RESAMPLES = 2000


def summarize(groups: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """Return one row a group of runs: WAR, UAR and each recall, mean and spread, in percent.

    Args:
        groups: from the row's name to its runs, which differ by seed or fold.

    Returns:
        Columns: name, runs, then mean and standard deviation (n - 1; empty for one run) of `war`,
        `uar` and `recall_<emotion>`.
    """
    rows = []
    for name, runs in groups.items():
        row: dict[str, Any] = {"name": name, "runs": len(runs)}
        for measure, values in _measures(runs).items():
            row[measure] = np.mean(values)
            row[f"{measure}_std"] = np.std(values, ddof=1) if len(values) > 1 else None
        rows.append(row)
    return pd.DataFrame(rows)


def compare_groups(groups: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """Return `summarize`, and beside it by how much each row differs from the first.

    The columns are those of `difference`, empty in the first row and wherever a row did not measure
    the same clips.
    """
    first = next(iter(groups.values()))
    differences = [
        paired_difference(first, runs)
        if runs is not first and _clips_of(runs) == _clips_of(first)
        else {}
        for runs in groups.values()
    ]
    return summarize(groups).join(pd.DataFrame(differences, index=range(len(groups))))


def _measures(runs: Sequence[Run]) -> dict[str, list[float]]:
    measures = {
        "war": [100 * run.metrics["war"] for run in runs],
        "uar": [100 * run.metrics["uar"] for run in runs],
    }
    for label in runs[0].labels:
        recalls = [run.metrics["recall"][label] for run in runs]
        measures[f"recall_{label}"] = [100 * r for r in recalls if r is not None]
    return {name: values for name, values in measures.items() if values}


def _clips_of(runs: Sequence[Run]) -> set[tuple[str, ...]]:
    return {tuple(run.clips["path"]) for run in runs}


def paired_difference(
    old: Sequence[Run], new: Sequence[Run], resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, float]:
    """Return how much better new runs are than old ones, with 95 % intervals, in points.

    A paired bootstrap (Efron and Tibshirani, 1993): every resample draws the people anew, each with
    all their clips, the same for both sides, and on each side anew which of its runs count, so that
    the interval holds the chance of the test set and that of the seeds. A clip whose person is not
    known is drawn by itself.

    Args:
        old: runs that measured one and the same set of clips.
        new: runs that measured the same clips.
        resamples: how many are drawn.
        seed: of the draws.

    Returns:
        For `war` and `uar`: `…_difference`, `…_low` and `…_high`, the bounds 2.5 and 97.5 percent
        of the resamples lie below.
    """
    generator = np.random.default_rng(seed)
    emotions = old[0].clips["emotion"]
    one_hot = pd.get_dummies(emotions).to_numpy(np.float64)
    person, people = pd.factorize(old[0].clips["identity"].fillna(old[0].clips["path"]))
    drawn = _draws(len(people), resamples, generator)[:, person]
    every = np.ones((1, len(emotions)))
    told: dict[str, float] = {}
    sides = [np.stack([run.clips["right"].to_numpy(np.float64) for run in s]) for s in (old, new)]
    means = [side.mean(0, keepdims=True) for side in sides]
    resampled = [_resampled_runs(side, resamples, generator) for side in sides]
    for name, score in ("war", _war), ("uar", _uar):
        shift = score(means[1], every, one_hot) - score(means[0], every, one_hot)
        shifts = score(resampled[1], drawn, one_hot) - score(resampled[0], drawn, one_hot)
        low, high = np.nanpercentile(shifts, [2.5, 97.5])
        told |= {
            f"{name}_difference": 100 * shift.item(),
            f"{name}_low": 100 * low,
            f"{name}_high": 100 * high,
        }
    return told


def _resampled_runs(right: Values, resamples: int, generator: np.random.Generator) -> Values:
    """Return the share of runs that have each clip right, runs drawn anew: (S, M) → (R, M)."""
    shares: Values = _draws(len(right), resamples, generator) / len(right) @ right
    return shares


def _draws(things: int, resamples: int, generator: np.random.Generator) -> Values:
    """Return how often each of some things is drawn, drawing as many as there are: (R, things)."""
    times = generator.multinomial(things, np.full(things, 1 / things), resamples)
    return times.astype(np.float64)


def _war(right: Values, times: Values, one_hot: Values) -> Values:
    """Return WAR of resamples (R,): right (R, M), how often each clip is drawn (R, M)."""
    war: Values = (times * right).sum(1) / times.sum(1)
    return war


def _uar(right: Values, times: Values, one_hot: Values) -> Values:
    """Return UAR of resamples (R,), over the classes that were drawn; one_hot is (M, classes)."""
    with np.errstate(invalid="ignore"):
        recalls = (times * right) @ one_hot / (times @ one_hot)
    uar: Values = np.nanmean(recalls, axis=1)
    return uar


# --- tables --------------------------------------------------------------------------------------


def published_rows(dataset: str) -> pd.DataFrame:
    """Return the published results on a data set as rows of `summarize`, marked as published."""
    rows = [
        {
            "name": f"{p.method}, published" + (f" ({p.protocol})" if p.protocol else ""),
            "war": 100 * p.war,
            "uar": None if p.uar is None else 100 * p.uar,
        }
        for p in PUBLISHED
        if p.dataset == dataset
    ]
    return pd.DataFrame(rows)


def format_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a summary as it is read: one column a measure, mean ± spread, difference [interval].

    Args:
        table: of `summarize`, published rows or not.
    """
    measures = [name.removesuffix("_std") for name in table.columns if name.endswith("_std")]
    read = pd.DataFrame({"": table["name"], "runs": table["runs"].map(_whole)})
    for name in sorted(measures, key=lambda name: name in ("war", "uar")):
        heading = name.removeprefix("recall_").replace("war", "WAR").replace("uar", "UAR")
        columns = zip(table[name], table[f"{name}_std"], strict=True)
        read[heading] = [_with_spread(mean, spread) for mean, spread in columns]
    for name in ("war", "uar"):
        if f"{name}_difference" in table:
            parts = [table[f"{name}_{part}"] for part in ("difference", "low", "high")]
            read[f"Δ{name.upper()} [95 %]"] = [_with_bounds(*p) for p in zip(*parts, strict=True)]
    return read


def _whole(number: float) -> str:
    return "" if pd.isna(number) else f"{number:.0f}"


def _with_spread(mean: float, spread: float) -> str:
    if pd.isna(mean):
        return "–"
    return f"{mean:.2f}" + ("" if pd.isna(spread) else f" ± {spread:.2f}")


def _with_bounds(shift: float, low: float, high: float) -> str:
    return "" if pd.isna(shift) else f"{shift:+.1f} [{low:+.1f}, {high:+.1f}]"


def write_tables(table: pd.DataFrame, folder: Path) -> None:
    """Write a summary as `table.csv` (numbers), `table.md` and `table.tex` (as it is read)."""
    read = format_table(table)
    write_text(folder / "table.csv", table.round(4).to_csv(index=False))
    write_text(folder / "table.md", read.to_markdown(index=False, disable_numparse=True) + "\n")
    write_text(folder / "table.tex", _latex(read))


def _latex(read: pd.DataFrame) -> str:
    columns = "l" + "r" * (len(read.columns) - 1)
    escaped = read.replace({"±": r"$\\pm$", "–": "--", "Δ": r"$\\Delta$"}, regex=True)
    headings = [str(c).replace("Δ", r"$\Delta$").replace("%", r"\%") for c in read.columns]
    names = escaped[""].str.replace("_", r"\_", regex=False).str.replace("%", r"\%", regex=False)
    escaped[""] = names
    text: str = escaped.to_latex(index=False, header=headings, escape=False, column_format=columns)
    return text
