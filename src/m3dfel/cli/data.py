"""`m3dfel data`: check a data set, or pack it for faster training."""

from __future__ import annotations

from dataclasses import fields

from jsonargparse import ArgumentParser, Namespace

from m3dfel.cli.messages import print_error, print_sentence
from m3dfel.cli.options import Parser
from m3dfel.data.packed.settings import PackSettings


def parser() -> ArgumentParser:
    return Parser(description="Check a data set, or pack it for faster training.")


def add_actions(parser: ArgumentParser) -> None:
    actions = parser.add_subcommands(required=True, dest="action", metavar="ACTION")
    actions.add_subcommand("check", _check_parser(), help="read every clip and list all problems")
    actions.add_subcommand("pack", _pack_parser(), help="write all clips into one file")


def run(options: Namespace) -> int:
    action = {"check": _check, "pack": _pack}[options.action]
    return action(options[options.action])


def _check_parser() -> ArgumentParser:
    parser = Parser(
        description="Check a data set before a long training: read every clip and list all "
        "problems at once; of a packed store, also compare the checksums. Exits with 2 if there "
        "are any.",
        epilog="Example: m3dfel data check DFEW --fold 1",
    )
    parser.add_argument(
        "path", help="a data set's root, a store, a manifest (CSV, text), or `synthetic`"
    )
    parser.add_argument("--fold", type=int, default=1, help="official fold of the data set")
    _add_labels(parser)
    return parser


def _add_labels(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--labels",
        nargs="+",
        default=[],
        help="the label set, if it has emotions other than the seven",
    )


def _check(options: Namespace) -> int:
    from m3dfel.data.checking import check_data
    from m3dfel.report.terminal import print_manifest

    manifest = check_data(options.path, options.fold, options.labels)
    print_manifest(manifest)
    return 2 if manifest.problems else 0


def _pack_parser() -> ArgumentParser:
    parser = Parser(
        description="Write all clips of a data set into a store, a folder that every command takes "
        "as --data or --data.path: training reads several times as many clips per second from it. "
        "It contains each clip once, with its labels and its splits in all folds. Run the same "
        "command again to resume where it left off.",
        epilog="Example: m3dfel data pack DFEW dfew-store",
    )
    parser.add_argument("path", help="a data set's root, or a manifest (CSV, text)")
    parser.add_argument("store", help="the folder to write")
    parser.add_argument(
        "--fold", type=int, nargs="+", default=[], help="only the splits of these official folds"
    )
    _add_labels(parser)
    parser.add_class_arguments(PackSettings)
    return parser


def _pack(options: Namespace) -> int:
    from m3dfel.data.packed.packing import pack

    names = [field.name for field in fields(PackSettings)]
    settings = PackSettings(**{name: options[name] for name in names})
    packed = pack(options.path, options.store, settings, options.fold, options.labels)
    for problem in packed.problems:
        print_error(f"left out: {problem.path}: {problem.what}")
    print_sentence(
        f"packed: {packed.clips} clips, {packed.frames} frames, {packed.size / 1e6:.1f} MB in "
        f"{options.store}"
    )
    return 0
