"""`m3dfel live`: recognize the faces in front of a camera."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from m3dfel.cli.options import Parser, add_device
from m3dfel.recognition.defaults import CLIP_S, SMOOTH_S
from m3dfel.video.defaults import SEARCH_EVERY


def parser() -> ArgumentParser:
    parser = Parser(
        description="Show what the faces in front of a camera express, until Ctrl+C is pressed: "
        "bars in the terminal, and optionally a window, a video, or lines of JSON.",
        epilog="Example: m3dfel live --window --record me.mp4",
    )
    parser.add_argument(
        "source", nargs="?", default="0", help="number of a camera, or a video to play; default: 0"
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
    parser.add_argument("--clip_s", type=float, default=CLIP_S, help="seconds per clip")
    parser.add_argument(
        "--smooth_s",
        type=float,
        default=SMOOTH_S,
        help="standard deviation in seconds of the Gaussian that averages over time; answers are "
        "delayed by four times as much",
    )
    parser.add_argument(
        "--search_every", type=int, default=SEARCH_EVERY, help="as for `m3dfel predict`"
    )
    add_device(parser)
    return parser


def run(options: Namespace) -> int:
    from m3dfel.live.session import run_live
    from m3dfel.recognition.recognizer import Recognizer

    recognizer = Recognizer.from_pretrained(
        options.model,
        device=options.device,
        clip_s=options.clip_s,
        smooth_s=options.smooth_s,
        search_every=options.search_every,
    )
    run_live(
        recognizer,
        int(options.source) if options.source.isdecimal() else options.source,
        window=options.window,
        lines=options.json,
        recording=Path(options.record) if options.record else None,
    )
    return 0
