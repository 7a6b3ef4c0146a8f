from pathlib import Path

import pytest
import torch

from m3dfel.errors import InputError
from m3dfel.evaluation.measure import measure
from m3dfel.training.transfer import build_model
from small_data import tiny


@pytest.fixture
def model(tmp_path: Path):
    return build_model(tiny(tmp_path / "run", "faces"))


def batch(*indices: int) -> dict:
    """Clips of the frames' own brightness, whose class is their index."""
    clips = torch.stack([torch.full((8, 3, 16, 16), 20 * i, dtype=torch.uint8) for i in indices])
    return {"clips": clips, "targets": torch.tensor(indices), "indices": torch.tensor(indices)}


def test_outputs_are_in_the_order_of_the_split_without_unreadable_clips(model):
    outputs = measure(model, [batch(4, 1), None, batch(0)])
    assert outputs.indices.tolist() == outputs.targets.tolist() == [0, 1, 4]
    assert outputs.logits.shape == (3, 7)
    assert outputs.evidence.shape == (3, 2, 7)


def test_the_outputs_of_the_windows_of_a_clip_are_averaged(model):
    one, two = measure(model, [batch(1)]), measure(model, [batch(4)])
    windows = batch(1, 4, 2) | {"targets": torch.tensor([5, 5, 2])}
    windows["indices"] = torch.tensor([7, 7, 3])
    outputs = measure(model, [windows])
    assert outputs.indices.tolist() == [3, 7]
    assert outputs.targets.tolist() == [2, 5]
    torch.testing.assert_close(outputs.logits[1], (one.logits[0] + two.logits[0]) / 2)
    torch.testing.assert_close(outputs.evidence[1], (one.evidence[0] + two.evidence[0]) / 2)


def test_the_model_runs_in_evaluation_mode_and_keeps_its_own(model):
    model.train()
    one, two = (measure(model, [batch(0, 1)]) for _ in range(2))
    assert torch.equal(one.logits, two.logits)
    assert model.training
    assert torch.equal(one.logits, measure(model.eval(), [batch(0, 1)]).logits)
    assert not model.training


@pytest.mark.parametrize(("mirror", "expected"), [(False, 4), (True, 6)])
def test_instances_that_show_the_same_are_encoded_once(model, mirror: bool, expected: int):
    model.mirror = mirror
    random = torch.randint(256, (4, 4, 3, 16, 16), dtype=torch.uint8)
    still, moving = torch.cat([random[0], random[0]]), torch.cat([random[1], random[2]])
    clips = torch.stack([still, moving, still])
    encoded = []
    model.backbone.register_forward_pre_hook(lambda _, inputs: encoded.append(len(inputs[0])))
    outputs = measure(model, [batch(0, 1, 2) | {"clips": clips}])
    assert encoded == [expected]
    with torch.inference_mode():
        logits, evidence = model.eval().explain(clips)
    torch.testing.assert_close(outputs.logits, logits)
    torch.testing.assert_close(outputs.evidence, evidence)


def test_a_split_without_readable_clips_is_an_error(model):
    with pytest.raises(InputError, match="none of the clips could be read"):
        measure(model, [None, None])


def test_evidence_sums_to_the_logits_before_and_after_calibration(model):
    outputs = measure(model, [batch(0, 1, 2)])
    calibrated = outputs.calibrated(torch.linspace(-1, 1, 7), 2.0)
    for each in (outputs, calibrated):
        torch.testing.assert_close(each.evidence.sum(1), each.logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        2 * calibrated.logits - outputs.logits, torch.linspace(-1, 1, 7).expand(3, 7)
    )
