"""How fast a prediction is drawn into its video, beside decoding and encoding the video alone.

    python benchmarks/annotate.py [VIDEO]

Prints seconds of video per second of work, the best of several interleaved runs of each. Without a
video, it makes one of ten seconds at 640×360 with a drawn face, and takes the whole picture for it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from m3dfel import Recognizer
from m3dfel.report.annotate import annotate_video
from m3dfel.synthetic.clips import SyntheticClip, render
from m3dfel.video.decode import probe, write_video
from m3dfel.video.encode import rewrite_video

RUNS = 5


def drawn_face(path: Path) -> Path:
    clip = SyntheticClip(seed=0, identity=100, clip=1, emotion="happiness")
    faces = render(clip, range(clip.n_frames), size=224)
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (36, 64, 3), dtype=np.uint8)
    background = cv2.resize(noise, (640, 360), interpolation=cv2.INTER_CUBIC)

    def pictures():
        for index in range(250):
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


def main() -> None:
    with TemporaryDirectory() as folder:
        video = Path(sys.argv[1]) if sys.argv[1:] else drawn_face(Path(folder) / "film.mp4")
        prediction = Recognizer()(video, aligned=not sys.argv[1:])
        info, output = probe(video), Path(folder) / "annotated.mp4"
        duration_s = info.duration_s or 0.0
        annotated, copied = [], []
        for _ in range(RUNS):
            annotated.append(seconds(lambda: annotate_video(prediction, output)))
            copied.append(seconds(lambda: rewrite_video(video, output, lambda f: f.image)))
    faces = prediction.faces["face"].nunique()
    print(f"{video.name}: {info.width}×{info.height}, {duration_s:.1f} s, {faces} face(s)")
    print(f"annotating: {duration_s / min(annotated):.1f} × real time")
    print(f"decoding and encoding alone: {duration_s / min(copied):.1f} × real time")
    print(f"ratio: {min(annotated) / min(copied):.2f}")


if __name__ == "__main__":
    main()
