"""What HTML pages share: rendering a template, and images and tables embedded in the page."""

from __future__ import annotations

import base64
import io
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from matplotlib.figure import Figure


def render(template: str, content: dict[str, Any]) -> str:
    """Return a page: a file of `templates/` filled with content, which is escaped."""
    environment = Environment(loader=PackageLoader("m3dfel.report"), autoescape=True)
    return environment.get_template(template).render(content)


def html_table(table: pd.DataFrame, name: str) -> Markup:
    """Return a table as HTML, with empty cells for missing values.

    Args:
        table: the table.
        name: what screen readers call it.
    """
    wide = Markup('<div class="wide" role="region" tabindex="0" aria-label="{}">{}</div>')
    return wide.format(name, Markup(table.to_html(index=False, border=0, na_rep="")))


def embed_figure(figure: Figure, dpi: float = 110) -> str:
    """Return a figure as the URL of an embedded PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return embed_image(file.getvalue(), "png")


def embed_image(file: bytes, kind: str) -> str:
    """Return an image file of some kind, such as `png`, as a `data:` URL."""
    return f"data:image/{kind};base64,{base64.b64encode(file).decode()}"
