"""`m3dfel app`: serve a page in the browser."""

from __future__ import annotations

import time
import webbrowser
from contextlib import suppress

from jsonargparse import ArgumentParser, Namespace

from m3dfel.cli.messages import print_sentence
from m3dfel.cli.options import Parser, add_device
from m3dfel.config.ranges import PositiveFloat, PositiveInt


def parser() -> ArgumentParser:
    parser = Parser(
        description="Open a page in the browser: choose a video or record one, and see what each "
        "face expresses and when. Needs the extra `web`. Stop it with Ctrl+C.",
        epilog="Example: m3dfel app",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; with 0.0.0.0, other computers can open the page",
    )
    parser.add_argument("--port", type=PositiveInt, default=7860, help="port to listen on")
    parser.add_argument(
        "--max_minutes",
        type=PositiveFloat,
        default=10.0,
        help="maximum length of a video",
    )
    parser.add_argument(
        "--max_mb", type=PositiveInt, default=500, help="maximum size of a video in megabytes"
    )
    parser.add_argument(
        "--no_browser", action="store_true", help="print the address, and open no browser"
    )
    parser.add_argument("--model", default="bundled", help="as for `m3dfel predict`")
    add_device(parser)
    return parser


def run(options: Namespace) -> int:
    print_sentence("Starting the page …")
    from m3dfel.recognition.recognizer import Recognizer
    from m3dfel.web.app import running_page

    model = Recognizer(options.model, device=options.device).model
    limits = {"max_minutes": options.max_minutes, "max_mb": options.max_mb}
    with (
        suppress(KeyboardInterrupt),
        running_page(
            lambda: Recognizer(model, device=options.device), options.host, options.port, **limits
        ) as url,
    ):
        print_sentence(f"Open {url} in a browser. Ctrl+C stops the page.")
        if not options.no_browser:
            webbrowser.open(url)
        while True:
            time.sleep(1)
    return 0
