import inspect
import json
import os
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from m3dfel.errors import InputError
from m3dfel.models.backbones import BACKBONES
from m3dfel.models.checkpoints import load_model, save_model
from m3dfel.models.exported import ExportedModel, calibration_instances, export_model
from m3dfel.models.formats import FORMATS
from m3dfel.models.m3dfel import M3DFEL
from small_data import small_model, write_frames

PARTS = {"backbone", "backbone_options", "aggregation", "aggregation_options"}
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
        expected = model.explain(pixels)
        logits, evidence = exported.explain(pixels)
        fused = exported(pixels)
    for output, reference in zip((logits, evidence), expected, strict=True):
        torch.testing.assert_close(output, reference, rtol=0, atol=1e-4)
    torch.testing.assert_close(fused, logits)
    torch.testing.assert_close(evidence.sum(1), logits, rtol=0, atol=1e-4)


@pytest.mark.parametrize("format", FORMATS)
def test_an_exported_model_gives_the_same_answers_for_batches_of_any_size(format, tmp_path: Path):
    require(format)
    # Instances of four frames, which the last stage sees as one: it skips their padding.
    settings = {
        "zoom": 1.2,
        "grayscale": True,
        "mirror": True,
        "context": 1,
        "std": (0.2, 0.3, 0.4),
        "min_confidence": 0.7,
    }
    model = small_model(frames=8, size=24, **settings).eval()
    torch.nn.init.normal_(model.classifier.weight)
    model.to(memory_format=torch.channels_last_3d)  # as `load_model` returns it
    exported = export_and_load(model, tmp_path / "exported", format)
    assert not exported.training
    arguments = inspect.signature(M3DFEL).parameters
    for name in arguments.keys() - {"mean", "std", *PARTS}:
        assert getattr(exported, name) == getattr(model, name), name
    for clips in 1, 2, 5:
        assert_same_answers(model, exported, clips)


@pytest.mark.parametrize("aggregation", ["transformer", "attention"])
def test_models_of_other_parts_can_be_exported(aggregation: str, tmp_path: Path):
    model = small_model(backbone="resnet", aggregation=aggregation).eval()
    assert_same_answers(model, export_and_load(model, tmp_path / "exported", "torch"), 3)


def test_eight_bit_numbers_change_little(tmp_path: Path):
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    model = small_model(size=24).eval()
    calibration = calibration_instances(model, str(write_faces(tmp_path)))
    assert calibration.shape == (5, 3, 4, 24, 24)
    export_model(model, tmp_path / "exported", "openvino", calibration)
    assert b"FakeQuantize" in (tmp_path / "exported" / "backbone.xml").read_bytes()
    exported = load_model(str(tmp_path / "exported"))
    with torch.inference_mode():
        features, expected = exported.backbone(calibration), model.backbone(calibration)
    assert (features - expected).abs().mean() < 0.05 * expected.abs().mean()


def test_eight_bit_numbers_are_for_openvino_and_need_clips(tmp_path: Path):
    model = small_model(labels=["fear", "anger"]).eval()
    with pytest.raises(InputError, match="8-bit numbers need the format openvino, not torch"):
        export_model(model, tmp_path / "exported", "torch", torch.zeros(1, 3, 4, 16, 16))
    with pytest.raises(InputError, match="has no readable clip of the model's emotions"):
        calibration_instances(model, str(write_faces(tmp_path)))


def write_faces(folder: Path) -> Path:
    """Write a data set of happy faces in class folders: five for training, one for validation."""
    for split, count in ("train", 5), ("val", 1):
        write_frames(folder / "faces" / split / "happiness", count, side=40)
    return folder / "faces"


@pytest.mark.parametrize("setting", [None, "false"])
def test_nothing_is_reported_over_the_internet(setting: str | None, tmp_path: Path, monkeypatch):
    openvino = pytest.importorskip("openvino")
    monkeypatch.setenv("CI", setting) if setting else monkeypatch.delenv("CI", raising=False)
    seen = []
    monkeypatch.setattr(openvino, "convert_model", lambda _: seen.append(os.environ.get("CI")))
    with pytest.raises(AttributeError):  # it returned nothing
        FORMATS["openvino"].write(nn.Linear(2, 2), "backbone", torch.zeros(2, 2), tmp_path)
    assert seen == ["true"]
    assert os.environ.get("CI") == setting


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
