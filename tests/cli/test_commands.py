"""The command line as a whole: help, errors, plugins."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from m3dfel import __version__
from m3dfel.cli import main


def test_without_words_five_lines_say_what_there_is(capsys):
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[2:]] == ["app", "predict", "live", "demo", "--help"]


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"m3dfel {__version__}\n"


def test_a_signal_counts_even_while_an_object_is_freed(tmp_path: Path):
    """Python raises nothing there, and would go on as if there had been no signal."""
    (tmp_path / "slow.py").write_text(
        "import signal, time\n"
        "class Freed:\n"
        "    def __del__(self):\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "Freed()\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-m", "m3dfel", "predict", "--plugin", str(tmp_path / "slow.py")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert ended.returncode == 128 + signal.SIGTERM
    assert ended.stderr.startswith("interrupted:")


def test_no_name_controls_the_terminal_or_floods_it(tmp_path: Path, said):
    assert main(["train", "--config", "\x1b[31mred"]) == 2
    assert "\x1b" not in said()
    (tmp_path / "train.txt").write_text("x" * 1_000_000)
    assert main(["data", "check", str(tmp_path / "train.txt")]) == 2
    text = said()
    assert "line 1 is 'xxx" in text
    assert "expected `path frames label`" in text
    assert len(text) < 3000


def test_help_names_every_command_and_a_first_step(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for command in ("train", "evaluate", "predict", "crossval", "ablate", "compare", "failures"):
        assert command in text
    assert "m3dfel demo" in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "--config", "nonesuch"], "no recipe 'nonesuch'"),
        (["train", "--config", "dfew", "--output", "x"], "data.path is '' but must be"),
        (["train", "--data.path", "gone", "--output", "x"], "no data set at gone"),
        (["evaluate", "--model", "gone", "--data", "synthetic", "--output", "x"], "no model"),
        (["predict", "film.mp4", "--model", "gone"], "no model at gone"),
        (["predict", "a.mp4", "b.mp4", "--model", "gone"], "no model at gone"),
        (["predict", "film.mp4", "--region", "1,2"], "must be x1,y1,x2,y2 in pixels"),
        (["predict", "film.mp4", "--baseline", "rest"], "must be START,END in seconds"),
        (["predict", "film.mp4", "--persons", "gone.csv"], "cannot be read as a table of persons"),
        (["predict", "memory://gone/film.mp4"], "there is nothing at memory://gone/film.mp4"),
        (["predict", "a.mp4", "--output", "s3://b/out"], "cannot write to s3://b/out: give a"),
        (["summarize", "gone"], "there is no prediction in gone"),
        (["export", "gone", "--output", "x"], "no model at gone"),
        (["predict", "film.mp4", "--jobs", "0"], "jobs"),
        (["predict", "film.mp4", "--formats", "csv,xls"], "unknown format 'xls': use one of csv"),
        (["live", "gone.mp4"], "no video file gone.mp4"),
        (["live", "film.mp4", "--record", "me.avi"], "give a name that ends in .mp4"),
        (["data", "check", "gone"], "no data set at gone"),
    ],
)
def test_bad_input_is_one_sentence_and_a_non_zero_exit(
    words, sentence: str, said, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    text = said()
    assert sentence in text
    assert "Traceback" not in text
    assert not list(tmp_path.iterdir())


def test_a_plugin_adds_a_part_by_name(tmp_path: Path, capsys, said, own_parts):
    plugin = tmp_path / "own_parts.py"
    plugin.write_text(
        "from m3dfel.models.aggregation import Aggregation\n"
        "from m3dfel.models.pooling import MeanPooling\n"
        "from m3dfel.models.aggregations import AGGREGATIONS\n"
        "@AGGREGATIONS.register('own-mean')\n"
        "class OwnMean(Aggregation):\n"
        "    def __init__(self, features, bag_size, *, scale: float = 1.0):\n"
        "        super().__init__(features, MeanPooling())\n"
    )
    with pytest.raises(SystemExit):
        main(["--plugin", str(plugin), "train", "--help"])
    assert "own-mean     scale=1.0" in capsys.readouterr().out
    assert main(["--plugin", str(tmp_path / "gone.py"), "train"]) == 2
    assert "there is no plugin" in said()
    assert main(["train", "--plugin"]) == 2
    assert "--plugin names nothing" in said()


def test_a_console_without_the_characters_of_a_name_ends_no_command(tmp_path: Path):
    environment = os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    name = os.fsdecode("旅行 😀 ".encode() + b"\xff")
    command = [sys.executable, "-m", "m3dfel", "train", "--config", name]
    result = subprocess.run(command, env=environment, capture_output=True, cwd=tmp_path)
    assert result.returncode == 2
    assert b"no recipe '\\u65c5" in b" ".join(result.stderr.split())
    assert b"Traceback" not in result.stderr
