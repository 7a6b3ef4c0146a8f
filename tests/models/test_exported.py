import json
from pathlib import Path

import numpy as np
import pytest
import torch

from m3dfel.errors import InputError
from m3dfel.models.checkpoints import load_model, save_model
from m3dfel.models.export import export_model
from small_data import small_model


def test_an_exported_file_works_without_this_package(exported: Path):
    import onnxruntime

    session = onnxruntime.InferenceSession(exported / "backbone.onnx")
    shape = 7, *session.get_inputs()[0].shape[1:]
    (features,) = session.run(["features"], {"instances": np.zeros(shape, np.float32)})
    assert features.shape == (7, 32)


def test_an_exported_model_stays_on_the_cpu_and_as_it_is(exported: Path, tmp_path: Path):
    model = load_model(str(exported))
    assert model.to("cpu") is model
    with pytest.raises(InputError, match="an exported model runs on the CPU"):
        model.to("meta")
    with pytest.raises(InputError, match="is exported already"):
        export_model(load_model(str(exported)), tmp_path / "again")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("backbone.onnx", "damaged"),
        ("config.json", "damaged"),
        ("config.json", "{}"),
        ("config.json", json.dumps({"features": 32, "labels": ["anger"]})),
    ],
)
def test_a_damaged_folder_is_an_input_error(
    name: str, content: str, exported: Path, tmp_path: Path
):
    for file in exported.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match="contains no readable exported model: "):
        load_model(str(tmp_path))


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_folder_with_code_is_no_model(tmp_path: Path):
    # TorchScript can write any file when it is loaded or run.
    save_model(small_model(), tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), tmp_path / "backbone.pt")
    with pytest.raises(InputError, match="contains no readable M3DFEL model"):
        load_model(str(tmp_path))
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        load_model(str(tmp_path / "backbone.pt"))
