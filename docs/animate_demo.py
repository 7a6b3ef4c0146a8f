"""Make the animated picture that opens the README.

    python docs/animate_demo.py shared/data/videos/WolfgangLanger_Pexels.mp4

Draws what the bundled model recognizes into the video and writes `docs/demo.webp`, an animated WebP
without sound. The video is from Pexels, whose license allows showing it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from m3dfel import Recognizer
from m3dfel.files import atomic_write
from m3dfel.video.decode import Frame, read_video

FRAMES_PER_S = 12
MAX_BYTES = 3_000_000


def animate(video: Path, path: Path) -> None:
    """Write an annotated video as an animated WebP."""
    with TemporaryDirectory() as folder:
        annotated = Path(folder) / "annotated.mp4"
        Recognizer()(video).annotate(annotated)
        frames = list(_at_rate(read_video(annotated)))
    pictures = [Image.fromarray(frame.image) for frame in frames]
    starts_ms = [round(1000 * frame.time_s) for frame in frames]
    last_ms = starts_ms[-1] + 2000  # long enough to look at the whole timeline
    durations = [
        end - start for start, end in zip(starts_ms, [*starts_ms[1:], last_ms], strict=True)
    ]
    with atomic_write(path) as temporary:
        pictures[0].save(
            temporary,
            save_all=True,
            append_images=pictures[1:],
            duration=durations,
            loop=0,
            quality=62,
            method=4,
        )
    size = path.stat().st_size
    print(f"{path}: {len(pictures)} pictures, {size / 1e6:.2f} MB")
    if size > MAX_BYTES:
        sys.exit(f"more than {MAX_BYTES / 1e6:.0f} MB: lower the quality or FRAMES_PER_S")


def _at_rate(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Yield the first frame of each part of a second."""
    for _, together in groupby(frames, key=lambda frame: int(frame.time_s * FRAMES_PER_S + 0.5)):
        yield next(together)


if __name__ == "__main__":
    animate(Path(sys.argv[1]), Path(__file__).with_name("demo.webp"))
