"""Everything the page shows about photos: the pictures, a row for each face, and all files.

Beside the analysis of a video, which the page shows in another way. `batch.photos` writes the
files, as for `m3dfel predict`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from PIL import Image

from m3dfel.batch.photos import PHOTO_STEM, write_photos
from m3dfel.errors import InputError
from m3dfel.predictions.photos import photo_table
from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.video.decode import Picture
from m3dfel.video.sources import read_frames
from m3dfel.web.analysis import Report, Unsuitable, drawn_language, write_zip
from m3dfel.web.translations import Language

_FORMATS = ("png", "xlsx", "csv", "json")
_SHOWN_SIDE = 1600  # pixels of a photo on the page, at most


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo and its faces.

    Attributes:
        name: of the file.
        width: in pixels.
        height: in pixels.
        shown: a copy as JPEG, which every browser shows.
        faces: the rows of `photo_table` with a face.
    """

    name: str
    width: int
    height: int
    shown: Path
    faces: pd.DataFrame


@dataclass(frozen=True, eq=False)
class PhotoAnalysis:
    """What the page shows about photos.

    Attributes:
        labels: the model's label set.
        photos: those that could be read.
        unreadable: names of the others.
        files: to download, by format; `zip` has all of them.
    """

    labels: tuple[str, ...]
    photos: list[Photo]
    unreadable: list[str]
    files: dict[str, Path]


def analyze_photos(
    files: Sequence[Path],
    folder: Path,
    recognizer: Recognizer,
    language: Language,
    report: Report,
) -> PhotoAnalysis:
    """Recognize the faces in photos, and write tables and contact sheets.

    Args:
        files: the photos, with different names.
        folder: receives what can be downloaded.
        recognizer: recognizes the faces.
        language: of the contact sheets, if there is a font for it.
        report: called for every photo.

    Raises:
        Unsuitable: no file can be read, or no photo shows a face.
        InputError: a result cannot be written.
    """
    photos, unreadable = list[Photo](), list[str]()
    shown, written = folder / "shown", folder / "files"
    shown.mkdir(parents=True)

    def recognized() -> Iterator[tuple[Picture, Prediction]]:
        for index, file in enumerate(files):
            report("reading", index / len(files))
            try:
                (frame,) = read_frames(file)
            except InputError:
                unreadable.append(file.name)
                continue
            prediction = recognizer.predict([frame], progress=False)
            prediction = replace(prediction, source=file.name)
            photos.append(_photo(frame.image, prediction, shown / f"{index}.jpg"))
            yield frame.image, prediction

    paths = {name: written / f"{PHOTO_STEM}.{name}" for name in _FORMATS}
    table = write_photos(recognized(), paths, drawn_language(language))
    if not photos:
        raise Unsuitable("unreadable")
    if table["face"].isna().all():
        raise Unsuitable("no_face")
    # Many photos need several contact sheets, which only the archive has.
    archive = write_zip(folder / f"{PHOTO_STEM}_m3dfel.zip", sorted(written.iterdir()))
    return PhotoAnalysis(recognizer.model.labels, photos, unreadable, paths | {"zip": archive})


def _photo(image: Picture, prediction: Prediction, shown: Path) -> Photo:
    height, width = image.shape[:2]
    picture = Image.fromarray(image)
    picture.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
    picture.save(shown)
    faces = photo_table([prediction]).dropna(subset="face")
    return Photo(prediction.source, width, height, shown, faces)
