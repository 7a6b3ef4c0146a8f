from pathlib import Path

import pytest

from m3dfel.config import find_recipe
from m3dfel.errors import InputError


def test_recipes_are_found_by_name_and_by_path(tmp_path: Path):
    assert find_recipe("dfew").name == "dfew.yaml"
    own = tmp_path / "own.yaml"
    own.write_text("seed: 3\n")
    assert find_recipe(str(own)) == own
    with pytest.raises(InputError, match="bundled, cremad, dfew, ferv39k, finetune, mafw, motion"):
        find_recipe("nonesuch")


def test_a_recipe_that_cannot_be_read_is_an_input_error(tmp_path: Path):
    laughs = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    for name, last in zip("bcdefgh", "abcdefg", strict=True):
        laughs += f"{name}: &{name} [{', '.join(9 * [f'*{last}'])}]\n"
    contents = {
        "too many values, or aliases without end": laughs.encode(),
        "too many values": b"a: &a [*a]",
        "invalid start byte": b"seed: \xff",
        "digits": b"seed: " + b"9" * 6000,
        "nested too deeply": b"[" * 5000,
        "names seed twice": b"seed: 1\nseed: 2",
        "while parsing": b"a: [",
    }
    for words, content in contents.items():
        (tmp_path / "own.yaml").write_bytes(content)
        with pytest.raises(InputError, match=rf"cannot read the recipe .*own\.yaml: .*{words}"):
            find_recipe(str(tmp_path / "own.yaml"))


def test_a_recipe_may_use_aliases(tmp_path: Path):
    (tmp_path / "own.yaml").write_text("a: &a {x: 1}\nb: {<<: *a, y: 2}\n")
    assert find_recipe(str(tmp_path / "own.yaml")) == tmp_path / "own.yaml"
