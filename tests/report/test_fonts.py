"""Chinese names in pictures, with a made-up font, since not every machine has a real one."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import rcParams
from matplotlib.font_manager import fontManager

from m3dfel.cli import main
from m3dfel.emotions import EMOTIONS, colors, names_in, parse_emotion
from m3dfel.errors import InputError
from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.report import fonts
from m3dfel.report.confusion import plot_confusion
from m3dfel.report.drawing import sprites
from m3dfel.report.timeline import plot_timeline
from made_up import texts
from small_videos import ScriptedDetector, noise_video, small_model

NAMES = list(names_in("zh", EMOTIONS).values())


@pytest.fixture
def no_chinese_font(monkeypatch) -> Iterator[None]:
    """Let fonts be those of matplotlib itself, and forget those that were used before."""
    own = [font for font in fontManager.ttflist if "DejaVu" in font.name]
    monkeypatch.setattr(fontManager, "ttflist", own)
    monkeypatch.setattr(fonts, "findSystemFonts", list)
    caches = (fonts.chinese_font, fonts.text_font, sprites.text)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.fixture
def chinese_font(no_chinese_font, monkeypatch, tmp_path: Path) -> Path:
    """Install a font in which every Chinese character is a square."""
    file = tmp_path / "squares.ttf"
    glyphs = {ord(char): f"uni{ord(char):04X}" for char in sorted(set("".join(NAMES)))}
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in (0, 700), (900, 700), (900, 0):
        pen.lineTo(corner)
    pen.closePath()
    order = [".notdef", *glyphs.values()]
    square = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap(glyphs)
    builder.setupGlyf(dict.fromkeys(order, square))
    builder.setupHorizontalMetrics(dict.fromkeys(order, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "SimHei", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    builder.save(file)
    monkeypatch.setattr(fonts, "findSystemFonts", lambda: [str(file)])
    return file


@pytest.fixture
def prediction() -> Prediction:
    """A face in two seconds of noise."""
    detector = ScriptedDetector((0, set(range(50))))
    return Recognizer(small_model(), detector=detector)(noise_video(50))


def test_a_font_installed_since_matplotlib_listed_its_fonts_is_found(chinese_font):
    assert fonts.chinese_font() == "SimHei"


def test_without_a_chinese_font_the_error_says_what_to_install(no_chinese_font):
    with pytest.raises(InputError, match="apt-get install fonts-noto-cjk"):
        fonts.check_fonts(["fear", "恐惧"])


def test_other_words_need_no_second_font(no_chinese_font):
    fonts.check_fonts(["peur", "Überraschung", "страх"])


def test_predict_says_so_before_it_reads_the_video(no_chinese_font, capsys):
    assert main(["predict", "gone.mp4", "--lang", "zh"]) == 2
    assert "no font with Chinese characters is installed" in capsys.readouterr().err


def test_figures_show_chinese_names_and_the_colors_of_the_english_ones(
    chinese_font, prediction: Prediction, results, tmp_path: Path
):
    assert list(colors(NAMES).values()) == list(colors(EMOTIONS).values())
    settings = dict(rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as: glyph missing from font
        timeline = plot_timeline(prediction, tmp_path / "timeline.png", lang="zh")
        confusion = plot_confusion([results], ["mine"], tmp_path / "confusion.png", lang="zh")
    for figure in timeline, confusion:
        words = set(texts(figure))
        assert set(NAMES) <= words
        assert not set(EMOTIONS) & words
    assert dict(rcParams) == settings, "those of matplotlib are the user's"


def test_words_in_a_video_are_written_in_the_chinese_font(chinese_font):
    word = sprites.text("恐惧", 20, "#000000")
    assert (word[..., 3] > 0.5).mean() > 0.3  # squares; unknown characters are outlines


def test_pictures_and_subtitles_are_in_the_language_and_tables_for_programs_are_not(
    chinese_font, prediction: Prediction, tmp_path: Path
):
    prediction.source = "film.mp4"
    prediction.save(tmp_path, ["csv", "json", "srt", "eaf", "png"], lang="zh")
    emotion = prediction.clips["emotion"].iloc[0]
    chinese = names_in("zh", EMOTIONS)[emotion]
    for name in ("film.csv", "film.json", "film.eaf"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert emotion in text
        assert chinese not in text
    assert chinese in (tmp_path / "film.srt").read_text(encoding="utf-8")


def test_chinese_words_are_read_as_the_emotions_they_mean():
    assert [parse_emotion(name) for name in NAMES] == list(EMOTIONS)
