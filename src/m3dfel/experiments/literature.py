"""Published results (`literature.yaml`), printed next to ours and never as ours."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@cache
def published() -> list[dict[str, Any]]:
    """Return the published results of each method as a row; the file explains its columns."""
    text = (files(__package__) / "literature.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)
