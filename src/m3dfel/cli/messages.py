"""Single sentences for the terminal; tables are printed by `m3dfel.report.terminal`."""

from rich.console import Console
from rich.markup import escape

ERRORS = Console(stderr=True)


def print_error(sentence: object) -> None:
    """Print a sentence about what went wrong, on the standard error."""
    ERRORS.print(f"[bold red]error:[/] {escape(str(sentence))}", highlight=False, soft_wrap=True)


def print_sentence(sentence: str) -> None:
    """Print a sentence about what was done."""
    Console().print(sentence, highlight=False)
