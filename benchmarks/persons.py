"""How many returning faces are joined to the right person, and how many to a wrong one.

    python benchmarks/persons.py VIDEO VIDEO...

Each video shows one person, a different one in each. From them are made: cuts to and fro between
two people, shown at the same place and size; a gap, in which the face is hidden; and two people in
one picture who are hidden at the same time. Prints the joins that should be made, those that were,
and wrong ones.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import combinations, islice, pairwise, permutations
from pathlib import Path

import cv2
import numpy as np

from m3dfel.recognition.appearance import AppearanceDescriptor
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.report.recognized import BOX
from m3dfel.video.decode import Frame, read_video

WIDTH, HEIGHT, FPS = 480, 270, 24
FACE = 96  # side of a face's box after scaling, in pixels

Clip = list[np.ndarray]
Film = tuple[str, list[Frame], list[tuple[str, ...]]]  # who is on the left, on the right, by frame


def centered(path: str) -> Clip:
    """Return the frames with the face in the middle, always of the same size."""
    frames = list(islice(read_video(path), 240))
    faces = Recognizer()(frames, progress=False).frames
    track = faces[faces["track"] == faces["track"].mode()[0]]
    box = track[BOX].median().to_numpy()
    scale = FACE / np.sqrt((box[2] - box[0]) * (box[3] - box[1]))
    x, y = scale * (box[0] + box[2]) / 2, scale * (box[1] + box[3]) / 2
    matrix = np.array([[scale, 0, WIDTH / 2 - x], [0, scale, HEIGHT / 2 - y]])
    shown = set(track["frame"])
    return [
        cv2.warpAffine(frame.image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA)
        for frame in frames
        if frame.index in shown
    ]


def as_film(name: str, pictures: Clip, who: list[tuple[str, ...]]) -> Film:
    return name, [Frame(i, i / FPS, picture) for i, picture in enumerate(pictures)], who


def cuts(one: str, other: str, clips: dict[str, Clip], shot: int, skip: bool) -> Film:
    """Cut to and fro; each goes on where it was left or, with `skip`, as if it had run on."""
    pictures, who, used = list[np.ndarray](), list[tuple[str, ...]](), {one: 0, other: 0}
    for turn in range(100):
        name = (one, other)[turn % 2]
        start = shot * turn if skip else used[name]
        part = clips[name][start : start + shot]
        if len(part) < shot:
            break
        used[name] = start + shot
        pictures += part
        who += [(name,)] * len(part)
    return as_film(f"cuts {one[:6]}/{other[:6]} {shot}{' skip' * skip}", pictures, who)


def gap(name: str, clip: Clip, start: int, length: int) -> Film:
    """Hide the middle of the picture for some frames."""
    pictures = [picture.copy() for picture in clip[: start + length + 48]]
    for picture in pictures[start : start + length]:
        picture[:] = cv2.GaussianBlur(picture, (0, 0), 40)
    return as_film(f"gap {name[:6]} {start}+{length}", pictures, [(name,)] * len(pictures))


def side_by_side(one: str, other: str, clips: dict[str, Clip], start: int, length: int) -> Film:
    pairs = zip(clips[one], clips[other], strict=False)
    quarter = WIDTH // 4
    pictures = [np.hstack([p[:, quarter:-quarter] for p in pair]) for pair in pairs]
    pictures = pictures[: start + length + 36]
    for picture in pictures[start : start + length]:
        picture[:] = cv2.GaussianBlur(picture, (0, 0), 40)
    who = [(one, other)] * len(pictures)
    return as_film(f"two {one[:6]}|{other[:6]} {start}+{length}", pictures, who)


def films(clips: dict[str, Clip]) -> Iterator[Film]:
    for one, other in permutations(clips, 2):
        for shot in (12, 24):
            yield cuts(one, other, clips, shot, skip=False)
        yield cuts(one, other, clips, 12, skip=True)
    for name, clip in clips.items():
        for start in range(16, len(clip) - 50, 40):
            yield gap(name, clip, start, 16)
    for one, other in combinations(clips, 2):
        yield side_by_side(one, other, clips, 24, 14)


def measure(film: Film, encoder: AppearanceDescriptor) -> tuple[int, int, int]:
    """Return the joins that should be made, those that were, and pairs joined wrongly."""
    name, frames, who = film
    faces = Recognizer(encoder=encoder)(frames, progress=False).frames
    identity, person = {}, dict(faces[["track", "person"]].drop_duplicates().to_numpy().tolist())
    for face, rows in faces.groupby("track"):
        row = rows.iloc[len(rows) // 2]
        shown = who[int(row["frame"])]
        left = (row["x1"] + row["x2"]) / 2 < WIDTH / 2
        identity[face] = shown[0] if left else shown[-1]
    wanted = done = 0
    for someone in set(identity.values()):
        own = [face for face in identity if identity[face] == someone]
        wanted += len(own) - 1
        done += sum(person[a] == person[b] for a, b in pairwise(own))
    wrong = sum(
        person[a] == person[b] for a, b in combinations(identity, 2) if identity[a] != identity[b]
    )
    print(
        f"{name:28} tracks {len(identity):2}, joined {done} of {wanted}, wrong {wrong}", flush=True
    )
    return wanted, done, wrong


def main(paths: Sequence[str]) -> None:
    encoder = AppearanceDescriptor()
    clips = {Path(path).stem: centered(path) for path in paths}
    results = np.array([measure(film, encoder) for film in films(clips)])
    wanted, done, wrong = results.sum(0)
    print(f"joined {done} of {wanted} ({100 * done / wanted:.0f} %), wrong {wrong}")


if __name__ == "__main__":
    main(sys.argv[1:])
