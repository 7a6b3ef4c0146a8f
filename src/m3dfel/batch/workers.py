"""Predict videos in several processes.

Below `predict_videos`. Each process loads the model once and computes on one thread, so that the
answers are the same for any number of processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from m3dfel.batch.settings import Outcome, PredictSettings, Start, Video, start_predictor
from m3dfel.processes import run_in_processes


def predict_in_processes(
    videos: Sequence[Video], settings: PredictSettings, jobs: int, start: Start = start_predictor
) -> Iterator[Outcome]:
    """Predict videos in several processes, and yield what became of each, as it is done."""
    died = partial(Outcome, finished=False)
    return run_in_processes(videos, partial(start, settings), died, jobs)
