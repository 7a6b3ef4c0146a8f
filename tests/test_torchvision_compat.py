import subprocess
import sys

import pytest

from m3dfel import torchvision_compat


def test_predicting_does_without_torchvision_which_is_slow_to_import():
    code = (
        "import sys\n"
        "from m3dfel import Recognizer\n"
        "Recognizer()\n"
        "print([name for name in ('torchvision', 'torch._dynamo') if name in sys.modules])"
    )
    words = [sys.executable, "-c", code]
    finished = subprocess.run(words, capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"


def test_what_is_needed_of_torchvision_is_imported_on_first_use():
    assert torchvision_compat.v2.Resize(8)
    assert "r3d_18" in torchvision_compat.get_weight("R3D_18_Weights.KINETICS400_V1").url
    with pytest.raises(AttributeError, match="has no attribute 'models'"):
        torchvision_compat.models  # noqa: B018
