import pandas as pd
from matplotlib.colors import to_hex

from m3dfel.report.comparison import plot_comparison
from m3dfel.report.style import FAINT, INK
from made_up import assert_nothing_is_cut_off, is_png, texts


def test_a_single_row_has_no_differences(tmp_path):
    table = pd.DataFrame({"name": ["m3dfel"], "war": [80.0], "war_std": [None]})
    table[["uar", "uar_std"]] = table[["war", "war_std"]]
    plot_comparison(table, tmp_path / "table.png")
    assert is_png(tmp_path / "table.png")


def test_differences_whose_interval_includes_zero_are_gray(tmp_path):
    columns = {
        "name": ["unchanged", "model.bag_size = 1", "a name that is much too long for its column"],
        "war": [80.0, 82.0, 75.0],
        "war_std": [1.0, 2.0, None],
        "war_difference": [None, 2.0, -5.0],
        "war_low": [None, -1.0, -8.0],
        "war_high": [None, 4.0, -2.0],
    }
    table = pd.DataFrame(columns)
    for name in ("", "_std", "_difference", "_low", "_high"):
        table[f"uar{name}"] = table[f"war{name}"]
    figure = plot_comparison(table, tmp_path / "table.png")
    assert is_png(tmp_path / "table.png")
    differences = figure.axes[1]
    zero, *lines = differences.lines
    assert zero.get_xdata() == [0, 0]
    colors = {line.get_xdata()[0]: to_hex(line.get_color()) for line in lines}
    assert colors[2.0] == colors[-1.0] == FAINT
    assert colors[-5.0] == colors[-8.0] == INK
    assert "…t is much too long for its column" in " ".join(texts(figure))
    assert_nothing_is_cut_off(figure)
