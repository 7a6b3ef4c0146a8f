"""Predict photos: one table and contact sheets of all of them.

Behind `m3dfel predict` with pictures that are not the frames of a video.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from m3dfel.batch.predictor import VideoPredictor
from m3dfel.batch.settings import PredictSettings
from m3dfel.errors import InputError
from m3dfel.files import atomic_write, check_replaceable, printable, start_list, write_text
from m3dfel.predictions.persons import only_region
from m3dfel.predictions.photos import photo_table
from m3dfel.predictions.prediction import Prediction
from m3dfel.progress import progress
from m3dfel.report.contact_sheet import write_contact_sheets
from m3dfel.report.tables import write_csv, write_xlsx
from m3dfel.video.decode import Picture
from m3dfel.video.sources import read_frames

PHOTO_STEM = "photos"
"""What the names of the results start with."""

_FORMATS = ("csv", "xlsx", "parquet", "json", "png")


def predict_photos(
    files: Sequence[str], settings: PredictSettings, overwrite: bool = False
) -> tuple[pd.DataFrame, list[str]]:
    """Predict photos, and write a table (CSV, Excel, Parquet, JSON) and contact sheets (PNG).

    Photos that cannot be read are passed over.

    Args:
        files: from `find_sources`.
        settings: of all photos; formats that are only for videos are left out.
        overwrite: replace files that m3dfel did not write.

    Returns:
        The table, as from `photo_table`, and a sentence for each photo that cannot be read.

    Raises:
        InputError: a result would replace a file that m3dfel did not write, or cannot be written.
    """
    folder = Path(settings.output)
    paths = {name: folder / f"{PHOTO_STEM}.{name}" for name in _FORMATS if name in settings.formats}
    check_replaceable(paths.values(), overwrite)
    predictor = VideoPredictor(settings)
    problems = list[str]()

    def recognized() -> Iterator[tuple[Picture, Prediction]]:
        for file in progress(files, "predicting photos", len(files), "{:.1f} photos/s"):
            try:
                frame = next(read_frames(file))  # at a URL, it may be an animation
            except InputError as error:
                problems.append(str(error))
                continue
            prediction = predictor.recognizer.predict([frame], progress=False)
            prediction.source = file
            if settings.region is not None:
                prediction = only_region(prediction, settings.region)
            yield frame.image, prediction

    start_list(folder)
    return write_photos(recognized(), paths, settings.lang), problems


def write_photos(
    photos: Iterable[tuple[Picture, Prediction]], paths: Mapping[str, Path], lang: str = "en"
) -> pd.DataFrame:
    """Write one table (CSV, Excel, Parquet, JSON) and contact sheets (PNG) of photos.

    Args:
        photos: each photo, uint8 RGB (H, W, 3), and its prediction.
        paths: of the files to write, by format: `csv`, `xlsx`, `parquet`, `json`, `png`.
        lang: language of the contact sheets, `en` or `zh`.

    Returns:
        The table, as from `photo_table`.

    Raises:
        InputError: a file cannot be written.
    """
    predictions = list[Prediction]()

    def cells() -> Iterator[tuple[Picture, pd.DataFrame]]:
        for photo, prediction in photos:
            predictions.append(prediction)
            yield photo, photo_table([prediction])

    if "png" in paths:
        write_contact_sheets(cells(), paths["png"], lang)
    else:
        for _ in cells():
            pass
    table = photo_table(predictions)
    _write(table, paths)
    return table


def _write(table: pd.DataFrame, paths: Mapping[str, Path]) -> None:
    if "csv" in paths:
        write_csv(table, paths["csv"])
    if "xlsx" in paths:
        write_xlsx({PHOTO_STEM: table}, paths["xlsx"])
    if "json" in paths:
        records = table.astype(object).where(table.notna(), None).to_dict("records")
        write_text(paths["json"], json.dumps(records, indent=1))
    if "parquet" in paths:
        with atomic_write(paths["parquet"]) as temporary:
            table.assign(file=table["file"].map(printable)).to_parquet(temporary, index=False)
