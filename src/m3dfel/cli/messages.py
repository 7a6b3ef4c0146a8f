"""Single sentences for the terminal; tables are printed by `m3dfel.report.terminal`."""

from collections.abc import Iterable
from itertools import islice

from rich.console import Console
from rich.markup import escape

from m3dfel.files import shown

ERRORS = Console(stderr=True)


def print_error(sentence: object) -> None:
    """Print a sentence about what went wrong, on the standard error."""
    text = escape(shown(str(sentence)))
    ERRORS.print(f"[bold red]error:[/] {text}", highlight=False, soft_wrap=True)


def print_problems(sentences: Iterable[str]) -> None:
    """Print sentences about what went wrong: the first twenty, as a table has all of them."""
    for sentence in islice(sentences, 20):
        print_error(sentence)


def print_sentence(sentence: str) -> None:
    """Print a sentence about what was done."""
    Console().print(shown(sentence), highlight=False)
