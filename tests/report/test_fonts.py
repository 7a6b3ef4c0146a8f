"""Chinese names in pictures, with a made-up font, since not every machine has a real one."""

import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import rcParams
from matplotlib.font_manager import fontManager

from m3dfel.batch.summary import summarize
from m3dfel.cli import main
from m3dfel.emotions import EMOTIONS, colors, names_in, parse_emotion
from m3dfel.errors import InputError
from m3dfel.predictions.prediction import Prediction
from m3dfel.recognition.recognizer import Recognizer
from m3dfel.report import fonts, words
from m3dfel.report.confusion import plot_confusion
from m3dfel.report.drawing import sprites
from m3dfel.report.drawing.faces import faces_of
from m3dfel.report.summary import plot_summary
from m3dfel.report.timeline import plot_timeline
from made_up import made_up_prediction, texts
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
    text = {char for char in "".join([*NAMES, *words._CHINESE.values()]) if not char.isascii()}
    glyphs = {ord(char): f"uni{ord(char):04X}" for char in sorted(text)}
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
        shown = set(texts(figure))
        assert set(NAMES) <= shown
        assert not set(EMOTIONS) & shown
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
    for name in ("film.csv", "film.json"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert emotion in text
        assert chinese not in text
    for name in ("film.srt", "film.eaf"):
        assert chinese in (tmp_path / name).read_text(encoding="utf-8")
    assert "人物 1" in (tmp_path / "film.eaf").read_text(encoding="utf-8")


def test_no_word_of_a_picture_stays_english(chinese_font):
    seen = made_up_prediction((0, 40), (10, 30), duration_s=60)
    seen.clips.loc[:1, ["emotion", "confidence", *(f"p_{e}" for e in EMOTIONS)]] = None
    seen.clips.loc[:1, "mark"] = "too small"
    nobody = made_up_prediction()
    summary = plot_summary(summarize([seen, nobody]), lang="zh")
    for figure in (plot_timeline(seen, lang="zh"), summary):
        shown = " ".join(texts(figure)).replace("film.mp4", "")
        assert not re.search(r"[a-z]{2}", shown)
    assert {"无人脸", "人脸太小"} <= set(texts(plot_timeline(seen, lang="zh")))


def test_a_mark_in_the_annotated_video_is_in_its_language(prediction: Prediction):
    clips = prediction.clips.assign(mark="uncertain")
    faces = faces_of(replace(prediction, clips=clips), "zh")
    assert {mark for face in faces for mark in face.marks} == {"不确定"}


def test_chinese_words_are_read_as_the_emotions_they_mean():
    assert [parse_emotion(name) for name in NAMES] == list(EMOTIONS)
