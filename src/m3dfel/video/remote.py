"""Videos at URLs: on the web, in buckets, wherever fsspec reads from.

Decoding needs a file that can be searched, so a video is copied to a temporary folder while it is
read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote

from fsspec.core import url_to_fs

from m3dfel.errors import InputError
from m3dfel.video.decode import ANNOTATED_ENDING, VIDEO_SUFFIXES

_URL = re.compile(r"[A-Za-z][\w+.-]+://")  # a single letter is a drive
_WEB = ("http://", "https://")
_CAMERAS = ("rtmp://", "rtmps://", "rtp://", "rtsp://", "rtsps://", "srt://", "tcp://", "udp://")


def is_url(name: str) -> bool:
    """Return whether a name is a URL, such as `s3://bucket/film.mp4`, and not a path."""
    return bool(_URL.match(name))


def is_camera_url(name: str) -> bool:
    """Return whether a name is the URL of a camera or another endless stream."""
    return name.lower().startswith(_CAMERAS)


def path_in_url(url: str) -> PurePosixPath:
    """Return the path of a file from its bucket or host on, without the query of a web address."""
    path = url.partition("://")[2]
    if url.startswith(_WEB):
        path = unquote(path.partition("#")[0].partition("?")[0])
    return PurePosixPath(path)


def videos_at(url: str) -> list[str]:
    """Return the URLs of all videos in a folder and the folders in it; of a video, its own.

    Annotated videos that lie beside their source are left out.

    Raises:
        InputError: there is no video, or the URL cannot be read.
    """
    with _reading(url):
        storage, path = _open_storage(url)
        if _is_video(url):
            return [url]
        storage.ls(path)  # unlike find, it fails if there is no such folder
        urls = [storage.unstrip_protocol(name) for name in storage.find(path)]
    videos = {path_in_url(url): url for url in urls if _is_video(url)}
    sources = {path.with_suffix("") for path in videos}
    found = [url for path, url in sorted(videos.items()) if _source_of(path) not in sources]
    if not found:
        endings = ", ".join(sorted(VIDEO_SUFFIXES))
        raise InputError(
            f"there is no video at {url}: give a folder with videos, or a file that ends in one of "
            f"{endings}"
        )
    return found


def _is_video(url: str) -> bool:
    path = path_in_url(url)
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")


def _source_of(path: PurePosixPath) -> PurePosixPath | None:
    """Return what an annotated video is made from, without suffix; None for another video."""
    is_annotated = path.name.endswith(ANNOTATED_ENDING)
    return path.with_name(path.name.removesuffix(ANNOTATED_ENDING)) if is_annotated else None


def changed_s(url: str) -> float:
    """Return when a file was changed last, in seconds since 1970; 0 if that is unknown."""
    try:
        storage, path = _open_storage(url)
        return float(storage.modified(path).timestamp())
    except Exception:  # web servers need not know, and every protocol has errors of its own
        return 0.0


@contextmanager
def local_copy(url: str) -> Iterator[Path]:
    """Yield a copy of a file under the same name, which is deleted afterwards.

    Raises:
        InputError: the file cannot be read, or is the stream of a camera. In errors that name the
            copy while it is used, the URL takes its place.
    """
    if is_camera_url(url):
        raise InputError(f"{url} may never end: use `m3dfel live`, in Python stream(…)")
    with TemporaryDirectory(prefix="m3dfel-") as folder:
        copy = Path(folder, path_in_url(url).name)
        with _reading(url):
            storage, path = _open_storage(url)
            storage.get_file(path, str(copy))
        try:
            yield copy
        except InputError as error:
            raise type(error)(str(error).replace(str(copy), url)) from error


def _open_storage(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it."""
    if not url.startswith(_WEB):
        return url_to_fs(url)
    from aiohttp import ClientTimeout

    # Long videos take longer than the five minutes that aiohttp allows.
    timeout = ClientTimeout(total=None, sock_connect=30, sock_read=60)
    return url_to_fs(url, client_kwargs={"timeout": timeout})


@contextmanager
def _reading(url: str) -> Iterator[None]:
    """Turn the errors of any protocol into one sentence that names the URL."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"there is nothing at {url}: check the address") from error
    except (ImportError, ValueError) as error:  # a package is missing, an unknown protocol
        raise InputError(f"cannot read {url}: {error}") from error
    except Exception as error:  # every protocol has errors of its own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"cannot read {url} ({reason}): check the address, and that you have access"
        ) from error
