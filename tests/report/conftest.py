import pytest
import torch

from m3dfel.emotions import EMOTIONS
from m3dfel.evaluation.metrics import compute_metrics


@pytest.fixture
def results() -> dict:
    """Four clips of happiness, one of them taken for fear, and two of neutral."""
    targets = torch.tensor([0, 0, 0, 0, 2, 2])
    logits = torch.eye(7)[[0, 0, 0, 6, 2, 2]] * 5
    return compute_metrics(logits, targets, EMOTIONS).to_dict()
