"""`m3dfel live`: recognize the faces in front of a camera."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from m3dfel.cli.messages import print_error, print_sentence
from m3dfel.cli.options import Parser, add_overwrite, settings_of
from m3dfel.recognition.settings import RecognizerSettings


def parser() -> ArgumentParser:
    parser = Parser(
        description="Show what the faces in front of a camera express, until Ctrl+C is pressed: "
        "bars in the terminal, and optionally a window, a video, or lines of JSON.",
        epilog="Example: m3dfel live --window --record me.mp4",
    )
    parser.add_argument(
        "source",
        nargs="?",
        default="0",
        help="number of a camera, its URL such as rtsp://…, or a video to play; default: 0",
    )
    parser.add_argument("--model", default="bundled", help="as for `m3dfel predict`")
    parser.add_argument(
        "--window", action="store_true", help="show the picture with boxes; q closes it"
    )
    parser.add_argument(
        "--record", metavar="FILE", help="write an annotated video of what was seen (MP4)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print each update as a line of JSON, without bars"
    )
    parser.add_class_arguments(RecognizerSettings)
    add_overwrite(parser)
    return parser


def run(options: Namespace) -> int:
    from m3dfel.live.session import run_live
    from m3dfel.recognition.recognizer import Recognizer
    from m3dfel.report.terminal import print_spans

    recognizer = Recognizer(options.model, settings_of(RecognizerSettings, options))
    prediction = run_live(
        recognizer,
        int(options.source) if options.source.isdecimal() else options.source,
        window=options.window,
        lines=options.json,
        recording=Path(options.record) if options.record else None,
        overwrite=options.overwrite,
    )
    if prediction.clips.empty:
        print_error("no face was found: it has to be large enough and turned toward the camera")
    elif not options.json:
        print_spans(prediction, "what was seen")
        kept = (
            f"written: {options.record}"
            if options.record
            else "nothing was kept; --record FILE keeps a video"
        )
        print_sentence(kept)
    return 0
