"""A font for Chinese words in figures and videos; the one that all figures share has none.

Other words keep their font: the Chinese one is used only where that has no glyph.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findSystemFonts, fontManager
from matplotlib.text import Text
from PIL import ImageFont

from m3dfel.errors import InputError

# The fonts that Linux, Windows and macOS have or offer, the best first.
_CHINESE = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN"),
    *("Noto Sans CJK JP", "Microsoft YaHei", "PingFang SC", "Hiragino Sans GB", "Heiti TC"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "SimHei", "STHeiti", "Arial Unicode MS"),
)


def is_chinese(text: str) -> bool:
    """Return whether a text has Chinese characters or punctuation."""
    return any("\u2e80" <= char <= "\u9fff" or "\uff00" <= char <= "\uffef" for char in text)


def check_fonts(words: Iterable[str]) -> None:
    """Check that figures can show these words.

    Raises:
        InputError: a word is Chinese, and no font with Chinese characters is installed.
    """
    if any(map(is_chinese, words)):
        chinese_font()


def families(text: str) -> list[str]:
    """Return the font families for a text in a figure, the second of them for Chinese characters.

    Without a Chinese font, as for the name of a file, only the first is returned.
    """
    default = list(rcParams["font.family"])
    try:
        return [*default, chinese_font()] if is_chinese(text) else default
    except InputError:
        return default


def set_families(figure: Figure) -> None:
    """Let the Chinese texts of a figure have a Chinese font, and leave matplotlib's settings."""
    for text in figure.findobj(Text):
        if is_chinese(text.get_text()):
            text.set_fontfamily(families(text.get_text()))


@lru_cache
def chinese_font() -> str:
    """Return the name of an installed font with Chinese characters.

    Raises:
        InputError: there is none.
    """
    name = _best_listed()
    if name is None:
        _list_new_fonts()
        name = _best_listed()
    if name is None:
        raise InputError(
            "no font with Chinese characters is installed: install Noto Sans CJK (on Debian and "
            "Ubuntu: apt-get install fonts-noto-cjk), or use the English names (--lang en)"
        )
    return name


def _best_listed() -> str | None:
    listed = {font.name for font in fontManager.ttflist}
    return next((name for name in _CHINESE if name in listed), None)


def _list_new_fonts() -> None:
    """Add fonts that were installed after matplotlib wrote its list of fonts."""
    known = {str(font.fname) for font in fontManager.ttflist}
    for file in findSystemFonts():
        if file not in known:
            try:
                fontManager.addfont(file)
            except (OSError, RuntimeError):  # a damaged font, or of a kind that it cannot read
                continue


@lru_cache
def text_font(size: int, bold: bool, chinese: bool) -> ImageFont.FreeTypeFont:
    """Return the font of the figures, or that for Chinese words, to draw into pictures.

    Args:
        size: in pixels.
        bold: whether the text is bold.
        chinese: whether the text has Chinese characters.

    Raises:
        InputError: no font with Chinese characters is installed.
    """
    family = chinese_font() if chinese else "DejaVu Sans"
    weight = "bold" if bold else "normal"
    file = fontManager.findfont(FontProperties(family=family, weight=weight))
    # Several fonts can be in one file; older matplotlib knows only the first.
    return ImageFont.truetype(str(file), size, index=getattr(file, "face_index", 0))
