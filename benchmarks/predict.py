"""How long a whole prediction takes, beside searching every frame for faces with OpenCV alone.

    python benchmarks/predict.py VIDEO [RUNS]

The search is CenterFace by cv2.dnn on one thread, without decoding; the prediction is everything
from the file to the tables. They run in turns: a part of the search, a whole prediction, the next
part. Prints seconds by the clock and on the processor, and the ratios. By the clock they only mean
something while nothing else runs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from rows import Row, shared

from m3dfel import Recognizer
from m3dfel.recognition.stream import leave_a_core_to_detection
from m3dfel.video.decode import read_video
from m3dfel.video.engines import load_opencv
from m3dfel.video.faces import CenterFace

Seconds = np.ndarray
"""By the clock, and on the processor in all threads."""


def seconds(work: Callable[[], object]) -> Seconds:
    before = np.array([time.perf_counter(), time.process_time()])
    work()
    return np.array([time.perf_counter(), time.process_time()]) - before


def opencv_detector() -> CenterFace:
    detector = CenterFace()
    detector._network = load_opencv()
    return detector


def measure(video: str, runs: int) -> tuple[int, Seconds, list[Seconds]]:
    """Return the number of frames, the time of the search, and that of each prediction."""
    leave_a_core_to_detection()
    frames = [frame.image for frame in read_video(video)]
    detector, recognizer = opencv_detector(), Recognizer()
    detector(frames[0])
    searching, predicting = [], []
    for run in range(runs):
        part = frames[run * len(frames) // runs : (run + 1) * len(frames) // runs]
        searching.append(seconds(lambda part=part: [detector(image) for image in part]))
        predicting.append(seconds(lambda: recognizer(video)))
    return len(frames), np.sum(searching, axis=0), predicting


def rows(short: bool = False) -> list[Row]:
    video = shared(f"data/videos/{'single_face' if short else 'WolfgangLanger_Pexels'}.mp4")
    frames, search, predicting = measure(str(video), 1 if short else 3)
    best = np.min(predicting, axis=0)
    name, baseline = f"predicting a video of {frames} frames", "CenterFace by OpenCV on every frame"
    return [
        Row(f"{name}, by the clock", best[0], "s", baseline, search[0]),
        Row(f"{name}, on the processor", best[1], "s", baseline, search[1]),
    ]


def main(video: str, runs: int = 3) -> None:
    frames, search, predicting = measure(video, runs)
    best = np.min(predicting, axis=0)
    print(f"{video}: {frames} frames")
    for number, name in enumerate(("by the clock", "on the processor")):
        print(
            f"{name}: prediction {best[number]:.1f} s (first {predicting[0][number]:.1f} s), "
            f"search by OpenCV {search[number]:.1f} s: ratio {best[number] / search[number]:.3f}, "
            f"first {predicting[0][number] / search[number]:.3f}"
        )


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
