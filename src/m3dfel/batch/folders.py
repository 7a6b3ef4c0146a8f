"""Predict folders of videos: bad files are skipped, and a run resumes where it left off.

Behind `m3dfel predict` with several videos. Plans what is left to do, lets `predict_in_processes`
or a cluster do it, and writes what went wrong (`problems.csv`) and what was found (`summary.csv`,
`summary.png`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from m3dfel.batch.photos import PHOTO_STEM
from m3dfel.batch.predictor import VideoPredictor, different_settings
from m3dfel.batch.settings import Outcome, PredictSettings, Start, Video, start_predictor
from m3dfel.batch.summary import SUMMARY_FILES, read_headers, write_summary
from m3dfel.batch.usual import compare_over_videos
from m3dfel.errors import DiskFullError, InputError
from m3dfel.files import as_utf8, check_replaceable, only_process, start_list
from m3dfel.predictions.prediction import Header
from m3dfel.processes import run_in_processes
from m3dfel.progress import progress_bar
from m3dfel.report.exports import FORMATS
from m3dfel.report.tables import write_csv
from m3dfel.video.decode import ANNOTATED_ENDING
from m3dfel.video.sources import source_name, source_path, source_stem

PROBLEMS = "problems.csv"
"""Name of the table of problems."""

Run: TypeAlias = Callable[[Sequence[Video], PredictSettings], Iterable[Outcome]]
"""Predicts videos, and yields what became of each, in any order."""

_ABANDONED_S = 3600  # an unfinished file that did not change for this long has no writer any more
_MAX_STEM = 200  # bytes; file systems take 255


def predict_videos(
    sources: Sequence[str | Sequence[str]],
    settings: PredictSettings,
    run: Run,
    overwrite: bool = False,
) -> tuple[list[Outcome], pd.DataFrame]:
    """Predict all videos that are not finished, and write the tables of problems and results.

    Args:
        sources: from `find_sources`.
        settings: of all videos. The JSON files are written in any case.
        run: predicts the videos that are left.
        overwrite: replace results that were made with other settings, and files that m3dfel did not
            write.

    Returns:
        What became of each video, in the order of the sources, and their summary; see `summarize`.

    Raises:
        DiskFullError: there is no room for the results; what is written stays.
        InputError: there are results that were made with other settings, a result would replace a
            source or another file that m3dfel did not write, a setting is invalid, another process
            is predicting videos into the folder, or it cannot be written to.
    """
    settings = replace(settings, formats=tuple(dict.fromkeys([*settings.formats, "json"])))
    folder = Path(settings.output)
    predictor = VideoPredictor(settings)
    with only_process(folder, "predicting several videos"):
        videos, saved = plan_videos(sources, settings)
        if not overwrite:
            _check_settings(videos, saved, predictor)
        to_write = {video.stem: predictor.left_to_write(video) for video in videos}
        min_confidence = predictor.recognizer.model.min_confidence
        del predictor  # its memory is for the processes, each of which has its own
        results = chain.from_iterable(files.values() for files in to_write.values())
        tables = [folder / name for name in (PROBLEMS, *SUMMARY_FILES)]
        check_replaceable([*results, *tables], overwrite)
        start_list(folder)
        outcomes = {
            video.stem: Outcome(video, saved[video.stem].note, finished=True)
            for video in videos
            if not to_write[video.stem]
        }
        left = [video for video in videos if to_write[video.stem]]
        _remove_leftovers(folder, left, settings)
        for outcome in _with_progress(run(left, settings), len(videos), len(outcomes)):
            outcomes[outcome.video.stem] = outcome
            if outcome.disk_full:
                raise DiskFullError(outcome.problem)
        in_order = [outcomes[video.stem] for video in videos]
        _write_problems(folder / PROBLEMS, in_order)
        if settings.baseline and settings.baseline.own and settings.persons:
            done = [outcome.video for outcome in in_order if outcome.finished]
            compare_over_videos(done, settings.persons, settings, min_confidence)
        headers = read_headers(folder)
        finished = [outcome.video.stem for outcome in in_order if outcome.finished]
        predictions = [headers[stem] for stem in finished if stem in headers]
        return in_order, write_summary(predictions, folder, settings.lang)


def predict_in_processes(
    videos: Sequence[Video], settings: PredictSettings, jobs: int, start: Start = start_predictor
) -> Iterator[Outcome]:
    """Predict videos in several processes, and yield what became of each, as it is done.

    Each process loads the model once and computes on one thread, so that the answers are the same
    for any number of processes.
    """
    died = partial(Outcome, finished=False)
    return run_in_processes(videos, partial(start, settings), died, jobs)


def _with_progress(outcomes: Iterable[Outcome], videos: int, finished: int) -> Iterator[Outcome]:
    """Yield what became of the videos, and show how many are done, how fast, and the time left."""
    problems = 0
    with progress_bar("predicting videos", videos, "{:.2f} videos/s", finished) as advance:
        for outcome in outcomes:
            problems += bool(outcome.problem)
            advance(description=f"predicting videos ({problems} problems)")
            yield outcome


def _write_problems(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the videos with a problem, or remove the table if there is none."""
    failed = [outcome for outcome in outcomes if outcome.problem]
    # Tables of pandas hold UTF-8 only.
    rows = [(as_utf8(outcome.video.name), as_utf8(outcome.problem)) for outcome in failed]
    if rows:
        write_csv(pd.DataFrame(rows, columns=["video", "problem"]), path)
    else:
        path.unlink(missing_ok=True)


