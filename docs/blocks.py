"""Blocks of pages that are generated when the site is built, so that no fact is written twice.

A line like `<!-- section CONTRIBUTING.md "Add a part" -->` in a page becomes what the function of
that name below returns. mkdocs calls `on_page_markdown` for every page.
"""

from __future__ import annotations

import io
import re
import shlex
from contextlib import redirect_stdout, suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

from m3dfel import cli
from m3dfel.config import recipes
from m3dfel.data.layouts import LAYOUTS
from m3dfel.experiments.literature import published as published_results
from m3dfel.models.aggregations import AGGREGATIONS
from m3dfel.models.backbones import BACKBONES
from m3dfel.report.exports import FORMATS

ROOT = Path(__file__).parents[1]

# Documents outside of this folder that are pages of the site.
_PAGES = {
    "README.md": "index.md",
    "README.zh-CN.md": "zh.md",
    "CONTRIBUTING.md": "extend.md",
    "CHANGELOG.md": "changelog.md",
}
_BLOCK = re.compile(r"^<!-- (\w+) ?(.*?) -->$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s:#]+)(#[^)\s]+)?\)")
_HEADING = re.compile(r"(#+) ")
_NONE = "–"
_RUNS = ("train", "crossval", "ablate", "compare")
_ACTIONS = {"data": ["crop", "check", "pack"]}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the blocks of a page."""
    return _BLOCK.sub(lambda match: BLOCKS[match[1]](*shlex.split(match[2])), markdown)


def section(document: str, heading: str = "") -> str:
    """Return what is under a heading of a document; subheadings become those of a page.

    Args:
        document: in the root folder of the project.
        heading: of the section; if empty, everything before the second heading: title and summary.
    """
    parts = _split_at_headings((ROOT / document).read_text(encoding="utf-8"))
    if not heading:
        return _with_links_of_the_site(parts[0])
    titles = [part.split("\n", 1)[0].lstrip("#").strip() for part in parts]
    if heading not in titles:
        raise SystemExit(f"{document} has no section {heading!r}, only {', '.join(titles)}")
    first = titles.index(heading)
    level = _level(parts[first])
    below = list(takewhile(lambda part: _level(part) > level, parts[first + 1 :]))
    body = parts[first].split("\n", 1)[1] + "".join(part[level - 1 :] for part in below)
    return _with_links_of_the_site(body)


def document(name: str) -> str:
    """Return a whole document of the root folder."""
    return _with_links_of_the_site((ROOT / name).read_text(encoding="utf-8"))


def published() -> str:
    """Return the published results as a table: WAR / UAR on each data set."""
    data_sets = list(dict.fromkeys(name for row in published_results() for name in row["results"]))
    rows = [
        [row["method"], *(_result(row, name) for name in data_sets)]
        + [row.get("idea", _NONE), row["source"]]
        for row in published_results()
    ]
    return _table(["WAR / UAR in %", *data_sets, "what is special", "read in"], rows)


def _result(row: dict[str, Any], data_set: str) -> str:
    if data_set not in row["results"]:
        return _NONE
    result, protocol = row["results"][data_set], row.get("protocol", {}).get(data_set)
    values = "\u00a0/\u00a0".join(_NONE if value is None else f"{value:.2f}" for value in result)
    return f"{values} ({protocol})" if protocol else values


def formats() -> str:
    """Return the formats of predictions as a table."""
    rows = [[f"`{n}`", f"`<stem>{f.ending}`", f.meaning] for n, f in FORMATS.items()]
    return _table(["format", "file", "what it is"], rows)


def layouts() -> str:
    """Return the layouts of data sets as a table."""
    names = LAYOUTS.names()
    rows = [[n, LAYOUTS.get(n).expects, _summary(LAYOUTS.get(n)), LAYOUTS.get(n)] for n in names]
    return _table(
        ["layout", "recognized by", "what it is", "official folds"],
        [[*row[:3], str(row[3].folds or _NONE)] for row in rows],
    )


def parts() -> str:
    """Return the backbones and aggregations with their options as a table."""
    rows = [
        [kind, f"`{name}`", _summary(table.get(name)), _options(table.options(name))]
        for kind, table in (("backbone", BACKBONES), ("aggregation", AGGREGATIONS))
        for name in table.names()
    ]
    return _table(["part", "name", "what it is", "options"], rows)


def _options(options: dict[str, Any]) -> str:
    return ", ".join(f"`{name}`" for name in options) or _NONE


def _summary(part: type) -> str:
    """Return the first line of a docstring."""
    return (part.__doc__ or "").split("\n")[0]


def recipe(name: str) -> str:
    """Return a recipe that ships with the package."""
    return f"```yaml\n{recipes()[name].read_text(encoding='utf-8')}```\n"


def commands() -> str:
    """Return the help of every command, apart from those that are only settings of a run."""
    names = [name for name in cli.COMMANDS if name not in _RUNS]
    actions = [f"{name} {action}" for name in names for action in _ACTIONS.get(name, [""])]
    return "\n".join(f"## m3dfel {name}\n\n{_help(name)}" for name in map(str.strip, actions))


def _help(command: str) -> str:
    text = io.StringIO()
    with redirect_stdout(text), suppress(SystemExit):
        cli.main([*command.split(), "--help"])
    return f"```text\n{text.getvalue()}```\n"


BLOCKS = {
    "section": section,
    "document": document,
    "published": published,
    "formats": formats,
    "layouts": layouts,
    "parts": parts,
    "recipe": recipe,
    "commands": commands,
}


def _split_at_headings(text: str) -> list[str]:
    """Split a document before every heading that is not in a block of code."""
    parts, in_code = [""], False
    for line in text.splitlines(keepends=True):
        in_code ^= line.startswith("```")
        if _level(line) and not in_code and parts[-1]:
            parts.append("")
        parts[-1] += line
    return parts


def _level(text: str) -> int:
    """Return the level of the heading that a text starts with, or 0."""
    match = _HEADING.match(text)
    return len(match[1]) if match else 0


def _with_links_of_the_site(text: str) -> str:
    """Let links of a document in the root folder lead to pages of the site, or else nowhere."""

    def lead(match: re.Match[str]) -> str:
        label, target, anchor = match.groups(default="")
        page = _PAGES.get(target) or target.removeprefix("docs/")
        return f"[{label}]({page}{anchor})" if (ROOT / "docs" / page).is_file() else label

    return _LINK.sub(lead, text)


def _table(headings: list[str], rows: list[list[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
