import subprocess
import sys
from pathlib import Path

import pytest

from m3dfel.errors import InputError
from m3dfel.plugins import load_plugin


def test_a_plugin_replaces_a_part_even_if_the_table_was_not_read_before(tmp_path: Path):
    (tmp_path / "own.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from m3dfel.models.aggregations import AGGREGATIONS\n"
        "@AGGREGATIONS.register('mean')\n"
        "@dataclass\n"
        "class Own:\n"
        "    weight: float = 1.0\n"
    )
    program = (
        "from m3dfel.models.aggregations import AGGREGATIONS;"
        "from m3dfel.plugins import load_plugin; load_plugin('own.py');"
        "print(AGGREGATIONS.get('mean').__name__)"
    )
    words = [sys.executable, "-c", program]
    run = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert run.stdout.strip() == "Own"


def test_a_plugin_does_not_replace_a_module_of_its_name(tmp_path: Path):
    (tmp_path / "numpy.py").write_text("own = True")
    load_plugin(str(tmp_path / "numpy.py"))
    assert not hasattr(sys.modules["numpy"], "own")


def test_a_plugin_that_fails_is_named_with_its_error(tmp_path: Path):
    (tmp_path / "broken.py").write_text("1 / 0")
    with pytest.raises(InputError, match=r"cannot import the plugin .*broken.py: ZeroDivisionErr"):
        load_plugin(str(tmp_path / "broken.py"))
    with pytest.raises(InputError, match="no_such_module"):
        load_plugin("no_such_module")