def plan_videos(
    sources: Sequence[str | Sequence[str]], settings: PredictSettings
) -> tuple[list[Video], dict[str, Header]]:
    """Choose the names of all results, so that none overwrites another or a source.

    The results are named after the source. If that name is taken, that of the source's folder comes
    before it, and then a number after it. Results that are there already keep their names.

    Args:
        sources: from `find_sources`.
        settings: of all videos.

    Returns:
        The videos, and the start of each prediction that is in the folder, by its `Video.stem`.

    Raises:
        InputError: a result would overwrite a source, or become a picture among frames.
    """
    saved = read_headers(Path(settings.output))
    videos = _name_videos(sources, saved)
    for video in videos:
        _check_files(video, settings)
    return videos, saved


def _name_videos(
    sources: Sequence[str | Sequence[str]], saved: Mapping[str, Header]
) -> list[Video]:
    own = {header.id: stem for stem, header in saved.items()}
    taken = {PROBLEMS, *SUMMARY_FILES, *_file_names(PHOTO_STEM)}.union(*map(_file_names, saved))
    videos = []
    for source in sources:
        stem = own.get(Video(source, "").id) or _free_stem(source_name(source), taken)
        taken |= _file_names(stem)
        videos.append(Video(source, stem))
    return videos


def _free_stem(name: str, taken: set[str]) -> str:
    stem = _shortened(source_stem(name))
    with_folder = _shortened(f"{source_path(name).parent.name}-{stem}")
    numbered = (f"{with_folder}-{number}" for number in count(2))
    return next(
        stem for stem in chain([stem, with_folder], numbered) if taken.isdisjoint(_file_names(stem))
    )


def _shortened(stem: str) -> str:
    """Return a name that file systems take, also with the endings of results."""
    name = os.fsencode(stem)
    return stem if len(name) <= _MAX_STEM else name[:_MAX_STEM].decode(errors="ignore")


def _file_names(stem: str) -> set[str]:
    """Return all names that results may have; without case, which some file systems ignore."""
    endings = [ANNOTATED_ENDING, *(kind.ending for kind in FORMATS.values())]
    return {f"{stem}{ending}".casefold() for ending in endings}


def _check_files(video: Video, settings: PredictSettings) -> None:
    pictures = [video.source] if isinstance(video.source, str) else video.source
    sources = set(map(os.path.realpath, pictures))  # `Path.resolve` fails at circles of links
    for file in video.files(settings).values():
        if not sources.isdisjoint(map(os.path.realpath, (file, file.parent))):
            raise InputError(
                f"{file} would be written over or among the frames of {video.name}: choose another "
                "folder with --output"
            )


def _check_settings(
    videos: Sequence[Video], saved: Mapping[str, Header], predictor: VideoPredictor
) -> None:
    for video in videos:
        header = saved.get(video.stem)
        if header is None:
            continue
        was, now = header.settings, predictor.record(video)
        if names := different_settings(was, now):
            values = [f"{name} was {was.get(name)}, is now {now.get(name)}" for name in names]
            known = f"other settings ({'; '.join(values)})"
            raise InputError(
                f"{video.stem}.json was made with {known if was else 'unknown settings'}: use the "
                "same, choose another --output, or replace such results with --overwrite"
            )


def _remove_leftovers(folder: Path, videos: Sequence[Video], settings: PredictSettings) -> None:
    """Remove the unfinished files of a run that was killed; see `files.atomic_write`.

    Other runs, also of other machines, may be writing into the folder: their files are new.
    """
    names = {path.name for video in videos for path in video.files(settings).values()}
    for path in folder.glob(".*-*"):
        with suppress(FileNotFoundError):  # if its writer, perhaps on another machine, finishes it
            is_old = time.time() - path.stat().st_mtime > _ABANDONED_S
            if is_old and path.name.partition("-")[2] in names:
                path.unlink()
