"""What both HTML pages share: rendering a template, and images and tables embedded in the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from matplotlib.figure import Figure

from m3dfel.evaluation.failures import sampled_target_frames
from m3dfel.evaluation.runs import Run
from m3dfel.report.evidence import plot_evidence
from m3dfel.synthetic.clips import is_synthetic


def render(template: str, content: dict[str, Any]) -> str:
    """Return a page: a file of `templates/` filled with content, which is escaped."""
    environment = Environment(loader=PackageLoader("m3dfel.report"), autoescape=True)
    return environment.get_template(template).render(content)


def html_table(table: pd.DataFrame) -> Markup:
    """Return a table as HTML, with empty cells for missing values."""
    return Markup(table.to_html(index=False, border=0, na_rep=""))


def embed_figure(figure: Figure) -> str:
    """Return a figure as the URL of an embedded PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return embed_image(file, "png")


def embed_image(file: io.BytesIO, kind: str) -> str:
    """Return an image file of some kind, such as `png`, as a `data:` URL."""
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def embed_evidence(run: Run, index: int, title: str) -> str:
    """Return the evidence of one of a run's clips as an embedded figure.

    Args:
        run: a finished run.
        index: of the clip, in `run.clips`.
        title: of the figure.
    """
    path = str(run.clips["path"][index])
    targets = sampled_target_frames(path, run.frames) if is_synthetic(path) else None
    return embed_figure(plot_evidence(run.evidence[index], run.labels, title, targets))


def measured_on(runs: Sequence[Run]) -> str:
    """Return a sentence that says on which data the runs were measured."""
    splits = {f"{run.results['dataset']}, {run.split} ({len(run.clips):,} clips)" for run in runs}
    return f"Measured on {'; '.join(sorted(splits))}."
