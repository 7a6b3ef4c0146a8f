"""The page: a place to drop a video, the progress of the work, the result, and their server.

The last step for people who do not program. Built with Gradio, an extra. The page loads nothing
from elsewhere and sends nothing anywhere: fonts are the system's, and analytics are off.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from m3dfel.errors import InputError
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.web.analysis import UnsuitableVideo
from m3dfel.web.defaults import HOST, MAX_MB, MAX_MINUTES, PORT
from m3dfel.web.jobs import Job, Jobs, Stopped
from m3dfel.web.result import render, render_result
from m3dfel.web.translations import WORDS, Language, choose_language, translate

# Gradio reads it while it is imported.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
try:
    import gradio as gr
except ImportError as error:
    raise InputError(
        "the page needs Gradio: run pip install '.[web]' in the folder of m3dfel"
    ) from error

logger = logging.getLogger(__name__)

_FILES = Path(__file__).parent
_REFRESH_S = 0.4
# Earlier, the time left would be a wild guess.
_MIN_ELAPSED_S, _MIN_PROGRESS = 2.0, 0.03
# Uploads that never became a job are looked for this often, and removed at this age, in seconds.
_FORGOTTEN_S = (600, 3600)


@contextmanager
def running_page(
    recognizer: Callable[[], Recognizer],
    host: str = HOST,
    port: int = PORT,
    max_minutes: float = MAX_MINUTES,
    max_mb: int = MAX_MB,
) -> Iterator[str]:
    """Serve the page while the block runs; yield its address.

    All uploads and results are in a temporary folder, which is removed at the end.

    Args:
        recognizer: returns a recognizer for one video. They may share a model, but no detector.
        host: the address to listen on; with 0.0.0.0, other computers can open the page.
        port: the port to listen on.
        max_minutes: length that a video may have.
        max_mb: size in megabytes that a video may have.

    Raises:
        InputError: the port is in use, or the host is not an address of this computer.
    """
    with TemporaryDirectory(prefix="m3dfel-", ignore_cleanup_errors=True) as name:
        uploads, results = (Path(name).resolve() / part for part in ("uploads", "results"))
        os.environ["GRADIO_TEMP_DIR"] = str(uploads)
        jobs = Jobs(results, recognizer, 60 * max_minutes)
        limits = {"minutes": f"{max_minutes:g}", "mb": str(max_mb)}
        max_bytes = max_mb * 1_000_000
        page = _Page(jobs, limits).blocks
        try:
            _, url, _ = page.launch(
                server_name=host,
                server_port=port,
                max_file_size=max_bytes,
                allowed_paths=[str(results)],
                i18n=_translations(limits),
                theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
                css_paths=_FILES / "page.css",
                head=_script(max_bytes, limits),
                prevent_thread_lock=True,
                quiet=True,
                share=False,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                run_history=False,
                enable_monitoring=False,
                footer_links=[],
            )
        except OSError as error:
            raise InputError(
                f"cannot serve the page on {host}, port {port} ({error}): choose others with "
                "--host and --port"
            ) from error
        try:
            yield url
        finally:
            jobs.close_all()
            page.close(verbose=False)


def _script(max_bytes: int, limits: dict[str, str]) -> str:
    """Return the script of the page, which also refuses files that are too large."""
    sentence = {language: translate(language, "too_large", **limits) for language in WORDS}
    settings = json.dumps({"bytes": max_bytes, "sentence": sentence})
    script = (_FILES / "page.js").read_text(encoding="utf-8")
    return f"<script>const limits = {settings};\n{script}</script>"


def _translations(limits: dict[str, str]) -> gr.I18n:
    """Return the words that are on the page before there is a result."""
    static = ("title", "lead", "limits", "stop", "another", "purpose")
    return gr.I18n(
        **{
            language: {word: translate(language, word, **limits) for word in static}
            for language in WORDS
        }
    )


class _Page:
    """The components of the page, of which one view is visible at a time: start, work or result.

    Args:
        jobs: the work on the videos of all users.
        limits: what sentences say about the length and size of a video.
    """

    def __init__(self, jobs: Jobs, limits: dict[str, str]) -> None:
        self._jobs, self._limits = jobs, limits
        words = gr.I18n()
        with gr.Blocks(title="m3dfel", analytics_enabled=False, delete_cache=_FORGOTTEN_S) as page:
            gr.Markdown(words("title"), elem_id="m3-title")
            with gr.Column() as self._start:
                gr.Markdown(words("lead"), elem_id="m3-lead")
                self._problem = gr.HTML(apply_default_css=False)
                self._drop = gr.Video(
                    sources=["upload", "webcam"],
                    include_audio=True,
                    show_label=False,
                    elem_id="m3-drop",
                    webcam_options=gr.WebcamOptions(mirror=False),
                )
                gr.Markdown(words("limits"), elem_id="m3-limits")
            with gr.Column(visible=False) as self._work:
                self._progress = gr.HTML(apply_default_css=False)
                stop = gr.Button(words("stop"), elem_id="m3-stop")
            with gr.Column(visible=False) as self._done:
                another = gr.Button(words("another"), elem_id="m3-another")
                self._result = gr.HTML(apply_default_css=False)
            gr.Markdown(words("purpose"), elem_id="m3-purpose")
            views = [
                *(self._start, self._work, self._done),
                *(self._drop, self._problem, self._progress, self._result),
            ]
            quick: dict[str, Any] = {"queue": False, "show_progress": "hidden"}
            gr.on(
                [self._drop.upload, self._drop.stop_recording],
                self._analyze,
                self._drop,
                views,
                show_progress="hidden",
                concurrency_limit=None,
                api_visibility="private",
            )
            stop.click(self._close, **quick, api_visibility="private")
            another.click(self._begin_again, outputs=views, **quick, api_visibility="private")
            page.unload(self._close)
        self.blocks = page

    async def _analyze(
        self, upload: str | None, request: gr.Request
    ) -> AsyncIterator[dict[Any, Any]]:
        """Work on a video; yield what the page shows meanwhile, and at the end."""
        if upload is None:
            return
        language = choose_language(request.headers.get("accept-language", ""))
        try:
            job = self._jobs.start(str(request.session_hash), Path(upload))
        except FileNotFoundError:
            yield self._view(
                "start", render("problem.html", language, sentence=translate(language, "gone"))
            )
            return
        while not job.future.done():
            yield self._view("work", _progress(job, language))
            await asyncio.sleep(_REFRESH_S)
        yield self._outcome(job, language)

    def _outcome(self, job: Job, language: Language) -> dict[Any, Any]:
        try:
            return self._view("result", render_result(job.future.result(), language))
        except (Stopped, CancelledError):
            return self._view("start")
        except UnsuitableVideo as error:
            reason = str(error)
        except Exception:
            logger.exception("a video could not be worked on")
            reason = "failed"
        sentence = translate(language, reason, **self._limits)
        return self._view("start", render("problem.html", language, sentence=sentence))

    def _view(self, name: str, content: str = "") -> dict[Any, Any]:
        """Return the updates that show one view, with its content."""
        return {
            self._start: gr.Column(visible=name == "start"),
            self._work: gr.Column(visible=name == "work"),
            self._done: gr.Column(visible=name == "result"),
            self._problem: content if name == "start" else "",
            self._progress: content if name == "work" else "",
            self._result: content if name == "result" else "",
        } | ({self._drop: None} if name != "work" else {})

    def _close(self, request: gr.Request) -> None:
        self._jobs.close(str(request.session_hash))

    def _begin_again(self, request: gr.Request) -> dict[Any, Any]:
        self._close(request)
        return self._view("start")


def _progress(job: Job, language: Language) -> str:
    step = "waiting" if job.started_s is None else job.step
    return render(
        "progress.html",
        language,
        step=step,
        percent=round(100 * job.progress),
        left=_time_left(job, language),
    )


def _time_left(job: Job, language: Language) -> str:
    """Return how long the rest of the work will take, empty before that can be estimated."""
    elapsed_s = 0.0 if job.started_s is None else time.monotonic() - job.started_s
    if elapsed_s < _MIN_ELAPSED_S or job.progress < _MIN_PROGRESS:
        return ""
    left_s = elapsed_s * (1 - job.progress) / job.progress
    if left_s > 90:
        return translate(language, "minutes_left", n=round(left_s / 60))
    return translate(language, "seconds_left", n=max(1, round(left_s)))
