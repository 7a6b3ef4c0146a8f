"""Write a prediction as files for other tools: tables, subtitles and annotations.

The last step of `m3dfel predict`. Each format is one function, entered in the table `FORMATS`.
"""

from __future__ import annotations

import html
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from mimetypes import guess_type
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pympi

from m3dfel.errors import InputError
from m3dfel.files import as_utf8, atomic_write, write_text
from m3dfel.report.recognized import BOX, Recognized, per_label, table_columns
from m3dfel.report.spans import answers, person_spans, span_table
from m3dfel.report.tables import write_csv, write_xlsx
from m3dfel.report.words import translate, words_for
from m3dfel.video.decode import VIDEO_SUFFIXES
from m3dfel.video.sources import source_path
from m3dfel.video.times import mean_between

DEFAULT_FORMATS = ("csv", "clips", "xlsx", "json", "parquet", "png")
"""Formats that a prediction is saved in."""


@dataclass(frozen=True)
class Format:
    """A format that predictions are written in.

    Attributes:
        ending: of the file's name, after the name of the source.
        write: writes a prediction to a path; what is written for people, as pictures and subtitles,
            names the emotions in a language.
        meaning: what the file is, for `--help`.
    """

    ending: str
    write: Callable[[Recognized, Path, str], None]
    meaning: str


def export(prediction: Recognized, path: Path, formats: Sequence[str], lang: str = "en") -> None:
    """Write a prediction into a folder, as files named after the source, or as one file.

    Args:
        prediction: the recognized faces of a video.
        path: the folder; or the file, whose ending then chooses the format.
        formats: names from `FORMATS`, of the files in the folder.
        lang: language of pictures and subtitles, `en` or `zh`.

    Raises:
        InputError: there is no such format, no font for the language, or the path cannot be
            written to.
    """
    if only := _format_of(path):
        FORMATS[only].write(prediction, path, lang)
        return
    check_formats(formats)
    for name in formats:
        FORMATS[name].write(prediction, path / f"{prediction.stem}{FORMATS[name].ending}", lang)


def _format_of(path: Path) -> str | None:
    """Return the format that the name of a file asks for; None if it is that of a folder."""
    if path.is_dir() or not path.suffix:
        return None
    endings = {name: FORMATS[name].ending for name in FORMATS}
    named = [name for name, ending in endings.items() if path.name.endswith(ending)]
    named = named or [name for name, ending in endings.items() if ending.endswith(path.suffix)]
    if not named:
        suffixes = dict.fromkeys(Path(ending).suffix or ending for ending in endings.values())
        raise InputError(
            f"cannot write {path}: give a folder, or a file that ends in one of "
            f"{', '.join(suffixes)}"
        )
    return max(named, key=lambda name: len(endings[name]))


def check_formats(formats: Sequence[str]) -> None:
    """Check that predictions can be written in these formats.

    Raises:
        InputError: there is no such format.
    """
    for name in formats:
        if name not in FORMATS:
            raise InputError(f"unknown format {name!r}: use one of {', '.join(FORMATS)}")


def write_spans(prediction: Recognized, path: Path, lang: str = "en") -> None:
    """Write the spans."""
    write_csv(span_table(prediction), path)


def write_clips(prediction: Recognized, path: Path, lang: str = "en") -> None:
    """Write the clips as people read them; see `clip_table`."""
    write_csv(clip_table(prediction), path)


def write_excel(prediction: Recognized, path: Path, lang: str = "en") -> None:
    """Write the spans and the clips as two sheets."""
    write_xlsx({"spans": span_table(prediction), "clips": clip_table(prediction)}, path)


def clip_table(prediction: Recognized) -> pd.DataFrame:
    """Return the clips with one word for each, as in the spans, so that no cell has to be empty."""
    clips = prediction.clips.assign(emotion=answers(prediction.clips))
    return clips.drop(columns=["mark", *per_label("raw", prediction.labels)])


