import re

import pytest

from m3dfel.emotions import EMOTIONS
from m3dfel.web.translations import WORDS, choose_language, translate

OWN_WORDS = {*EMOTIONS, "uncertain", "too small", "turned away", "blurred"}


def test_both_languages_say_the_same_things():
    english, chinese = WORDS["en"], WORDS["zh"]
    assert chinese.keys() >= english.keys() | OWN_WORDS
    for word, sentence in english.items():
        assert set(re.findall(r"{\w+}", sentence)) == set(re.findall(r"{\w+}", chinese[word]))


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("zh", "zh"),
        ("en-GB,zh;q=0.9", "en"),
        ("de-DE,de", "en"),
        ("", "en"),
    ],
)
def test_the_language_is_the_first_that_the_browser_asks_for(accepted: str, language: str):
    assert choose_language(accepted) == language


def test_a_word_without_translation_stays_as_it_is():
    assert translate("zh", "contentment") == "contentment"
    assert translate("zh", "person", n=2) == "人物 2"
