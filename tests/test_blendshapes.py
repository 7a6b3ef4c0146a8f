from m3dfel.blendshapes import CLOSEST_UNITS
from m3dfel.models.checkpoints import load_model


def test_the_bundled_model_s_movements_have_a_closest_unit():
    movements = load_model("bundled").reported_movements
    assert movements
    assert set(movements) <= set(CLOSEST_UNITS)
