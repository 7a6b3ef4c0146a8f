import pytest

from m3dfel.cli.options import Parser, add_language, list_names, settings_of
from m3dfel.errors import InputError
from m3dfel.recognition.settings import RecognizerSettings


def test_lists_are_made_only_for_the_help():
    def fail() -> str:
        raise AssertionError("it is slow")

    parser = Parser(lists=fail)
    add_language(parser)
    assert parser.parse_args(["--lang", "zh"]).lang == "zh"
    shown = Parser(lists=lambda: list_names("formats", {"csv": "a table", "x": ""}))
    assert shown.format_help().endswith("formats:\n  csv          a table\n  x\n")


def test_settings_are_options_with_their_own_defaults_and_ranges():
    parser = Parser()
    parser.add_class_arguments(RecognizerSettings)
    assert settings_of(RecognizerSettings, parser.parse_args([])) == RecognizerSettings()
    given = parser.parse_args(["--clip_s", "1.28", "--detect_every", "1"])
    assert settings_of(RecognizerSettings, given) == RecognizerSettings(clip_s=1.28, detect_every=1)
    with pytest.raises(InputError, match="clip_s"):
        settings_of(RecognizerSettings, parser.parse_args(["--clip_s", "0"]))
