import pytest
import torch
from torch import nn

from m3dfel.errors import InputError
from small_data import small_model as small

PARTS = [
    *({"aggregation": name} for name in ("dliam", "lstm", "transformer", "mean", "max")),
    *({"backbone": kind, "aggregation": "attention"} for kind in ("r2plus1d", "mc3", "resnet")),
]


ABLATIONS = [
    {"aggregation_options": options}
    for options in (
        {"bilstm": False},
        {"mhsa": False},
        {"bilstm": False, "mhsa": False},
        *({"norm": norm} for norm in ("none", "batch", "layer", "instance")),
        *({"pooling": pooling} for pooling in ("conv1d-shared", "mean", "max", "attention")),
        {"init": "mean"},
        {"init": ["gate", "kernel"], "norm": "batch"},
    )
]


@pytest.mark.parametrize("bag_size", [1, 4])
@pytest.mark.parametrize(
    "parts", [*PARTS, *ABLATIONS], ids=lambda p: " ".join(map(str, p.values()))
)
def test_the_evidence_of_the_instances_sums_to_the_logits(parts: dict, bag_size: int):
    model = small(bag_size=bag_size, **parts)
    model(torch.rand(2, 8, 3, 16, 16))  # fills the statistics of batch normalization
    model.eval()
    clips = torch.randint(0, 256, (3, 8, 3, 16, 16), dtype=torch.uint8)
    logits, evidence = model.explain(clips)
    assert evidence.shape == (3, bag_size, 7)
    torch.testing.assert_close(logits, model(clips))
    torch.testing.assert_close(evidence.sum(1), logits)


@pytest.mark.parametrize(
    ("aggregation", "channels"), [("dliam", "60 channels"), ("transformer", "30 features")]
)
def test_features_that_the_heads_cannot_divide_are_refused(aggregation: str, channels: str):
    backbone = nn.Identity()
    backbone.out_features = 30
    with pytest.raises(InputError, match=f"the 8 heads of .* cannot divide {channels}"):
        small(backbone=backbone, aggregation=aggregation)
    small(backbone=backbone, aggregation_options={"mhsa": False})