def write_json(prediction: Recognized, path: Path, lang: str = "en") -> None:
    """Write everything, for `Prediction.load`: what is short first, for `read_header`."""
    head = {
        "source": prediction.source,
        "note": prediction.note,
        "settings": prediction.settings,
        "duration_s": prediction.duration_s,
        "labels": prediction.labels,
        "movements": prediction.movements,
    }
    tables = {
        "spans": span_table(prediction),
        "clips": _with_boxes(prediction),
        "instances": prediction.instances,
        # Without probabilities, which follow from the clips.
        "frames": prediction.frames[table_columns(prediction.labels)["frames"]],
    }
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(json.dumps(head, indent=1).removesuffix("\n}"))
        for name, table in tables.items():
            file.write(f',\n "{name}": [')
            # In pieces, since rows as Python objects take many times the memory of the table.
            for start in range(0, len(table), _ROWS):
                rows = table[start : start + _ROWS]
                records = rows.astype(object).where(rows.notna(), None).to_dict("records")
                text = json.dumps(records, indent=1)[1:-2].replace("\n", "\n ")
                file.write("," * (start > 0) + text)
            file.write("\n ]" if len(table) else "]")
        file.write("\n}")


_ROWS = 1000


def write_parquet(prediction: Recognized, path: Path, lang: str = "en") -> None:
    """Write the clips with their mean box, and the evidence of their instances as lists."""
    table = pa.Table.from_pandas(_with_boxes(prediction), preserve_index=False)
    instances = prediction.instances.sort_values("clip", kind="stable")
    # As one array with borders: lists of Python take ten times the memory.
    borders = np.searchsorted(instances["clip"].to_numpy(int), np.arange(len(table) + 1))
    for column in per_label("evidence", prediction.labels):
        lists = pa.ListArray.from_arrays(
            borders.astype(np.int32), instances[column].to_numpy(float)
        )
        table = table.append_column(column, lists)
    with atomic_write(path) as temporary:
        pq.write_table(table, temporary)


def write_png(prediction: Recognized, path: Path, lang: str = "en") -> None:
    """Draw the timeline."""
    from m3dfel.report.timeline import plot_timeline  # matplotlib is slow to import

    plot_timeline(prediction, path, lang=lang)


def write_srt(prediction: Recognized, path: Path, lang: str = "en") -> None:
    """Write what the faces express as SubRip subtitles."""
    cues = [
        f"{number}\n{_clock(start_s, ',')} --> {_clock(end_s, ',')}\n{text}\n"
        for number, (start_s, end_s, text) in enumerate(_cues(prediction, lang), start=1)
    ]
    write_text(path, "\n".join(cues))


def write_vtt(prediction: Recognized, path: Path, lang: str = "en") -> None:
    """Write what the faces express as WebVTT subtitles, which browsers show."""
    cues = [
        f"{_clock(start_s, '.')} --> {_clock(end_s, '.')}\n{html.escape(text, quote=False)}\n"
        for start_s, end_s, text in _cues(prediction, lang)
    ]
    write_text(path, "\n".join(["WEBVTT\n", *cues]))


def write_eaf(prediction: Recognized, path: Path, lang: str = "en") -> None:
    """Write an ELAN document that is linked to the video, with one tier for each person."""
    document = pympi.Eaf(author="m3dfel")
    document.remove_tier("default")
    video = Path(prediction.source).absolute()
    media_type = guess_type(video.name)[0] or "video/mp4"
    if video.is_file():
        try:
            beside = Path(os.path.relpath(video, path.absolute().parent)).as_posix()
        except ValueError:  # on another drive of Windows
            beside = video.as_posix()
        document.add_linked_file(video.as_uri(), beside, media_type)
    elif video.suffix.lower() in VIDEO_SUFFIXES:  # ELAN looks beside the document, and asks
        document.add_linked_file(video.name, video.name, media_type)
    words = words_for(lang, prediction.labels)
    for person, spans in _spans(prediction):
        tier = translate(lang, "person {n}", n=person)
        document.add_tier(tier)
        for start_s, end_s, word, _ in spans:
            start_ms, end_ms = round(1e3 * start_s), round(1e3 * end_s)
            document.add_annotation(tier, start_ms, max(start_ms + 1, end_ms), words[word])
    with atomic_write(path) as temporary:
        document.to_file(temporary)


