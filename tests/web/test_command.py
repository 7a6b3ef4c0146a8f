"""The command `m3dfel app`."""

import importlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from m3dfel.cli import main

RUN = [sys.executable, "-m", "m3dfel", "app", "--no_browser", "--port"]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_help_says_who_can_open_the_page_and_what_fits(capsys):
    with pytest.raises(SystemExit):
        main(["app", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for words in ("default: 127.0.0.1", "--max_minutes", "--max_mb", "--no_browser", "extra `web`"):
        assert words in text


def test_the_page_ends_quietly_and_leaves_nothing(tmp_path: Path):
    port = free_port()
    page = subprocess.Popen(
        [*RUN, str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"},
    )
    assert page.stdout
    assert page.stdout.readline() == "Starting the page …\n"
    line = page.stdout.readline()
    assert f"Open http://127.0.0.1:{port}/ in a browser" in line
    assert len(list(tmp_path.glob("m3dfel-*"))) == 1
    page.send_signal(signal.SIGTERM)
    output, errors = page.communicate(timeout=120)
    assert (page.returncode, output, errors) == (0, "", "")
    assert list(tmp_path.glob("m3dfel-*")) == []


def test_a_port_in_use_is_said_so(capsys):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert main(["app", "--port", str(port)]) == 2
    assert f"cannot serve the page on 127.0.0.1, port {port}" in capsys.readouterr().err


def test_a_port_that_does_not_exist_is_said_so(capsys):
    assert main(["app", "--port", "99999"]) == 2
    assert "choose others with --host and --port" in capsys.readouterr().err


def test_the_browser_opens_unless_one_wants_none(monkeypatch, capsys):
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("m3dfel.cli.app.time.sleep", interrupt)
    for words in (["--no_browser"], []):
        assert main(["app", "--port", str(free_port()), *words]) == 0
    assert len(opened) == 1
    assert f"Open {opened[0]} in a browser" in capsys.readouterr().out


def interrupt(seconds: float) -> None:
    if seconds >= 1:
        raise KeyboardInterrupt


def test_without_starlette_the_page_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    monkeypatch.delitem(sys.modules, "m3dfel.web.app", raising=False)
    assert main(["app"]) == 2
    assert "pip install '.[web]'" in capsys.readouterr().err
    monkeypatch.undo()
    importlib.import_module("m3dfel.web.app")
