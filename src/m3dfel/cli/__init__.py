"""The command line: turns words into calls, and computes nothing.

Each command is a module of this package with two functions: `parser()` returns its options, and
`run(options)` does the work and returns the exit code. torch is imported only in `run`, so that
`m3dfel --help` is quick.
"""

from __future__ import annotations

import logging
import signal
import sys
from _thread import interrupt_main
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from io import TextIOWrapper
from threading import Timer, current_thread, main_thread
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser
from rich.logging import RichHandler

from m3dfel import __version__
from m3dfel.cli.argv import load_plugins, with_recipes
from m3dfel.cli.messages import ERRORS, print_error
from m3dfel.config.parsing import explain
from m3dfel.errors import InputError
from m3dfel.files import shown

# The commands in the order of the help. Each is the name of a module here.
COMMANDS = {
    "app": "serve a page in the browser for your videos",
    "predict": "recognize the expressions in videos",
    "live": "recognize the expressions in front of a camera",
    "summarize": "summarize predictions",
    "demo": "train, evaluate and run a small model",
    "data": "check or pack a data set",
    "train": "train a model on a data set",
    "evaluate": "evaluate a model on a data set",
    "failures": "find out why a model fails",
    "report": "write a page about finished runs",
    "crossval": "train and evaluate all folds",
    "ablate": "train with one setting varied",
    "compare": "train several methods",
    "export": "write a model for another engine",
}

_GREETING = """\
m3dfel shows what the faces in a video express, and when.

  m3dfel app             a page in the browser, for your videos and the webcam
  m3dfel predict VIDEO   a timeline for each person, as a table and a picture
  m3dfel live            what a camera sees now
  m3dfel demo            train a small model on drawn faces, in a few minutes
  m3dfel --help          all commands"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit code: 0, 2 for bad input, or 128 + the number of the signal that ended it.
    """
    with _signals_as_interrupts():
        return _main(arguments)


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """Let the signals of terminals that close, Slurm, systemd and Docker act as Ctrl+C does."""

    def interrupt(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # cleaning up is not to be interrupted
        raise KeyboardInterrupt(number)

    def interrupt_again(lost: sys.UnraisableHookArgs) -> None:
        """Interrupt once more where Python cannot raise, such as while it frees an object."""
        if not isinstance(lost.exc_value, KeyboardInterrupt):
            show_lost(lost)
            return
        number = lost.exc_value.args[0] if lost.exc_value.args else signal.SIGINT
        if number != signal.SIGINT:
            signal.signal(number, interrupt)
        Timer(_SOON_S, _signal_main_thread, [number]).start()  # here, it would be lost again

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    in_main = current_thread() is main_thread()
    before = {number: signal.getsignal(number) for number in numbers if in_main}
    show_lost = sys.unraisablehook
    sys.unraisablehook = interrupt_again
    for number, handler in before.items():
        if handler == signal.SIG_DFL:  # `nohup` ignores one
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        sys.unraisablehook = show_lost
        for number, handler in before.items():
            signal.signal(number, handler)


def _signal_main_thread(number: int) -> None:
    ident = main_thread().ident
    if hasattr(signal, "pthread_kill") and ident:
        signal.pthread_kill(ident, number)  # also ends what it waits for
    else:
        interrupt_main(signal.Signals(number))


_SOON_S = 0.01


def _main(arguments: Sequence[str] | None) -> int:
    handler = RichHandler(console=ERRORS, show_time=False, show_path=False)
    handler.setFormatter(_Formatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    # Names of files may contain what a console, or a file on Windows, has no characters for.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        words = load_plugins(list(sys.argv[1:] if arguments is None else arguments))
        if not words:
            print(_GREETING)
            return 0
        named = words[0] if words[0] in COMMANDS else None
        options = parser(named).parse_args(with_recipes(words))
        return _command(options.command).run(options[options.command])
    except ArgumentError as error:
        command = f"{words[0]} " if words and words[0] in COMMANDS else ""
        print_error(f"{explain(error)} (see m3dfel {command}--help)")
        return 2
    except InputError as error:
        print_error(error)
        return 2
    except PermissionError as error:
        print_error(f"no permission to use {error.filename}: change that, or name another path")
        return 2
    except KeyboardInterrupt as error:
        ERRORS.print("interrupted: run the command again to continue, a training with --resume")
        return 128 + (error.args[0] if error.args else signal.SIGINT)


class _Formatter(logging.Formatter):
    """Leaves out of messages what could control the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # as in logging
        return shown(super().formatMessage(record))


def parser(only: str | None = None) -> ArgumentParser:
    """Return the parser of the whole command line, with the options of all commands or of one.

    Those of one take a fifth of the time.
    """
    parser = ArgumentParser(
        prog="m3dfel",
        exit_on_error=False,
        version=__version__,
        description="Recognize facial expressions in videos, and train and evaluate models for it: "
        "M3DFEL with the intensity-aware loss.",
        epilog="First steps: `m3dfel predict VIDEO`, or `m3dfel demo` to train a model.",
    )
    parser.add_argument(
        "--plugin",
        metavar="FILE",
        help="a Python file or module with backbones, aggregations or data layouts of your own; "
        "may be given several times",
    )
    commands = parser.add_subcommands(required=True, dest="command", metavar="COMMAND")
    for name, sentence in COMMANDS.items():
        if only not in (name, None):
            commands.add_subcommand(name, ArgumentParser(), help=sentence)
            continue
        command = _command(name)
        added = commands.add_subcommand(name, command.parser(), help=sentence)
        # jsonargparse wants a command to be added before its own actions are.
        if hasattr(command, "add_actions"):
            command.add_actions(added)
    return parser


def _command(name: str) -> Any:
    return import_module(f"{__name__}.{name}")
