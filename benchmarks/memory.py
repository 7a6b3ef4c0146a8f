"""How much memory a prediction takes at most, for a short and for a long video.

    python benchmarks/memory.py VIDEO [SHORT_MINUTES LONG_MINUTES]

Repeats the video until it lasts that many minutes (2 and 20), without encoding it again, and
predicts each in a process of its own. Prints the peak memory of both and their difference.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import av
from rows import Row, shared

from m3dfel import Recognizer
from m3dfel.video.decode import picture_stream


def repeat(video: str, path: Path, duration_s: float) -> None:
    """Write a video that shows another one again and again."""
    with av.open(video) as source, av.open(str(path), "w") as output:
        stream = picture_stream(source)
        copy = output.add_stream_from_template(stream)
        end = shift = 0
        while end * stream.time_base < duration_s:
            source.seek(0, stream=stream)
            for packet in source.demux(stream):
                if packet.dts is None:
                    continue
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                end = max(end, packet.pts + packet.duration)
                packet.stream = copy
                output.mux(packet)
            shift = end


def measure(path: str) -> None:
    start_s = time.monotonic()
    prediction = Recognizer()(path)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    video_s, elapsed_s = prediction.frames["time_s"].max(), time.monotonic() - start_s
    print(f"{peak_mb:.0f} {len(prediction.frames)} {video_s / elapsed_s:.1f}")


def peak_memory(video: str, *minutes: float) -> list[float]:
    """Return the peak memory in MB for each length, and print it."""
    peaks_mb = []
    with TemporaryDirectory() as folder:
        for length in minutes:
            path = Path(folder) / "film.mp4"
            repeat(video, path, 60 * length)
            command = [sys.executable, __file__, "--measure", str(path)]
            result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            peak_mb, faces, speed = result.stdout.split()
            peaks_mb.append(float(peak_mb))
            print(
                f"{length:g} minutes, {faces} faces in frames: at most {peak_mb} MB, "
                f"{speed} × real time",
                flush=True,
            )
    return peaks_mb


def rows(short: bool = False) -> list[Row]:
    video = str(shared("data/videos/single_face.mp4"))
    shorter, longer = (0.1, 0.2) if short else (1, 10)
    baseline, peak = peak_memory(video, shorter, longer)
    name = f"peak memory, a video of {longer:g} minutes"
    return [Row(name, peak, "MB", f"one of {shorter:g} minutes", baseline)]


def main(video: str, *minutes: str) -> None:
    peaks_mb = peak_memory(video, *map(float, minutes or ("2", "20")))
    print(f"difference {peaks_mb[-1] - peaks_mb[0]:.0f} MB, ratio {peaks_mb[-1] / peaks_mb[0]:.2f}")


if __name__ == "__main__":
    if sys.argv[1] == "--measure":
        measure(sys.argv[2])
    else:
        main(*sys.argv[1:])
