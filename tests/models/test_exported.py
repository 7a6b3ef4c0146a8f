import json
import sys
from pathlib import Path

import pytest
import torch

from m3dfel.checkpoints import load_model, save_model
from m3dfel.errors import InputError
from m3dfel.models.exported import FORMATS, ExportedModel, export_model
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.registry import BACKBONES
from small_data import small_model

PACKAGES = {"onnx": ["onnxscript", "onnxruntime"], "openvino": ["openvino"], "torch": []}


def require(format: str) -> None:
    for package in PACKAGES[format]:
        pytest.importorskip(package)


def export_and_load(model: M3DFEL, folder: Path, format: str) -> M3DFEL:
    export_model(model, folder, format)
    return load_model(str(folder))


def assert_same_answers(model: M3DFEL, exported: M3DFEL, clips: int) -> None:
    pixels = torch.randint(256, (clips, model.frames, 3, model.size, model.size), dtype=torch.uint8)
    with torch.inference_mode():
        expected = model.explain(model.normalize(pixels))
        logits, evidence = exported.explain(exported.normalize(pixels))
        fused = exported(exported.normalize(pixels))
    for output, reference in zip((logits, evidence), expected, strict=True):
        torch.testing.assert_close(output, reference, rtol=0, atol=1e-4)
    torch.testing.assert_close(fused, logits)
    torch.testing.assert_close(evidence.sum(1), logits, rtol=0, atol=1e-4)


@pytest.mark.parametrize("format", FORMATS)
def test_an_exported_model_gives_the_same_answers_for_batches_of_any_size(format, tmp_path: Path):
    require(format)
    # Instances of four frames, which the last stage sees as one: it skips their padding.
    model = small_model(frames=8, size=24, zoom=1.2, grayscale=True, std=(0.2, 0.3, 0.4)).eval()
    torch.nn.init.normal_(model.classifier.weight)
    model.min_confidence = 0.625
    model.to(memory_format=torch.channels_last_3d)  # as `load_model` returns it
    exported = export_and_load(model, tmp_path / "exported", format)
    assert not exported.training
    settings = ("labels", "frames", "size", "bag_size", "instance_length", "zoom", "grayscale")
    for name in (*settings, "min_confidence"):
        assert getattr(exported, name) == getattr(model, name)
    for clips in 1, 2, 5:
        assert_same_answers(model, exported, clips)


@pytest.mark.parametrize("aggregation", ["transformer", "attention"])
def test_models_of_other_parts_can_be_exported(aggregation: str, tmp_path: Path):
    model = small_model(backbone="resnet", aggregation=aggregation).eval()
    assert_same_answers(model, export_and_load(model, tmp_path / "exported", "torch"), 3)


def test_an_exported_file_works_without_this_package(tmp_path: Path):
    export_model(small_model().eval(), tmp_path / "exported", "torch")
    network = torch.jit.load(tmp_path / "exported" / "backbone.pt")
    assert network(torch.zeros(7, 3, 4, 16, 16)).shape == (7, 32)


@pytest.mark.parametrize(("package", "format", "extra"), [
    ("onnxscript", "onnx", "export"),
    ("onnxruntime", "onnx", "fast"),
    ("openvino", "openvino", "openvino"),
])  # fmt: skip
def test_a_missing_package_is_named_with_its_extra(
    package: str, format: str, extra: str, tmp_path: Path, monkeypatch
):
    for other in set(PACKAGES[format]) - {package}:
        pytest.importorskip(other)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"needs {package}: pip install 'm3dfel\[{extra}\]'"):
        export_model(small_model().eval(), tmp_path / "exported", format)
    assert not list(tmp_path.iterdir())


def test_no_folder_with_files_is_written_to(tmp_path: Path):
    model = small_model().eval()
    save_model(model, tmp_path)
    with pytest.raises(InputError, match="is not empty: choose another --output"):
        export_model(model, tmp_path, "torch")
    assert not isinstance(load_model(str(tmp_path)), ExportedModel)


def test_a_model_that_cannot_be_exported_leaves_nothing(tmp_path: Path):
    class Random(BACKBONES.get("r3d")):
        def forward(self, input):
            return super().forward(input) + torch.rand(1)

    model = small_model(backbone=Random(width=4, depth=10)).eval()
    with pytest.raises(InputError, match="logits that differ by"):
        export_model(model, tmp_path / "exported", "torch")

    class Broken(BACKBONES.get("r3d")):
        def forward(self, input):
            raise RuntimeError("not now\nbut later")

    model = small_model(backbone=Broken(width=4, depth=10)).eval()
    with pytest.raises(InputError, match="backbone of this model cannot be exported as torch: not"):
        export_model(model, tmp_path / "exported", "torch")
    with pytest.raises(InputError, match="unknown format 'tflite': use one of onnx, openvino, tor"):
        export_model(model, tmp_path / "exported", "tflite")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "exported"
    export_model(small_model().eval(), folder, "torch")
    return folder


def test_an_exported_model_stays_on_the_cpu_and_as_it_is(exported: Path, tmp_path: Path):
    model = load_model(str(exported))
    assert model.to("cpu") is model
    with pytest.raises(InputError, match="an exported model runs on the CPU"):
        model.to("meta")
    with pytest.raises(InputError, match="is exported already"):
        export_model(load_model(str(exported)), tmp_path / "again", "torch")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("backbone.pt", "damaged", "contains no readable model in the format torch: "),
        ("config.json", json.dumps({"format": "tflite"}), r"config\.json: unknown format 'tflite'"),
        ("config.json", json.dumps({"format": "torch"}), "no readable model in the format torch"),
        ("config.json", "damaged", "contains no readable M3DFEL model"),
    ],
)
def test_a_damaged_folder_is_an_input_error(
    name: str, content: str, sentence: str, exported: Path, tmp_path: Path
):
    for file in exported.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=sentence):
        load_model(str(tmp_path))
