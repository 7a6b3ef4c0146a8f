"""Crop faces: from labeled videos of whole scenes to clips of one aligned face.

Where data of one's own starts. Faces are detected, tracked and aligned as in prediction, with one
reading of each video for all its labels, so training and prediction see the same crops.

Each label becomes one clip: of the face that is largest over its span, as long as that is seen
without interruption. A clip has a constant frame rate, at which a face that is lost for a moment is
held, as in prediction; frames without a face are left out.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from m3dfel.data.cropping.span import Region, Span
from m3dfel.data.layouts import VOTES, Entry, find_layout
from m3dfel.data.manifest import Problem
from m3dfel.emotions import EMOTIONS, parse_emotion, parse_label_set
from m3dfel.errors import InputError
from m3dfel.files import as_utf8, atomic_write, check_replaceable, start_list, write_text
from m3dfel.processes import run_in_processes
from m3dfel.progress import progress
from m3dfel.video.decode import PICTURES_PER_S, probe
from m3dfel.video.faces import CenterFace
from m3dfel.video.sources import read_frames
from m3dfel.video.tracks import track_faces

TABLE, PROBLEMS, JOURNAL = "clips.csv", "problems.csv", "crop.jsonl"

_MAX_FPS = 60.0
_LATE_S = 1.0  # how long after the end of a label a face of it may still come


@dataclass(frozen=True)
class Cropped:
    """What was cropped.

    Attributes:
        clips: the number of clips.
        frames: the number of their frames.
        left_out: frames that labels cover and that do not show the face.
        problems: the labels without a clip.
        ignored: how many labels have each word that is no emotion.
    """

    clips: int
    frames: int
    left_out: int
    problems: tuple[Problem, ...]
    ignored: Counter[str]


def crop(
    path: str,
    output: str,
    size: int = 128,
    region: Region | None = None,
    person: str = "",
    labels: Sequence[str] = (),
    jobs: int = 1,
    overwrite: bool = False,
) -> Cropped:
    """Crop the faces of labeled videos, or continue where an earlier call was interrupted.

    Called again after labels or videos were added or changed, only those videos are read again.

    Args:
        path: a CSV, class folders, a document of ELAN, events of BORIS, or any other layout.
        output: the folder to write: the clips, `clips.csv`, which is a manifest for all commands,
            and `problems.csv` if there are any.
        size: height and width of the crops in pixels.
        region: left, top, right and bottom in pixels: only faces whose middle is in it.
        person: only the labels of this person; empty for all.
        labels: the label set, if it has emotions other than the seven.
        jobs: how many videos are read at the same time.
        overwrite: replace files in the folder that are not m3dfel's, or were changed since.

    Raises:
        InputError: the labels cannot be read, none is an emotion, or the folder cannot be written
            to, or not without replacing other files.
    """
    root, folder = Path(path).expanduser(), Path(output).expanduser()
    entries, ignored = _read_labels(root, labels, person)
    problems = [Problem(entry.path, entry.problem) for entry in entries if entry.problem]
    videos = _plan([entry for entry in entries if not entry.problem], root, size, region)
    done = _read_journal(folder)
    results = {video.name: done[video.key] for video in videos if video.is_done(done, folder)}
    left = [video for video in videos if video.name not in results]
    names = [TABLE, PROBLEMS, *(file for video in left for file in video.files)]
    files = [folder / name for name in names]
    check_replaceable(files, overwrite)
    for parent in {file.parent for file in files}:
        start_list(parent)
    with (folder / JOURNAL).open("a", encoding="utf-8") as journal:
        cropped = _run(left, folder, jobs)
        rate, count = "{:.1f} videos/s", len(videos)
        for video, takes in progress(cropped, "cropping", count, rate, len(results)):
            results[video.name] = takes
            # In front, since a kill may have cut the last line off.
            journal.write("\n" + json.dumps({"key": video.key, "takes": takes}))
            journal.flush()
    return _finish(folder, videos, results, done, problems, ignored)


# --- the labels ----------------------------------------------------------------------------------


def _read_labels(
    path: Path, labels: Sequence[str], person: str
) -> tuple[list[Entry], Counter[str]]:
    """Return the labels that are emotions, and how often each other word occurs."""
    _, layout = find_layout(path)
    own = parse_label_set(labels) if labels else ()
    known = (*EMOTIONS, *layout.describe(path).labels, *own)
    entries: list[Entry] = []
    ignored: Counter[str] = Counter()
    people = set()
    for entry in layout.read(path, 1):
        people.add(entry.person)
        if person and entry.person != person:
            continue
        try:
            if not entry.problem:
                parse_emotion(str(entry.emotion), known)
            entries.append(entry)
        except InputError:
            ignored[str(entry.emotion)] += 1
    if not entries:
        if person and person not in people:
            names = ", ".join(sorted(filter(None, people))) or "nobody by name"
            raise InputError(f"{path} labels no person {person!r}, only {names}")
        words = ", ".join(word for word, _ in ignored.most_common(5)) or "no labels"
        raise InputError(
            f"{path} labels no emotion ({words}): name emotions other than the seven with --labels"
        )
    return entries, ignored


@dataclass(frozen=True)
class _Video:
    """A video to crop.

    Attributes:
        path: its path.
        name: what the names of its clips start with, relative to the folder of all clips.
        labels: the labels in it.
        size: as in `crop`.
        region: as in `crop`.
    """

    path: str
    name: str
    labels: tuple[Entry, ...]
    size: int
    region: Region | None

    @property
    def files(self) -> list[str]:
        """The file for the clip of each label."""
        if len(self.labels) == 1:
            return [f"{self.name}.mp4"]
        return [f"{self.name}_{number:03}.mp4" for number in range(1, len(self.labels) + 1)]

    @property
    def key(self) -> str:
        """What the clips depend on."""
        spans = [(label.span_s, label.person, label.region) for label in self.labels]
        file = Path(self.path)
        state = (file.stat().st_size, file.stat().st_mtime_ns) if file.exists() else ()
        facts = [self.path, self.name, spans, self.size, self.region, state]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def is_done(self, done: Mapping[str, Any], folder: Path) -> bool:
        """Return whether all clips are written, according to a journal."""
        takes = done.get(self.key)
        return takes is not None and all(
            "problem" in take or (folder / take["file"]).is_file() for take in takes
        )


def _plan(entries: Sequence[Entry], root: Path, size: int, region: Region | None) -> list[_Video]:
    """Return the videos with their labels, in the order in which they are first labeled."""
    by_video: dict[str, list[Entry]] = {}
    for entry in entries:
        by_video.setdefault(entry.path, []).append(entry)
    base = (root if root.is_dir() else root.parent).absolute()
    taken: set[str] = set()
    videos = []
    for path, labels in by_video.items():
        video = Path(path).absolute().with_suffix("")
        name = video.relative_to(base).as_posix() if video.is_relative_to(base) else video.name
        # Or the table of the clips could not name it: there, a backslash separates folders.
        name = as_utf8(name).replace("\\", "_")
        numbered = [name, *(f"{name}-{number}" for number in range(2, len(by_video) + 2))]
        name = next(name for name in numbered if name.casefold() not in taken)
        taken.add(name.casefold())
        videos.append(_Video(path, name, tuple(labels), size, region))
    return videos


# --- one video -----------------------------------------------------------------------------------


def _crop_video(video: _Video, folder: Path, detector: CenterFace) -> list[dict[str, Any]]:
    """Write the clips of a video; return for each label the facts of its clip, or the problem."""
    try:
        path = Path(video.path)
        if not path.exists():
            raise InputError("there is no such video: check the path")
        fps = PICTURES_PER_S if path.is_dir() else min(probe(path).fps, _MAX_FPS)
        spans = [Span(label, video.size, fps, video.region) for label in video.labels]
        for tracked in track_faces(read_frames(path), detector, video.size):
            for span in spans:
                span.add_frame(tracked.frame.time_s)
                for face in tracked.faces:
                    span.add(face)
                if span.end_s + _LATE_S < tracked.frame.time_s:
                    span.close()
    except InputError as error:
        return [{"problem": str(error)}] * len(video.labels)
    facts = []
    for span, file in zip(spans, video.files, strict=True):
        fact = _rivals(span, spans) or span.facts()
        take = span.close()
        if take and "problem" not in fact:
            with atomic_write(folder / file) as temporary:
                temporary.write_bytes(take.content)
            fact["file"] = file
        facts.append(fact)
    return facts


def _rivals(span: Span, spans: Sequence[Span]) -> dict[str, Any]:
    """Return the problem of several people who are labeled at the same time, if any."""
    for other in spans:
        overlap = span.start_s < other.end_s and other.start_s < span.end_s
        if overlap and other.person != span.person and not span.region:
            return {
                "problem": f"{span.person or 'somebody'} and {other.person or 'somebody'} are "
                "labeled at the same time: say whose face is where, one after the other, with "
                "--person and --region, or in a table with x1, y1, x2, y2"
            }
    return {}


# --- all videos ----------------------------------------------------------------------------------


def _run(
    videos: Sequence[_Video], folder: Path, jobs: int
) -> Iterator[tuple[_Video, list[dict[str, Any]]]]:
    """Crop videos in several processes, and yield the facts of each as it is done."""
    if min(jobs, len(videos)) <= 1:
        return map(_start(folder), videos)
    return run_in_processes(videos, partial(_start, folder), _died, jobs)


def _start(folder: Path) -> Callable[[_Video], tuple[_Video, list[dict[str, Any]]]]:
    detector = CenterFace()
    return lambda video: (video, _crop_video(video, folder, detector))


def _died(video: _Video, problem: str) -> tuple[_Video, list[dict[str, Any]]]:
    return video, [{"problem": problem}] * len(video.labels)


# --- files ---------------------------------------------------------------------------------------


def _read_journal(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return what earlier calls wrote: from a video's key to the facts of its clips."""
    journal = folder / JOURNAL
    if not journal.is_file():
        return {}
    done = {}
    for line in journal.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
            done[record["key"]] = record["takes"]
        except (ValueError, KeyError, TypeError):  # cut off by a kill
            continue
    return done


