"""Why a run fails, as tables and as one HTML page that shows its most confident errors.

The page is a single file with its images inside. Only the frames of the clips shown are read from
the data; where they are missing, the page says so.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup
from PIL import Image

from m3dfel.data.manifest import clip_from_path
from m3dfel.data.reading import read_clip
from m3dfel.data.sampling import centered_indices
from m3dfel.errors import InputError
from m3dfel.evaluation.failures import count_causes, failure_causes
from m3dfel.evaluation.runs import Run, short_names
from m3dfel.experiments.localization import localization
from m3dfel.files import write_text
from m3dfel.report.evidence import plot_clip_evidence
from m3dfel.report.html import embed_figure, embed_image, html_table, render
from m3dfel.report.runs_page import measured_on
from m3dfel.report.style import percent

_THUMBNAIL = 72  # pixels
_MAX_ERRORS = 24


def write_failures(run: Run, folder: Path) -> tuple[pd.DataFrame, dict[str, float] | None]:
    """Write why a run fails, as tables and as a page.

    Args:
        run: a finished run or evaluation.
        folder: receives `failures.csv`, `failures_by_emotion.csv`, `failures.html` and, for drawn
            clips, `localization.csv`.

    Returns:
        The causes counted by emotion, and how well the evidence finds the target frames; None
        where the clips are not drawn.

    Raises:
        InputError: a file cannot be written.
    """
    failures = failure_causes(run)
    counts = count_causes(failures, run.clips, run.labels)
    located = localization(run)
    indices = {path: index for index, path in enumerate(run.clips["path"])}
    content = {
        "title": f"What {short_names([run])[0]} gets wrong, and why",
        "measured": measured_on([run]),
        "counts": html_table(counts, "Causes of the errors"),
        "localization": _localization_table(located) if located else "",
        "clips": [
            _describe(run, row, indices[row["path"]])
            for row in failures.head(_MAX_ERRORS).to_dict("records")
        ],
    }
    write_text(folder / "failures.csv", failures.to_csv(index=False))
    write_text(folder / "failures_by_emotion.csv", counts.to_csv(index=False))
    if located:
        write_text(folder / "localization.csv", pd.DataFrame([located]).to_csv(index=False))
    write_text(folder / "failures.html", render("failures.html", content))
    return counts, located


def _localization_table(located: dict[str, float]) -> Markup:
    table = pd.DataFrame(
        {
            "clips": [f"{located['clips']:.0f}"],
            "target frames %": [percent(located["target_frames"])],
            "frame AUC": [f"{located['frame_auc']:.3f}"],
            "pointing %": [percent(located["pointing"])],
            "by chance %": [percent(located["pointing_chance"])],
        }
    )
    return html_table(table, "Evidence and frames")


def _describe(run: Run, row: dict[Any, Any], index: int) -> dict[str, Any]:
    """Return what the page shows of one wrong clip, a row of the failures."""
    clip = row | {"confidence": percent(row["confidence"])}
    clip["evidence"] = embed_figure(plot_clip_evidence(run, index, "evidence of the instances"))
    try:
        clip["frames"] = _embed_frames(row["path"], run.frames)
    except InputError as error:
        clip["unreadable"] = str(error)
    return clip


def _embed_frames(path: str, frames: int) -> str:
    """Return the frames that the model saw, in two rows, as an embedded image."""
    clip = read_clip(clip_from_path(path), frames, _THUMBNAIL, centered_indices)
    columns = -(-len(clip) // 2)
    sheet = Image.new("RGB", (columns * _THUMBNAIL, 2 * _THUMBNAIL), "white")
    for index, frame in enumerate(clip.permute(0, 2, 3, 1).numpy()):
        row, column = divmod(index, columns)
        thumbnail = Image.fromarray(frame).resize((_THUMBNAIL, _THUMBNAIL))
        sheet.paste(thumbnail, (column * _THUMBNAIL, row * _THUMBNAIL))
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=85)
    return embed_image(file.getvalue(), "jpeg")
