import pytest

from m3dfel import torchvision_compat


def test_what_is_needed_of_torchvision_is_imported_on_first_use():
    assert torchvision_compat.v2.Resize(8)
    assert "r3d_18" in torchvision_compat.get_weight("R3D_18_Weights.KINETICS400_V1").url
    with pytest.raises(AttributeError, match="has no attribute 'models'"):
        torchvision_compat.models  # noqa: B018
