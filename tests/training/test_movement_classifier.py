from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from m3dfel.config import ModelConfig, TrainConfig
from m3dfel.data.manifest import Clip, read_manifest
from m3dfel.errors import InputError
from m3dfel.models.checkpoints import load_model
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.training.loop import train
from m3dfel.training.movement_classifier import check_people, learn_movement_classifier
from small_data import leave_one_person_out, write_frames


class Brightness(nn.Module):
    """A backbone whose only feature is how bright an instance is."""

    out_features = 1

    def forward(self, instances: Tensor) -> Tensor:
        return instances.flatten(1).mean(1, keepdim=True)


def people_at(folder: Path, **shades: int) -> list[Clip]:
    """Clips of people who are a little darker in fear and brighter in anger than usual."""
    rows = ["file,emotion,identity"]
    for person, shade in shades.items():
        for emotion, shift in ("fear", -9), ("neutral", 0), ("anger", 9):
            name = f"{person}-{emotion}"
            write_frames(folder / name, 8, shade=shade + shift)
            rows.append(f"{name},{emotion},{person}")
    (folder / "clips.csv").write_text("\n".join(rows))
    return list(read_manifest(str(folder / "clips.csv")).clips)


def test_movements_say_what_differs_within_a_person_and_only_of_faces_that_move(tmp_path: Path):
    model = M3DFEL(
        frames=8,
        size=16,
        bag_size=4,
        backbone=Brightness(),
        aggregation="mean",
        movements=["jawOpen"],
        movement_classifier=True,
    ).eval()
    for part in model.classifier, model.movement_head:
        nn.init.zeros_(part.weight)
        nn.init.zeros_(part.bias)
    model.movement_head.weight.data.fill_(1.0)
    config = TrainConfig(workers=0)
    learn_movement_classifier(model, people_at(tmp_path / "learned", a=40, b=90, c=160), config)

    others = people_at(tmp_path / "others", d=70, e=200)
    for person in others[:3], others[3:]:
        shades = torch.tensor([{"fear": -9, "neutral": 0, "anger": 9}[c.emotion] for c in person])
        still = (0.5 + shades.float() / 255).view(-1, 1, 1).expand(-1, 4, 1)
        moving = still + torch.tensor([0.0, 0.0, 0.02, 0.02]).view(1, 4, 1)
        logits, evidence = model.fuse_with_evidence(moving)
        torch.testing.assert_close(evidence.sum(1), logits)
        compared = logits - logits.mean(0)
        assert [model.labels[i] for i in compared.argmax(1)] == [c.emotion for c in person]
        assert (compared[:, model.labels.index("disgust")] == 0).all()  # nobody showed it
        assert (model.fuse(still) == 0).all()


def test_a_run_ends_with_what_movements_say(tmp_path: Path):
    config = leave_one_person_out(tmp_path)
    config.data.folds, config.optim.parts = 0, ["classifier", "movement_classifier"]
    config.model.movements, config.model.movement_classifier = ["jawOpen"], True
    train(config)
    model = load_model(config.output)
    assert model.movement_classifier is not None
    assert model.movement_classifier.weight.abs().sum() > 0

    config.model = ModelConfig(weights=config.output)
    config.optim.parts, config.output = ["classifier"], str(tmp_path / "kept")
    train(config)
    kept = load_model(config.output)
    assert kept.movement_classifier is not None
    torch.testing.assert_close(kept.movement_classifier.weight, model.movement_classifier.weight)


def test_a_run_on_nobody_in_particular_ends_before_it_starts(tmp_path: Path):
    clips = people_at(tmp_path, a=40)
    with pytest.raises(InputError, match="add a column identity"):
        check_people(clips)
