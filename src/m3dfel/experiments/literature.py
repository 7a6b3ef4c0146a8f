"""Published results (`literature.yaml`), printed next to ours and never as ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import yaml


@dataclass(frozen=True)
class Published:
    """The published results of one method.

    Attributes:
        method: its name, with the year of the paper where known.
        results: from data set to WAR and UAR in percent; None where the source gives no value.
        source: where the numbers were read.
        idea: what the method does differently.
        protocol: from data set to the folds used, where the source says so.
    """

    method: str
    results: Mapping[str, tuple[float, float | None]]
    source: str
    idea: str = ""
    protocol: Mapping[str, str] = field(default_factory=dict)


@cache
def published() -> tuple[Published, ...]:
    """Return the published results, in the order of the table."""
    text = (files(__package__) / "literature.yaml").read_text(encoding="utf-8")
    return tuple(Published(**row) for row in yaml.safe_load(text))
