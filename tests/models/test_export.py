import inspect
import sys
from pathlib import Path

import pytest
import torch

from m3dfel.errors import InputError
from m3dfel.models.checkpoints import load_model, save_model
from m3dfel.models.export import export_model
from m3dfel.models.exported import ExportedModel
from m3dfel.models.m3dfel import M3DFEL
from small_data import small_model

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


PARTS = {"backbone", "backbone_options", "aggregation", "aggregation_options"}


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


def test_an_exported_model_gives_the_same_answers_for_batches_of_any_size(
    original: M3DFEL, exported: Path
):
    loaded = load_model(str(exported))
    assert not loaded.training
    arguments = inspect.signature(M3DFEL).parameters
    for name in arguments.keys() - {"mean", "std", *PARTS}:
        assert getattr(loaded, name) == getattr(original, name), name
    for clips in 1, 2, 5:
        assert_same_answers(original, loaded, clips)


@pytest.mark.parametrize(("package", "extra"), [("onnxscript", "export"), ("onnxruntime", "fast")])
def test_a_missing_package_is_named_with_its_extra(
    package: str, extra: str, tmp_path: Path, monkeypatch
):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "m3dfel.onnxruntime", raising=False)  # as in a new process
    with pytest.raises(InputError, match=rf"need {package}: run pip install '\.\[{extra}\]'"):
        export_model(small_model().eval(), tmp_path / "exported")
    assert not list(tmp_path.iterdir())


def test_no_folder_with_files_is_written_to(tmp_path: Path):
    model = small_model().eval()
    save_model(model, tmp_path)
    with pytest.raises(InputError, match="is not empty: choose another --output"):
        export_model(model, tmp_path)
    assert not isinstance(load_model(str(tmp_path)), ExportedModel)


def test_a_model_that_cannot_be_exported_leaves_nothing(tmp_path: Path):
    class Random(torch.nn.Module):
        out_features = 8

        def forward(self, input):
            return input.mean((1, 2, 3, 4)).view(-1, 1) + torch.rand(8)

    class Broken(Random):
        def forward(self, input):
            raise RuntimeError("not now\nbut later")

    for backbone, sentence in (
        (Random(), "logits that differ by"),
        (Broken(), "the backbone of this model cannot be exported: "),
    ):
        model = small_model(backbone=backbone, aggregation="mean").eval()
        torch.nn.init.normal_(model.classifier.weight)
        with pytest.raises(InputError, match=sentence):
            export_model(model, tmp_path / "exported")
    assert not list(tmp_path.iterdir())
