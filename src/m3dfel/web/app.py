"""The server of the page: it takes a video or photos, says how the work goes, and shows the result.

The last step for people who do not program. A small application for Starlette, an extra, that keeps
to itself: the page loads nothing from elsewhere and sends nothing anywhere, other websites cannot
use it, and what was uploaded is removed with the page.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager, contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from m3dfel.errors import InputError, needs_extra
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.web.analysis import Analysis, Unsuitable
from m3dfel.web.jobs import Job, Jobs, Stopped
from m3dfel.web.photos import PhotoAnalysis
from m3dfel.web.result import boxes, render, render_result
from m3dfel.web.translations import WORDS, Language, choose_language, translate

with needs_extra("web", "the page needs Starlette and Uvicorn"):
    import uvicorn
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import (
        FileResponse,
        HTMLResponse,
        JSONResponse,
        PlainTextResponse,
        Response,
    )
    from starlette.routing import Route
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

_FILES = Path(__file__).parent
_EXAMPLE = _FILES / "example.mp4"  # drawn faces: seed 0, identity 101, clip 1 of three emotions
_FOLDER_PREFIX = "m3dfel-page-"
_MAX_PHOTOS = 50  # that are worked on together
_SWEEP_S = 5.0
# What a killed page left behind is older than this: a running one touches its folder at each sweep.
_LEFT_BEHIND_S = 3600.0
_STALLED_S = 60.0  # without a byte of an upload
# Earlier, the time left would be a wild guess.
_MIN_ELAPSED_S, _MIN_PROGRESS = 2.0, 0.03
_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


@contextmanager
def running_page(
    recognizer: Callable[[], Recognizer],
    host: str,
    port: int,
    max_minutes: float,
    max_mb: int,
) -> Iterator[str]:
    """Serve the page while the block runs; yield its address.

    All uploads and results are in a temporary folder, which is removed at the end.

    Args:
        recognizer: returns a recognizer for one user. They may share a model, but no detector.
        host: the address to listen on; with 0.0.0.0, other computers can open the page.
        port: the port to listen on.
        max_minutes: length that a video may have.
        max_mb: size in megabytes that a video, or all photos together, may have.

    Raises:
        InputError: the port is in use, or the host is not an address of this computer.
    """
    _remove_left_behind()
    with (
        TemporaryDirectory(prefix=_FOLDER_PREFIX, ignore_cleanup_errors=True) as folder,
        _listening(host, port) as listener,
    ):
        jobs = Jobs(Path(folder).resolve(), recognizer, 60 * max_minutes)
        limits = {"minutes": f"{max_minutes:g}", "mb": str(max_mb), "photos": str(_MAX_PHOTOS)}
        page = _Page(jobs, limits, 1_000_000 * max_mb, _is_loopback(host))
        config = uvicorn.Config(
            page.application(), log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while thread.is_alive() and not server.started:
            time.sleep(0.01)
        try:
            yield f"http://{host}:{port}/"
        finally:
            jobs.close_all()
            server.should_exit = True
            thread.join()


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except (OSError, OverflowError) as error:
            raise InputError(
                f"cannot serve the page on {host}, port {port} ({error}): choose others with "
                "--host and --port"
            ) from error
        yield listener


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _remove_left_behind() -> None:
    """Remove the folders of pages that were killed."""
    for folder in Path(gettempdir()).glob(f"{_FOLDER_PREFIX}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _LEFT_BEHIND_S:
                shutil.rmtree(folder, ignore_errors=True)


class _OwnPageOnly:
    """Refuses what other websites send, and lets no other website show the page.

    Args:
        app: the application.
        is_local: whether only this computer can open the page, under its few names. Otherwise a
            website could reach it under a name of its own, which it lets point here.
    """

    def __init__(self, app: ASGIApp, is_local: bool) -> None:
        self._app, self._is_local = app, is_local

    def _is_foreign(self, request: Request) -> bool:
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        named = _is_loopback(urlsplit(f"//{host}").hostname or "")
        return (self._is_local and not named) or bool(origin and urlsplit(origin).netloc != host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._is_foreign(Request(scope)):
            await PlainTextResponse("not from this page", 403)(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message["headers"], *own]
            await send(message)

        await self._app(scope, receive, send_with_headers)


async def _static(request: Request) -> Response:
    return FileResponse(_FILES / request.url.path.lstrip("/"))


class _Page:
    """The application, and its answers to all requests.

    Args:
        jobs: the work for all users.
        limits: what sentences say about the length of a video, sizes and the number of photos.
        max_bytes: size of an upload.
        is_local: whether only this computer can open the page.
    """

    def __init__(self, jobs: Jobs, limits: dict[str, str], max_bytes: int, is_local: bool) -> None:
        self._jobs, self._limits = jobs, limits
        self._max_bytes, self._is_local = max_bytes, is_local

    def application(self) -> Starlette:
        """Return what Uvicorn serves."""
        return Starlette(
            routes=[
                Route("/", self.start),
                Route("/page.css", _static),
                Route("/page.js", _static),
                Route("/uploads", self.upload, methods=["POST"]),
                Route("/example", self.example, methods=["POST"]),
                Route("/jobs/{id}", self.status),
                Route("/jobs/{id}/close", self.close, methods=["POST"]),
                Route("/jobs/{id}/leave", self.leave, methods=["POST"]),
                Route("/jobs/{id}/boxes", self.boxes),
                Route("/jobs/{id}/video", self.video),
                Route("/jobs/{id}/photos/{number:int}", self.photo),
                Route("/jobs/{id}/files/{name}", self.file),
            ],
            middleware=[Middleware(_OwnPageOnly, is_local=self._is_local)],
            lifespan=self._sweeping,
        )

    @asynccontextmanager
    async def _sweeping(self, app: Starlette) -> AsyncIterator[None]:
        """Close the jobs whose pages have gone, while the application runs."""

        async def sweep() -> None:
            while True:
                await asyncio.sleep(_SWEEP_S)
                self._jobs.close_abandoned()

        task = asyncio.create_task(sweep())
        yield
        task.cancel()

    async def start(self, request: Request) -> Response:
        language = _language(request)
        words = {word: translate(language, word, **self._limits) for word in WORDS["en"]}
        privacy = "private_here" if self._is_local else "private_there"
        return HTMLResponse(
            render(
                "page.html",
                language,
                limits=self._limits,
                privacy=privacy,
                settings={"words": words, "bytes": self._max_bytes, "photos": _MAX_PHOTOS},
            )
        )

    async def upload(self, request: Request) -> Response:
        """Take files: their names and sizes are in the address, their bytes follow each other."""
        names, sizes = (request.query_params.getlist(word) for word in ("name", "size"))
        if not 0 < len(names) == len(sizes) <= _MAX_PHOTOS or not all(map(str.isdecimal, sizes)):
            return PlainTextResponse("give the name and the size of each file", 400)
        if sum(map(int, sizes)) > self._max_bytes:
            return PlainTextResponse("too large", 413)
        job = self._jobs.new(file_names(names), _language(request))
        try:
            await _receive(request, dict(zip(job.files, map(int, sizes), strict=True)))
        except (ClientDisconnect, TimeoutError, asyncio.TimeoutError):
            job.close()
            return PlainTextResponse("the upload was cut off", 400)
        self._jobs.start(job)
        return JSONResponse({"id": job.id})

    async def example(self, request: Request) -> Response:
        job = self._jobs.new([_EXAMPLE.name], _language(request))
        shutil.copyfile(_EXAMPLE, job.files[0])
        self._jobs.start(job)
        return JSONResponse({"id": job.id})

    async def status(self, request: Request) -> Response:
        job = self._job(request)
        if job is None:
            return PlainTextResponse("no such job", 404)
        if not job.future.done():
            return JSONResponse(_progress(job, self._jobs.place(job)))
        if "brief" in request.query_params:
            return JSONResponse({"state": "open"})
        return JSONResponse(await asyncio.to_thread(self._outcome, job))

    def _outcome(self, job: Job) -> dict[str, Any]:
        try:
            html = render_result(job.future.result(), job.id, job.language)
            return {"state": "done", "html": html}
        except (Stopped, CancelledError):
            return {"state": "stopped"}
        except Unsuitable as error:
            reason: str = error.reason
        except Exception:
            logger.exception("an upload could not be worked on")
            reason = "failed"
        self._jobs.close(job.id)
        return {"state": "failed", "sentence": translate(job.language, reason, **self._limits)}

    async def close(self, request: Request) -> Response:
        await asyncio.to_thread(self._jobs.close, request.path_params["id"])
        return Response(status_code=204)

    async def leave(self, request: Request) -> Response:
        job = self._job(request)
        if job:
            job.leave()
        return Response(status_code=204)

    async def boxes(self, request: Request) -> Response:
        job = self._job(request)
        analysis = job and job.analysis
        if job is None or not isinstance(analysis, Analysis):
            return PlainTextResponse("no such video", 404)
        return JSONResponse(boxes(analysis.prediction, job.language))

    async def video(self, request: Request) -> Response:
        job = self._job(request)
        return FileResponse(job.files[0]) if job else PlainTextResponse("no such video", 404)

    async def photo(self, request: Request) -> Response:
        job, number = self._job(request), request.path_params["number"]
        analysis = job and job.analysis
        if not isinstance(analysis, PhotoAnalysis) or number >= len(analysis.photos):
            return PlainTextResponse("no such photo", 404)
        return FileResponse(analysis.photos[number].shown)

    async def file(self, request: Request) -> Response:
        job = self._job(request)
        if job and job.analysis:
            for path in job.analysis.files.values():
                if path.name == request.path_params["name"]:
                    return FileResponse(path, filename=path.name)
        return PlainTextResponse("no such file", 404)

    def _job(self, request: Request) -> Job | None:
        return self._jobs.get(request.path_params["id"])


def _language(request: Request) -> Language:
    return choose_language(request.headers.get("accept-language", ""))


async def _receive(request: Request, sizes: dict[Path, int]) -> None:
    """Write the files of an upload, whose bytes follow each other.

    Raises:
        ClientDisconnect: it ends too early.
        TimeoutError: it has stalled.
    """
    chunks, left = aiter(request.stream()), b""
    for path, size in sizes.items():
        with path.open("wb") as file:
            while size:
                left = left or await asyncio.wait_for(anext(chunks, b""), _STALLED_S)
                if not left:
                    raise ClientDisconnect
                part, left = left[:size], left[size:]
                size -= len(part)
                await asyncio.to_thread(file.write, part)


def file_names(names: Sequence[str]) -> list[str]:
    """Return different names for uploads, without folders and what file systems do not like."""
    distinct = list[str]()
    for name in names:
        name = name.replace("\\", "/").rsplit("/", 1)[-1]
        name = "".join(char for char in name if char.isprintable() and char not in '<>:"|?*')
        path = Path(name.strip(". ") or "video")
        stem, suffix, number = path.stem[:60], path.suffix[:8], 1
        name = f"{stem}{suffix}"
        while name.casefold() in map(str.casefold, distinct):
            number += 1
            name = f"{stem} ({number}){suffix}"
        distinct.append(name)
    return distinct


def _progress(job: Job, place: int) -> dict[str, Any]:
    step = "starting" if job.started_s is None else job.step
    return {
        "state": "waiting" if place else "working",
        "step": translate(job.language, "waiting" if place else step, n=place),
        "percent": round(100 * job.progress),
        "left": _time_left(job),
    }


def _time_left(job: Job) -> str:
    """Return how long the rest of the work will take, empty before that can be estimated."""
    elapsed_s = 0.0 if job.started_s is None else time.monotonic() - job.started_s
    if elapsed_s < _MIN_ELAPSED_S or job.progress < _MIN_PROGRESS:
        return ""
    left_s = elapsed_s * (1 - job.progress) / job.progress
    if left_s > 90:
        return translate(job.language, "minutes_left", n=round(left_s / 60))
    return translate(job.language, "seconds_left", n=max(1, round(left_s)))
