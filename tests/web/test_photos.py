from pathlib import Path
from zipfile import ZipFile

import pytest
from PIL import Image

from m3dfel.recognition.recognizer import Recognizer
from m3dfel.web.analysis import Unsuitable
from m3dfel.web.photos import PhotoAnalysis, analyze_photos
from m3dfel.web.result import render_result
from small_videos import ScriptedDetector, noise_video, small_model


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.png" for name in ("anna", "ben")]
    for path, frame in zip(paths, noise_video(2, side=96), strict=True):
        Image.fromarray(frame.image).save(path)
    return paths


def analyzed(files: list[Path], *faces, report=lambda step, progress: None) -> PhotoAnalysis:
    recognizer = Recognizer(small_model(), detector=ScriptedDetector(*faces))
    return analyze_photos(files, files[0].parent / "results", recognizer, "en", report)


def test_every_photo_is_shown_and_what_cannot_be_read_is_named(files: list[Path], tmp_path: Path):
    broken = tmp_path / "broken.jpg"
    broken.write_text("no photo")
    reports: list[float] = []
    analysis = analyzed(
        [*files, broken], (0, {0, 1}), report=lambda step, done: reports.append(done)
    )
    assert [photo.name for photo in analysis.photos] == ["anna.png", "ben.png"]
    assert analysis.unreadable == ["broken.jpg"]
    assert reports == pytest.approx([0, 1 / 3, 2 / 3])
    assert Image.open(analysis.photos[0].shown).size == (96, 96)
    assert len(analysis.photos[0].faces) == 1
    with ZipFile(analysis.files["zip"]) as archive:
        names = ["photos.csv", "photos.json", "photos.png", "photos.xlsx"]
        assert archive.namelist() == names
    page = render_result(analysis, "j0b", "zh")
    assert '<img src="jobs/j0b/photos/1" alt="ben.png"' in page
    assert "2 张照片" in page


@pytest.mark.parametrize(
    ("names", "reason"),
    [(("anna.png", "ben.png"), "no_face"), (("broken.jpg",), "unreadable")],
)
def test_photos_without_anything_to_show_have_a_reason(
    files: list[Path], names: tuple[str, ...], reason: str
):
    folder = files[0].parent
    (folder / "broken.jpg").write_text("no photo")
    with pytest.raises(Unsuitable) as caught:
        analyzed([folder / name for name in names])
    assert caught.value.reason == reason
