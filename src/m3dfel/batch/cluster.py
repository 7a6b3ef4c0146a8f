"""Predict videos on many machines with Ray Data.

In place of `predict_in_processes`, with the same answers and the same files. Each video is a row,
and each actor loads the model once and computes on one thread. The folder for the results, the
model, and videos that are not at URLs have to be at the same paths on all machines, such as on
shared storage.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from m3dfel.batch.settings import Outcome, PredictSettings, Start, Video, start_predictor
from m3dfel.errors import InputError, needs_extra
from m3dfel.processes import silence

AUTO = "auto"
"""The cluster that this machine belongs to, or else a new one of this machine alone."""

_MAX_DEATHS = 2  # of actors by the same video


def predict_on_cluster(
    videos: Sequence[Video],
    settings: PredictSettings,
    address: str,
    jobs: int | None = None,
    start: Start = start_predictor,
) -> Iterator[Outcome]:
    """Predict videos on a cluster, and yield what became of each, as it is done.

    Args:
        videos: the videos.
        settings: of all videos.
        address: of the cluster, such as `ray://head:10001`, or `auto`.
        jobs: number of actors; None for one on each core of the cluster (each GPU with `cuda`),
            also of machines that join it meanwhile.
        start: prepares the process of an actor.

    Raises:
        InputError: Ray is not installed, or there is no cluster at the address.
    """
    ray = _connect(address)
    resources = ray.cluster_resources()
    device = settings.recognizer.device
    on_gpu = device.startswith("cuda") or (device == "auto" and "GPU" in resources)
    needs = {"num_gpus": 1} if on_gpu else {"num_cpus": 1}
    available = resources.get("GPU" if on_gpu else "CPU", 1)
    least = min(jobs or int(available), len(videos))
    most = least if jobs else len(videos)
    left = {video.stem: video for video in videos}
    attempts = [_attempts(video, settings) for video in videos]
    _remove(attempts)
    try:
        for outcome in _run(videos, settings, (least, most), needs, start):
            del left[outcome.video.stem]
            yield outcome
    except ray.exceptions.RayError as error:
        raise InputError(
            f"the cluster cannot go on ({error}): check that all machines have this package and "
            f"the folder {Path.cwd()}, and run the same command again"
        ) from error
    finally:
        _remove(attempts)
    for video in left.values():
        yield Outcome(video, _LOST, finished=False)


_LOST = (
    "the process or the machine that predicted it ended, several times: perhaps the memory is too "
    "small for it"
)


def _connect(address: str) -> Any:
    with needs_extra("scale", "--cluster needs Ray"):
        import ray
    if not ray.is_initialized():
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Ray Data lets Ray warn, on stderr, of how Ray Data itself starts actors.
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        try:
            with _no_stderr():  # where Ray says that it found this level
                ray.init(
                    address=None if address == AUTO else address,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(
                f"there is no Ray cluster at {address} ({error}): start one with `ray start`, or "
                f"give `{AUTO}`"
            ) from error
    return ray


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Drop what libraries that are not written in Python print."""
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


def _run(
    videos: Sequence[Video],
    settings: PredictSettings,
    actors: tuple[int, int],
    needs: dict[str, int],
    start: Start,
) -> Iterator[Outcome]:
    """Predict videos, and yield what became of those whose actors lived."""
    if not videos:
        return
    ray_data: Any = import_module("ray.data")
    context = ray_data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # one video must not end the others
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # One video in each block: what an actor had in hand when it died is all that is done again.
    outcomes = ray_data.from_items(videos, override_num_blocks=len(videos)).map(
        _Actor,
        fn_constructor_args=(start, settings, str(Path.cwd())),
        compute=ray_data.ActorPoolStrategy(min_size=actors[0], max_size=actors[1]),
        **needs,
    )
    for row in outcomes.iter_rows():
        yield row["outcome"]


class _Actor:
    """Predicts one row, a video, after the other, on some machine.

    Args:
        start: prepares the process.
        settings: of all videos.
        folder: the current folder of the run, which relative paths start from.
    """

    def __init__(self, start: Start, settings: PredictSettings, folder: str) -> None:
        silence()
        os.chdir(folder)
        self._settings = settings
        self._predict = start(settings)

    def __call__(self, row: dict[str, Video]) -> dict[str, Outcome]:
        return {"outcome": self._attempt(row["item"])}

    def _attempt(self, video: Video) -> Outcome:
        """Predict a video unless that has ended too many actors, as Ray would never give up."""
        attempts = _attempts(video, self._settings)
        attempts.parent.mkdir(parents=True, exist_ok=True)
        deaths = attempts.stat().st_size if attempts.exists() else 0
        if deaths >= _MAX_DEATHS:
            return Outcome(video, _LOST, finished=False)
        with attempts.open("a") as file:
            file.write(".")
        outcome = self._predict(video)
        if not outcome.finished:  # the storage may have been out of reach for a moment
            outcome = self._predict(video)
        _remove([attempts])
        return outcome


def _attempts(video: Video, settings: PredictSettings) -> Path:
    """Return a file with one character for each attempt whose end is not known."""
    return Path(settings.output) / f".{video.stem}.attempts"


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
