import subprocess
import sys
from pathlib import Path

import pytest

from m3dfel.data.layouts import LAYOUTS
from m3dfel.errors import InputError
from m3dfel.models.aggregations import AGGREGATIONS
from m3dfel.models.backbones import BACKBONES
from m3dfel.plugins import load_plugin


def test_the_tables_know_what_ships_with_the_package():
    assert {"r3d", "r2plus1d", "mc3", "resnet", "timm"} <= set(BACKBONES.names())
    assert {"dliam", "lstm", "transformer", "mean"} <= set(AGGREGATIONS.names())
    assert {"DFEW", "FERV39k", "MAFW", "csv"} <= set(LAYOUTS.names())


def test_an_unknown_name_or_option_lists_the_known_ones():
    with pytest.raises(InputError, match=r"unknown backbone 'vgg': choose one of mc3, .*--plugin"):
        BACKBONES.get("vgg")
    with pytest.raises(InputError, match="the backbone r3d has no option heads: its options are "):
        BACKBONES.check("r3d", {"heads": 3})
    with pytest.raises(InputError, match="the aggregation mean has no option norm: it has no "):
        AGGREGATIONS.check("mean", {"norm": "dmin"})


def test_an_option_with_a_value_it_cannot_take_is_named():
    sentence = r"wrong option of the aggregation dliam: norm is 'group' but must be 'dmin'"
    with pytest.raises(InputError, match=sentence):
        AGGREGATIONS.check("dliam", {"norm": "group"})
    assert BACKBONES.check("r3d", {"width": "8"}) == {"width": 8}


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
