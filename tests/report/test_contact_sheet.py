from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from m3dfel.report.contact_sheet import write_contact_sheets


def rows(name: str, face: int | None, mark: str = "") -> pd.DataFrame:
    box = {"x1": 20.0, "y1": 60.0, "x2": 120.0, "y2": 180.0}
    answer = {"emotion": "happiness", "confidence": 0.9, "p_happiness": 0.9, "p_sadness": 0.1}
    return pd.DataFrame([{"file": name, "face": face, "mark": mark} | box | answer])


def test_faces_have_boxes_and_every_24_photos_are_a_picture(tmp_path: Path):
    photo = np.full((300, 400, 3), 90, np.uint8)
    photos = [(photo, rows("with.jpg", 1)), (photo, rows("without.jpg", None, "no face"))]
    paths = write_contact_sheets(photos * 13, tmp_path / "photos.png")
    assert [path.name for path in paths] == ["photos.png", "photos_2.png"]
    page = np.asarray(Image.open(paths[0]).convert("RGB"))
    first, second = page[16:316, 16:416], page[16:316, 432:832]
    assert (first != 90).any()
    assert (second == 90).all()
    assert Image.open(paths[1]).height < page.shape[0]


def test_photos_of_any_shape_fit(tmp_path: Path):
    shapes = [(9, 400), (400, 9), (20, 20), (2000, 3000)]
    photos = [(np.zeros((*shape, 3), np.uint8), rows("a.jpg", 1, "blurred")) for shape in shapes]
    assert len(write_contact_sheets(photos, tmp_path / "photos.png", lang="en")) == 1