def _finish(
    folder: Path,
    videos: Sequence[_Video],
    results: Mapping[str, list[dict[str, Any]]],
    before: Mapping[str, list[dict[str, Any]]],
    problems: list[Problem],
    ignored: Counter[str],
) -> Cropped:
    """Write the tables, remove the clips of earlier calls that are not in them, and sum up."""
    rows = []
    for video in videos:
        for label, facts in zip(video.labels, results[video.name], strict=True):
            if "problem" in facts:
                problems.append(Problem(video.path, facts["problem"]))
            else:
                rows.append(_row(label, video, facts))
    if not rows:
        raise InputError(
            f"no label became a clip; the first problem: {problems[0].path}: {problems[0].what}"
        )
    table = pd.DataFrame(rows)
    for name in table.columns[table.columns.str.startswith(VOTES)]:
        table[name] = table[name].fillna(0)
    empty = [name for name in ("identity", "split") if (table[name] == "").all()]
    write_text(folder / TABLE, table.drop(columns=empty).to_csv(index=False))
    if problems:
        listed = [(as_utf8(p.path), as_utf8(p.what)) for p in problems]
        table_of_problems = pd.DataFrame(listed, columns=["video", "problem"])
        write_text(folder / PROBLEMS, table_of_problems.to_csv(index=False))
    else:
        (folder / PROBLEMS).unlink(missing_ok=True)
    kept = {row["file"] for row in rows}
    for facts in (facts for takes in before.values() for facts in takes):
        if facts.get("file") not in (*kept, None):
            (folder / facts["file"]).unlink(missing_ok=True)
    lines = [json.dumps({"key": v.key, "takes": results[v.name]}) + "\n" for v in videos]
    write_text(folder / JOURNAL, "".join(lines))
    frames, left_out = int(table["frames"].sum()), int(table["left_out"].sum())
    return Cropped(len(rows), frames, left_out, tuple(problems), ignored)


def _row(label: Entry, video: _Video, facts: Mapping[str, Any]) -> dict[str, Any]:
    # Several clips of one video show the same person, as far as anyone knows: they must not be on
    # both sides of a split.
    identity = label.identity or (video.name if len(video.labels) > 1 else "")
    return {
        "file": facts["file"],
        "emotion": label.emotion,
        "identity": identity,
        "split": label.split,
        **{f"{VOTES}{word}": count for word, count in label.votes.items()},
        "source": as_utf8(video.path),
        # Not `start_s`: tables with that label parts of videos that have yet to be cropped.
        "source_start_s": facts["start_s"],
        "source_end_s": facts["end_s"],
        "frames": facts["frames"],
        "left_out": facts["left_out"],
    }