def write_boris(prediction: Recognized, path: Path, lang: str = "en") -> None:
    """Write a table of events as BORIS exports them: the start and the stop of each emotion."""
    stem, video = as_utf8(prediction.stem), as_utf8(source_path(prediction.source).name)
    rows = [
        [stem, video, f"person {person}", word, kind, round(time_s, 3)]
        for person, spans in _spans(prediction)
        for start_s, end_s, word, _ in spans
        for kind, time_s in (("START", start_s), ("STOP", end_s))
    ]
    columns = ["Observation id", "Media file name", "Subject", "Behavior", "Behavior type", "Time"]
    write_csv(pd.DataFrame(rows, columns=columns).sort_values("Time", kind="stable"), path)


FORMATS: dict[str, Format] = {
    "csv": Format(".csv", write_spans, "table: from when to when each person shows which emotion"),
    "clips": Format("_clips.csv", write_clips, "table of the clips, which overlap"),
    "xlsx": Format(".xlsx", write_excel, "both tables as sheets of one Excel file"),
    "json": Format(".json", write_json, "all details; can be loaded again"),
    "parquet": Format("_clips.parquet", write_parquet, "the clips with their boxes and evidence"),
    "png": Format(".png", write_png, "picture of the timeline"),
    "srt": Format(".srt", write_srt, "subtitles for video players"),
    "vtt": Format(".vtt", write_vtt, "subtitles for web pages (WebVTT)"),
    "eaf": Format(".eaf", write_eaf, "annotations for ELAN, one tier for each person"),
    "boris": Format("_boris.csv", write_boris, "events as in BORIS: start and stop of emotions"),
}
"""The formats by name. To add one, write a function and enter it here."""


def _with_boxes(prediction: Recognized) -> pd.DataFrame:
    """Return the clips with the mean box of the face in each, over the frames shown during it."""
    boxes = [np.empty((0, 4))]
    for face, clips in prediction.clips.groupby("track"):
        frames = prediction.frames[prediction.frames["track"] == face]
        boxes.append(
            mean_between(
                frames[BOX].to_numpy(),
                frames["time_s"].to_numpy(),
                clips["start_s"].to_numpy(),
                clips["end_s"].to_numpy(),
            )
        )
    means = pd.DataFrame(np.concatenate(boxes).round(2), columns=BOX)
    return pd.concat([prediction.clips, means], axis=1)


def _spans(prediction: Recognized) -> Iterator[tuple[int, list[tuple[float, float, str, float]]]]:
    """Yield each person with the spans of their emotions or marks; see `person_spans`."""
    for person in prediction.clips["person"].unique().tolist():
        clips = prediction.clips[prediction.clips["person"] == person]
        yield person, list(person_spans(clips))


def _cues(prediction: Recognized, lang: str) -> Iterator[tuple[float, float, str]]:
    """Yield start, end and text of subtitles that do not overlap: one line for each person."""
    people, words = list(_spans(prediction)), words_for(lang, prediction.labels)
    changes: list[tuple[float, int, str]] = []
    for person, spans in people:
        prefix = f"{person}: " if len(people) > 1 else ""
        for start_s, end_s, word, confidence in spans:
            changes.append((round(start_s, 3), person, prefix + _line(words[word], confidence)))
            changes.append((round(end_s, 3), person, ""))
    lines: dict[int, str] = {}
    # At the same moment, one emotion ends before the next one starts.
    changes.sort(key=lambda change: (change[0], change[2] != ""))
    for (start_s, person, line), (end_s, _, _) in pairwise(changes):
        lines[person] = line
        text = "\n".join(lines[person] for person in sorted(lines) if lines[person])
        if text and end_s > start_s:
            yield start_s, end_s, text


def _line(word: str, confidence: float) -> str:
    return f"({word})" if np.isnan(confidence) else f"{word} {100 * confidence:.0f} %"


def _clock(time_s: float, decimal_sign: str) -> str:
    """Return a moment as hours, minutes, seconds and milliseconds."""
    seconds, milliseconds = divmod(round(1e3 * time_s), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{decimal_sign}{milliseconds:03}"
