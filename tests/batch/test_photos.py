import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from m3dfel.batch.photos import predict_photos
from m3dfel.batch.settings import PredictSettings
from m3dfel.errors import InputError
from m3dfel.models.checkpoints import save_model
from m3dfel.video.decode import read_video
from m3dfel.video.sources import find_sources
from small_videos import noise_video, small_model


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    paths = [str(tmp_path / f"{name}.png") for name in ("anna", "ben")]
    for path, frame in zip(paths, noise_video(2), strict=True):
        Image.fromarray(frame.image).save(path)
    return paths


@pytest.fixture
def settings(tmp_path: Path) -> PredictSettings:
    save_model(small_model(), tmp_path / "model")
    return PredictSettings(
        str(tmp_path / "out"),
        ("csv", "json", "parquet", "png", "srt"),
        model=str(tmp_path / "model"),
    )


def test_photos_become_one_table_and_a_contact_sheet(photos: list[str], settings: PredictSettings):
    broken = str(Path(photos[0]).with_name("broken.jpg"))
    Path(broken).write_bytes(b"no picture")
    table, problems = predict_photos([*photos, broken], settings)
    assert table["file"].tolist() == photos
    assert table["mark"].tolist() == ["no face"] * 2
    assert len(problems) == 1
    assert "broken.jpg" in problems[0]
    folder = Path(settings.output)
    assert sorted(path.name for path in folder.glob("[!.]*")) == [
        *("photos.csv", "photos.json", "photos.parquet", "photos.png")
    ]
    assert pd.read_csv(folder / "photos.csv")["file"].tolist() == photos
    assert [row["mark"] for row in json.loads((folder / "photos.json").read_text())] == [
        "no face"
    ] * 2
    assert len(pd.read_parquet(folder / "photos.parquet")) == 2
    predict_photos(photos, settings)


def test_a_photo_may_be_at_a_url(photos: list[str], settings: PredictSettings):
    found = find_sources([f"file://{photos[0]}", photos[1]])
    assert found == ([], [f"file://{photos[0]}", photos[1]])
    table, problems = predict_photos(found.photos, settings)
    assert table["file"].tolist() == found.photos
    assert not problems


def test_a_table_of_the_user_is_not_replaced(photos: list[str], settings: PredictSettings):
    Path(settings.output).mkdir()
    (Path(settings.output) / "photos.csv").write_text("by hand")
    with pytest.raises(InputError, match=r"photos\.csv was not written by m3dfel"):
        predict_photos(photos, settings)
    predict_photos(photos, settings, overwrite=True)


def test_photos_of_real_people(shared: Path, tmp_path: Path):
    frame = next(read_video(shared / "data/videos/single_face.mp4")).image
    gray = frame.mean(axis=2).astype(np.uint16) * 257
    Image.fromarray(frame).save(tmp_path / "a.png")
    Image.fromarray(gray).save(tmp_path / "b.png")
    settings = PredictSettings(str(tmp_path / "out"), ("csv",))
    table, problems = predict_photos([str(tmp_path / "a.png"), str(tmp_path / "b.png")], settings)
    assert not problems
    assert table["emotion"].tolist() == ["neutral"] * 2
    assert table["face"].tolist() == [1, 1]
