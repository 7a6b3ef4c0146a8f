from pathlib import Path

import pytest
import torch

from m3dfel.models.export import export_model
from m3dfel.models.m3dfel import M3DFEL
from small_data import small_model


@pytest.fixture(scope="session")
def original() -> M3DFEL:
    """A model with few of the default settings; tests leave it as it is."""
    # Instances of four frames, which the last stage sees as one: it skips their padding.
    settings = {"zoom": 1.2, "grayscale": True, "mirror": True, "context": 1, "flow": True}
    settings |= {"std": (0.2, 0.3, 0.4), "min_confidence": 0.7}
    model = small_model(frames=8, size=24, **settings).eval()
    torch.nn.init.normal_(model.classifier.weight)
    torch.nn.init.normal_(model.backbone[0][0].weight)  # so that the flow matters
    return model.to(memory_format=torch.channels_last_3d)  # as `load_model` returns it


@pytest.fixture(scope="session")
def exported(original: M3DFEL, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`original`, exported; tests leave it as it is."""
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("model") / "exported"
    export_model(original, folder)
    return folder
