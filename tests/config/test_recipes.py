from pathlib import Path

import pytest

from m3dfel.config import find_recipe
from m3dfel.errors import InputError


def test_recipes_are_found_by_name_and_by_path(tmp_path: Path):
    assert find_recipe("dfew").name == "dfew.yaml"
    own = tmp_path / "own.yaml"
    own.write_text("seed: 3\n")
    assert find_recipe(str(own)) == own
    with pytest.raises(InputError, match="bundled, cremad, dfew, ferv39k, finetune, mafw, ravdess"):
        find_recipe("nonesuch")
