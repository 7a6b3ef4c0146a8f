"""`m3dfel data`: crop faces from videos, add movements, check a data set, or pack it."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from m3dfel.cli.messages import print_error, print_problems, print_sentence
from m3dfel.cli.options import Parser, add_overwrite, add_region, settings_of
from m3dfel.config.ranges import FrameSize, PositiveInt
from m3dfel.data.packed.settings import PackSettings


def parser() -> ArgumentParser:
    return Parser(
        description="Crop faces from labeled videos, estimate what moves in them, check a data "
        "set, or pack it for faster training."
    )


def add_actions(parser: ArgumentParser) -> None:
    actions = parser.add_subcommands(required=True, dest="action", metavar="ACTION")
    actions.add_subcommand("crop", _crop_parser(), help="make clips of faces from labeled videos")
    actions.add_subcommand(
        "movements", _movements_parser(), help="estimate what moves in the faces, to learn it too"
    )
    actions.add_subcommand("check", _check_parser(), help="read every clip and list all problems")
    actions.add_subcommand("pack", _pack_parser(), help="write all clips into one file")


def run(options: Namespace) -> int:
    actions = {"crop": _crop, "movements": _movements, "check": _check, "pack": _pack}
    return actions[options.action](options[options.action])


def _crop_parser() -> ArgumentParser:
    parser = Parser(
        description="Make clips of one aligned face from labeled videos of whole scenes, and a "
        "table of them, clips.csv, that every command takes. Faces are found as in `m3dfel "
        "predict`. Of several faces, the largest is taken. Frames without a face are left out. Run "
        "the same command again to continue after an interruption, or after you have labeled more.",
        epilog="Example: m3dfel data crop interviews.csv clips",
    )
    parser.add_argument(
        "labels_at",
        metavar="LABELS",
        help="a CSV (file, emotion; also start_s, end_s, person, identity, split, votes_…), "
        "folders named after emotions, a document of ELAN (.eaf) or a folder of them, events of "
        "BORIS, the root of CREMA-D or RAVDESS",
    )
    parser.add_argument("clips", metavar="CLIPS", help="the folder to write")
    parser.add_argument(
        "--size",
        type=FrameSize,
        default=128,
        help="height and width in pixels: enough for the bundled model; 224 for the published one",
    )
    parser.add_argument("--person", default="", help="only what is labeled as this person's")
    add_region(parser)
    _add_labels(parser)
    parser.add_argument(
        "--jobs",
        type=PositiveInt,
        help="videos read at the same time; default: one for each processor core",
    )
    add_overwrite(parser)
    return parser


def _crop(options: Namespace) -> int:
    from m3dfel.data.cropping.crop import PROBLEMS, crop
    from m3dfel.predictions.persons import parse_region
    from m3dfel.processes import usable_cores

    region = parse_region(options.region) if options.region else None
    jobs = options.jobs or usable_cores()
    cropped = crop(
        options.labels_at,
        options.clips,
        options.size,
        region,
        options.person,
        options.labels,
        jobs,
        options.overwrite,
    )
    print_sentence(
        f"cropped: {cropped.clips} clips, {cropped.frames} frames, in {options.clips}; left out: "
        f"{cropped.left_out} frames that do not show the face"
    )
    if cropped.ignored:
        words = ", ".join(f"{word} {count}" for word, count in cropped.ignored.most_common(5))
        print_sentence(
            f"ignored: {cropped.ignored.total()} labels that are no emotion ({words}): name "
            "emotions other than the seven with --labels"
        )
    print_problems(f"{problem.path}: {problem.what}" for problem in cropped.problems)
    if cropped.problems:
        print_error(
            f"problems with {len(cropped.problems)} labels: see {Path(options.clips, PROBLEMS)}"
        )
    return 1 if cropped.problems else 0


def _movements_parser() -> ArgumentParser:
    parser = Parser(
        description="Estimate what moves in labeled faces, as the blendshapes of ARKit, and write "
        "it beside their table (clips.csv: clips_movements.parquet). `m3dfel train "
        "--loss.movements 0.5` then learns it beside the emotion. Needs MediaPipe (the extra "
        "movements). Run the same command again to continue after an interruption.",
        epilog="Example: m3dfel data movements clips/clips.csv face_landmarker.task",
    )
    parser.add_argument("clips", metavar="CLIPS", help="a CSV file of clips of one aligned face")
    parser.add_argument(
        "landmarker",
        metavar="LANDMARKER",
        help="MediaPipe's face landmarker with blendshapes, a .task file",
    )
    return parser


def _movements(options: Namespace) -> int:
    from m3dfel.data.landmarker import estimate_movements

    path, faces, without = estimate_movements(options.clips, options.landmarker)
    print_sentence(f"estimated: {faces} frames, in {path}; no face was found in {without}")
    return 0


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

    settings = settings_of(PackSettings, options)
    packed = pack(options.path, options.store, settings, options.fold, options.labels)
    for problem in packed.problems:
        print_error(f"left out: {problem.path}: {problem.what}")
    print_sentence(
        f"packed: {packed.clips} clips, {packed.frames} frames, {packed.size / 1e6:.1f} MB in "
        f"{options.store}"
    )
    return 0
