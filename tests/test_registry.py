import pytest

from m3dfel.data.layouts import LAYOUTS
from m3dfel.errors import InputError
from m3dfel.models.aggregations import AGGREGATIONS
from m3dfel.models.backbones import BACKBONES


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
