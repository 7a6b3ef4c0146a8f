"""ELAN: annotations in `.eaf` documents, made of whole scenes.

Every tier is a person, named by the tier's participant or else by the tier itself, and every
annotation an emotion; annotations with other words are ignored, so that transcripts may be in the
same document. The video is the linked one, wherever it lies: beside the document, or at the path
that the document states.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pympi

from m3dfel.data.layouts import LAYOUTS, Entry, Layout, find_media, person_in
from m3dfel.errors import InputError, first_line


@LAYOUTS.register("ELAN")
class Elan(Layout):
    """One `.eaf` document, or a folder of them."""

    expects = "an .eaf document of ELAN, or a folder of them"
    scenes = True

    @staticmethod
    def recognizes(path: Path) -> bool:
        return bool(_documents(path))

    @staticmethod
    def read(path: Path, fold: int) -> Iterator[Entry]:
        for document in _documents(path):
            yield from _read_document(document)


def _documents(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.glob("*.eaf"))
    return [path] if path.is_file() and path.suffix.lower() == ".eaf" else []


def _read_document(document: Path) -> Iterator[Entry]:
    try:
        eaf: Any = pympi.Eaf(str(document))
        tiers = {
            name: (eaf.tiers[name][2], eaf.get_annotation_data_for_tier(name)) for name in eaf.tiers
        }
    except Exception as error:  # pympi lets through whatever the XML breaks
        raise InputError(
            f"cannot read {document} as a document of ELAN: {first_line(error)}"
        ) from error
    names = [media.get(key, "") for media in eaf.media_descriptors for key in _MEDIA]
    origins_s = [int(media.get("TIME_ORIGIN") or 0) / 1e3 for media in eaf.media_descriptors]
    video = find_media(document, [unquote(urlparse(name).path) or name for name in names if name])
    origin_s = origins_s[0] if origins_s else 0.0
    for name, (attributes, spans) in tiers.items():
        person = person_in(document, (attributes.get("PARTICIPANT") or name).strip())
        for start_ms, end_ms, word, *_ in sorted(spans):
            span_s = start_ms / 1e3 + origin_s, end_ms / 1e3 + origin_s
            yield Entry(video, word or "", "", person, span_s=span_s, person=person)


_MEDIA = ("RELATIVE_MEDIA_URL", "MEDIA_URL")
