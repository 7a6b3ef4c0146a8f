"""How fast a prediction is drawn into its video, beside decoding and encoding the video alone.

    python benchmarks/annotate.py [VIDEO]

Prints seconds of work for a second of video, the best of several interleaved runs of each. Without
a video, it makes one of ten seconds at 640×360 with a drawn face, and takes the whole picture for
it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from rows import Row, table

from m3dfel import Recognizer
from m3dfel.report.annotate import annotate_video
from m3dfel.synthetic.clips import SyntheticClip, render
from m3dfel.video.decode import probe
from m3dfel.video.encode import rewrite_video, write_video

RUNS = 5


def drawn_face(path: Path, frames: int = 250) -> Path:
    clip = SyntheticClip(seed=0, identity=100, clip=1, emotion="happiness")
    faces = render(clip, range(clip.n_frames), size=224)
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (36, 64, 3), dtype=np.uint8)
    background = cv2.resize(noise, (640, 360), interpolation=cv2.INTER_CUBIC)

    def pictures():
        for index in range(frames):
            picture = background.copy()
            left = 100 + index
            picture[60:284, left : left + 224] = faces[index % len(faces)]
            yield picture

    write_video(path, pictures(), fps=25)
    return path


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(video: Path, aligned: bool, runs: int = RUNS) -> Row:
    prediction = Recognizer()(video, aligned=aligned)
    duration_s = probe(video).duration_s or 0.0
    annotated, copied = [], []
    with TemporaryDirectory() as folder:
        output = Path(folder) / "annotated.mp4"
        for _ in range(runs):
            annotated.append(seconds(lambda: annotate_video(prediction, output)))
            copied.append(seconds(lambda: rewrite_video(video, output, lambda f: f.image)))
    return Row(
        "drawing a prediction into a second of video",
        min(annotated) / duration_s,
        "s",
        "decoding and encoding alone",
        min(copied) / duration_s,
    )


def rows(short: bool = False) -> list[Row]:
    with TemporaryDirectory() as folder:
        video = drawn_face(Path(folder) / "film.mp4", frames=25 if short else 250)
        return [measure(video, aligned=True, runs=1 if short else RUNS)]


if __name__ == "__main__":
    print(table([measure(Path(sys.argv[1]), aligned=False)] if sys.argv[1:] else rows()))
