"""The parser of a command, and the options that several commands have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Literal, TypeVar

from jsonargparse import ArgumentParser, Namespace

T = TypeVar("T")

MODEL = "a run, the folder of a model, a .pth file, a name on the hub, or `bundled`"


class Parser(ArgumentParser):
    """A parser whose help ends with lists that are made only when it is shown."""

    def __init__(self, *, lists: Callable[[], str] | None = None, **arguments: Any) -> None:
        super().__init__(**({"exit_on_error": False} | arguments))
        self._lists = lists

    def format_help(self, *arguments: Any) -> str:
        text: str = super().format_help(*arguments)
        return text + ("\n" + self._lists() if self._lists else "")


def list_names(title: str, meanings: Mapping[str, str], width: int = 12) -> str:
    """Return names and what they mean, one a line, for the end of a help text."""
    lines = (f"  {name:{width}} {meaning}".rstrip() for name, meaning in meanings.items())
    return "\n".join([f"{title}:", *lines]) + "\n"


def add_language(parser: ArgumentParser) -> None:
    """Add the option for the language of emotions."""
    parser.add_argument(
        "--lang",
        type=Literal["en", "zh"],
        default="en",
        help="language of results for people, such as pictures and subtitles; Chinese needs a font",
    )


def add_device(parser: ArgumentParser) -> None:
    """Add the option for the device that runs the model."""
    parser.add_argument(
        "--device",
        default="auto",
        help="cpu, cuda, mps; auto: CUDA if there is one, else MPS, else CPU",
    )


def add_region(parser: ArgumentParser) -> None:
    """Add the option for a part of the picture."""
    parser.add_argument(
        "--region",
        metavar="X1,Y1,X2,Y2",
        help="only faces in this region of the picture: left, top, right, bottom in pixels",
    )


def settings_of(kind: type[T], options: Namespace) -> T:
    """Return the settings whose fields a parser has got by `add_class_arguments`."""
    return kind(**{field.name: options[field.name] for field in fields(kind)})  # type: ignore[arg-type]


def add_overwrite(parser: ArgumentParser) -> None:
    """Add the option that lets results replace other files."""
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files that m3dfel did not write, or that were changed since",
    )
