from m3dfel.report.style import new_figure, percent, shorten, text_width
from made_up import assert_nothing_is_cut_off


def test_a_figure_is_as_wide_as_its_heading():
    assert new_figure(9, 2, "title").get_size_inches().tolist() == [9, 2]
    narrow = new_figure(1, 2, "a title of several words", "first line\na much longer second line")
    assert narrow.get_size_inches()[0] > 2
    assert_nothing_is_cut_off(narrow)


def test_text_width_grows_with_size_and_ignores_formulas():
    assert text_width("disappointment", 18) > 1.9 * text_width("disappointment", 9) > 0
    assert text_width("$\\frac$", 9) > text_width("frac", 9)
    assert text_width("", 9) == 0


def test_long_names_keep_their_end():
    assert shorten("runs/seed-0", 11) == "runs/seed-0"
    assert shorten("runs/a/seed-0", 7) == "…seed-0"


def test_percent_has_one_decimal():
    assert percent(0.8231) == "82.3"
