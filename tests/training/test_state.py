import json
from pathlib import Path

import pytest
import torch
from lightning_fabric.plugins import MixedPrecision
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.amp import GradScaler
from torch.optim import AdamW

from m3dfel.errors import InputError
from m3dfel.training import state as training_state
from m3dfel.training.state import TrainingState, ema_model, mix_weights
from m3dfel.training.transfer import build_model
from small_data import small_model, tiny

DAMAGED = r"cannot resume from .*training\.safetensors: it is damaged, or of another run"


def new_state(tmp_path: Path) -> TrainingState:
    model = build_model(tiny(tmp_path / "run", "faces"))
    precision = MixedPrecision("16-mixed", "cpu", GradScaler("cpu"))
    optimizer = AdamW(model.parameters(), lr=1e-2)
    return TrainingState(model, optimizer, ema_model(model, 0.5), precision)


def step(state: TrainingState) -> None:
    clips = torch.rand(2, 8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    state.optimizer.zero_grad()
    state.model(clips).square().sum().backward()
    state.optimizer.step()
    state.ema.update_parameters(state.model)


def test_a_loaded_state_continues_as_the_saved_one(tmp_path: Path):
    saved, loaded = new_state(tmp_path), new_state(tmp_path)
    step(saved)
    saved.precision.scaler.scale(torch.ones(1))  # as before the first backward pass
    saved.precision.scaler.update(1024.0)
    saved.save(tmp_path, [{"epoch": 1}])
    assert loaded.load(tmp_path) == [{"epoch": 1}]
    assert loaded.precision.scaler.get_scale() == 1024
    for state in (saved, loaded):
        step(state)
    for part in ("model", "ema"):
        weights = getattr(loaded, part).state_dict()
        for name, value in getattr(saved, part).state_dict().items():
            assert torch.equal(value, weights[name]), name


@pytest.mark.parametrize(
    "change",
    [
        {"tensors": {"model.nowhere": torch.zeros(1)}},
        {"tensors": {"odd.weight": torch.zeros(1)}},
        {"tensors": {"model.classifier.bias": torch.zeros(2)}},
        {"tensors": {"optimizer.9999.step": torch.zeros(1)}},
        {"tensors": {"optimizer.x.step": torch.zeros(1)}},
        {"record": {}},
        {"record": {"history": [{"epoch": 2}]}},
    ],
)
def test_a_state_that_was_edited_is_an_error(change: dict, tmp_path: Path):
    state = new_state(tmp_path)
    step(state)
    state.save(tmp_path, [{"epoch": 1}])
    file = tmp_path / "last" / "training.safetensors"
    record = change.get("record", {"history": [{"epoch": 1}], "precision": {}})
    tensors = load_file(file) | change.get("tensors", {})
    save_file(tensors, file, metadata={"record": json.dumps(record)})
    with pytest.raises(InputError, match=DAMAGED):
        new_state(tmp_path).load(tmp_path)


def test_a_file_that_is_no_state_is_an_error(tmp_path: Path):
    (tmp_path / "last").mkdir()
    (tmp_path / "last" / "training.safetensors").write_text("damaged")
    with pytest.raises(InputError, match=DAMAGED):
        new_state(tmp_path).load(tmp_path)


def test_a_full_disk_is_an_input_error(tmp_path: Path, monkeypatch):
    def full(*arguments, **options):
        raise SafetensorError("Error while writing")

    monkeypatch.setattr(training_state, "save_file", full)
    with pytest.raises(InputError, match="cannot write"):
        new_state(tmp_path).save(tmp_path, [])


def test_there_is_no_history_before_the_first_epoch(tmp_path: Path):
    assert new_state(tmp_path).load(tmp_path) == []


def test_the_average_forgets_the_initial_weights_soon(tmp_path: Path):
    model = build_model(tiny(tmp_path / "run", "faces"))
    ema = ema_model(model, 0.99)
    with torch.no_grad():
        for value in range(100):
            for parameter in model.parameters():
                parameter.fill_(value)
            ema.update_parameters(model)
    average = ema.module.classifier.bias[0].item()
    assert 80 < average < 99, "with a decay of 0.99 from the start it would be below 40"


def test_weights_are_mixed_but_for_what_started_at_random():
    config = {"movements": ["jawOpen"]}
    initial, trained = (small_model(**config) for _ in range(2))
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(1)
    mixed = mix_weights(initial.state_dict(), trained, keep=0.25)
    torch.testing.assert_close(mixed.classifier.bias, initial.classifier.bias + 0.75)
    assert torch.equal(mixed.movement_head.bias, trained.movement_head.bias)
    assert mix_weights({}, trained, keep=0.0) is trained
