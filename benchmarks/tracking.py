"""What following faces saves, and how little it changes, against a search of every frame.

    python benchmarks/tracking.py VIDEO...

For each video, and for the first two side by side: agreement of boxes, landmarks and emotions;
trembling of the landmarks; milliseconds for detection, beside those of a full search with the same
engine, and of one with OpenCV's engine. All are timed in turns, second by second, on one thread.
Then two faces in one picture, beside one.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path

import cv2
import numpy as np
import torch
from rows import Row, shared

from m3dfel.recognition.recognizer import Recognizer
from m3dfel.video import DETECT_EVERY
from m3dfel.video.boxes import box_overlaps
from m3dfel.video.cuts import CutFinder
from m3dfel.video.decode import Frame, read_video
from m3dfel.video.engines import load_opencv
from m3dfel.video.faces import CenterFace, Detection, FaceDetector
from m3dfel.video.follow import FaceFinder
from m3dfel.video.times import frames_at
from m3dfel.video.tracks import TrackedFace, track_faces

Detections = list[list[Detection]]
Search = Callable[[Frame], list[Detection]]
SIZE = 64
TURN = 24


def detect(frames: Sequence[Frame], *searches: Search) -> tuple[list[Detections], list[float]]:
    """Return for each search what it found, and its milliseconds a frame: timed in turns."""
    found: list[Detections] = [[] for _ in searches]
    seconds = [0.0] * len(searches)
    for first in range(0, len(frames), TURN):
        for s, search in enumerate(searches):
            start = time.process_time()
            found[s] += map(search, frames[first : first + TURN])
            seconds[s] += time.process_time() - start
    return found, [1e3 * second / len(frames) for second in seconds]


def following() -> Search:
    """Return the way of `track_faces`: known faces are followed, and cuts end tracks."""
    starts_shot, finder = CutFinder(), FaceFinder(CenterFace(), DETECT_EVERY)

    def search(frame: Frame) -> list[Detection]:
        if starts_shot(frame.image):
            finder.forget()
        return finder(frame) if finder.needs_detection(frame) else []

    return search


def full_search(opencv: bool = False) -> Search:
    detector = CenterFace()
    if opencv:
        detector._network = load_opencv()
    return lambda frame: detector(frame.image)


def replay(detections: Detections) -> FaceDetector:
    """Return a detector that gives the recorded detections, call by call."""
    recorded = iter(detections)
    return lambda image: next(recorded)


class Track:
    """One face over T frames: their indices, boxes and landmarks."""

    def __init__(self, faces: Sequence[TrackedFace]) -> None:
        self.track = faces[0].track
        self.indices = np.array([face.frame.index for face in faces])
        self.boxes = np.stack([face.detection.box for face in faces])
        self.landmarks = np.stack([face.detection.landmarks for face in faces])


def tracks_of(frames: Sequence[Frame], detector: FaceDetector) -> list[Track]:
    tracks = defaultdict(list)
    for tracked in track_faces(frames, detector, SIZE):
        for face in tracked.faces:
            tracks[face.track].append(face)
    return [Track(tracks[number]) for number in sorted(tracks)]


def counterpart(track: Track, others: Sequence[Track]) -> tuple[Track, np.ndarray, np.ndarray]:
    """Return the other track that shares most frames, and the indices of these in both."""
    best = max(others, key=lambda other: len(np.intersect1d(track.indices, other.indices)))
    _, here, there = np.intersect1d(track.indices, best.indices, return_indices=True)
    return best, here, there


def eye_distances(landmarks: np.ndarray) -> np.ndarray:
    return np.linalg.norm(landmarks[:, 0] - landmarks[:, 1], axis=1)


def trembling(landmarks: np.ndarray) -> tuple[float, float]:
    """Return how far the landmarks move from frame to frame, and how far off the neighbors' mean.

    In % of the eye distance. The first includes true motion, the second hardly.
    """
    eyes = eye_distances(landmarks).mean()
    steps = np.diff(landmarks, axis=0)
    bends = np.diff(steps, axis=0) / 2
    return tuple(100 * np.linalg.norm(moves, axis=2).mean() / eyes for moves in (steps, bends))


def emotions(frames: Sequence[Frame], detector: FaceDetector) -> np.ndarray:
    """Return the emotion of the first face at the time of every frame; empty without a face."""
    clips = Recognizer(detector=detector)(frames).clips
    clips = clips[clips["track"] == 1].fillna({"emotion": ""})
    times_s = np.array([frame.time_s for frame in frames])
    middles_s = ((clips["start_s"] + clips["end_s"]) / 2).to_numpy()
    shown = clips["emotion"].to_numpy(dtype=str)[frames_at(middles_s, times_s)]
    inside = (times_s >= clips["start_s"].min()) & (times_s < clips["end_s"].max())
    return np.where(inside, shown, "")


def compare_tracks(reference: Track, tracks: Sequence[Track]) -> None:
    track, here, there = counterpart(reference, tracks)
    one, other = track.landmarks[there], reference.landmarks[here]
    overlap = np.diag(box_overlaps(track.boxes[there], reference.boxes[here])).mean()
    distance = np.linalg.norm(one - other, axis=2).mean(1) / eye_distances(other)
    steps, bends = zip(trembling(one), trembling(other), strict=True)
    print(
        f"  face {reference.track}: {len(here)} of {len(reference.indices)} frames, "
        f"IoU {overlap:.3f}, landmarks {100 * distance.mean():.1f} % off, "
        f"trembling {bends[0]:.2f} % (full search {bends[1]:.2f} %), "
        f"frame to frame {steps[0]:.2f} % ({steps[1]:.2f} %)"
    )


def measure(name: str, frames: Sequence[Frame]) -> None:
    searches = following(), full_search(), full_search(opencv=True)
    (_, full, _), (fast, slow, slowest) = detect(frames, *searches)
    tracks = tracks_of(frames, CenterFace())
    references = tracks_of(frames, replay(full))
    print(f"{name}: {len(frames)} frames, {len(tracks)} faces, {len(references)} by full search")
    for reference in references if tracks else []:
        compare_tracks(reference, tracks)
    if tracks and references:
        same = emotions(frames, CenterFace()) == emotions(frames, replay(full))
        print(f"  same emotion {100 * same.mean():.1f} % of the time")
    print(
        f"  {fast:.1f} ms a frame, full search {slow:.1f} ms, by OpenCV {slowest:.1f} ms: "
        f"ratio {fast / slow:.3f}, to OpenCV {fast / slowest:.3f}",
        flush=True,
    )


def measure_two_faces(one: Sequence[Frame], other: Sequence[Frame]) -> tuple[int, float, float]:
    """Return how many faces are found in two videos side by side.

    And the milliseconds a frame for both, and for the first one alone.
    """
    both, alone = [], []
    for left, right in zip(one, other, strict=False):
        picture = cv2.resize(right.image, left.image.shape[1::-1])
        empty = np.full_like(picture, 128)
        for frames, neighbor in ((both, picture), (alone, empty)):
            frames.append(Frame(left.index, left.time_s, np.hstack([left.image, neighbor])))
    (found,), (two,) = detect(both, following())
    _, (single,) = detect(alone, following())
    return max(map(len, found)), two, single


def rows(short: bool = False) -> list[Row]:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)

    def beginning(video: str, seconds: float) -> list[Frame]:
        path, last_s = shared(f"data/videos/{video}"), seconds / 4 if short else seconds
        return list(takewhile(lambda frame: frame.time_s < last_s, read_video(path)))

    found = []
    for video, seconds in ("single_face.mp4", 2), ("WolfgangLanger_Pexels.mp4", 4):
        frames = beginning(video, seconds)
        searches = following(), full_search(), full_search(opencv=True)
        _, (fast, slow, slowest) = detect(frames, *searches)
        name = f"detection, a frame of {video}"
        found += [
            Row(name, fast, "ms", "search of every frame", slow),
            Row(name, fast, "ms", "search of every frame by OpenCV", slowest),
        ]
    man, woman = (beginning(video, 3) for video in ("single_face.mp4", "woman_phone.mp4"))
    _, two, one = measure_two_faces(man, woman)
    return [*found, Row("detection, a frame with two faces", two, "ms", "one face", one)]


def main(paths: Sequence[str]) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for path in paths:
        measure(Path(path).name, list(read_video(path)))
    if len(paths) > 1:
        faces, two, one = measure_two_faces(*(list(read_video(path)) for path in paths[:2]))
        print(f"{faces} faces {two:.1f} ms a frame, one {one:.1f} ms: ratio {two / one:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
