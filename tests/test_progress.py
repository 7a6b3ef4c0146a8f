import sys

from rich.console import Console

from m3dfel import progress as module
from m3dfel.progress import progress, progress_bar


def on_a_terminal(**_: object) -> Console:
    return Console(file=sys.stderr, force_terminal=True, width=100)


def test_all_items_pass(capsys):
    assert list(progress([1, 2, 3], "reading", total=3)) == [1, 2, 3]
    assert list(progress(iter("ab"), "reading")) == ["a", "b"]
    assert capsys.readouterr().err == "", "stderr is no terminal here"


def test_a_terminal_shows_what_is_done(capsys, monkeypatch):
    monkeypatch.setattr(module, "Console", on_a_terminal)
    with progress_bar("epoch 1/2", total=8, rate="{:.1f} clips/s", done=4) as advance:
        advance(2)
        advance(2, "epoch 2/2")
    shown = capsys.readouterr().err
    assert "epoch 2/2" in shown
    assert "100%" in shown


def test_it_can_be_silenced(capsys, monkeypatch):
    monkeypatch.setattr(module, "Console", on_a_terminal)
    assert list(progress("ab", "reading", show=False)) == ["a", "b"]
    assert capsys.readouterr().err == ""
