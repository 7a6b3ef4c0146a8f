from pathlib import Path

import pytest
import torch
from torch import nn

from m3dfel.errors import InputError
from m3dfel.models.checkpoints import load_model, save_model
from m3dfel.models.exported import ExportedModel
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.training import prepare, transfer
from m3dfel.training.transfer import build_model, transfer_weights
from small_data import tiny


def model_with(tmp_path: Path, seed: int = 1, **settings):
    """The model that a run with these model settings starts from."""
    config = tiny(tmp_path / "run", "faces")
    config.seed = seed
    for name, value in settings.items():
        setattr(config.model, name, value)
    return build_model(config)


def test_the_initial_weights_follow_from_the_seed(tmp_path: Path):
    one, same, other = (model_with(tmp_path, seed).classifier.weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_run_can_start_from_a_trained_model(tmp_path: Path):
    trained = model_with(tmp_path, seed=2)
    save_model(trained, tmp_path / "trained")
    model = model_with(tmp_path, weights=str(tmp_path / "trained"))
    for name, value in trained.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_another_backbone_is_rejected(tmp_path: Path):
    save_model(model_with(tmp_path), tmp_path / "trained")
    single = {"frames": 1, "bag_size": 1, "aggregation": "mean", "backbone": "resnet"}
    save_model(model_with(tmp_path, **single), tmp_path / "single")
    for weights, backbone in ("trained", "r2plus1d"), ("single", "r3d"):
        with pytest.raises(InputError, match="do not fit this run's backbone"):
            model_with(tmp_path, backbone=backbone, weights=str(tmp_path / weights))


def test_emotions_of_both_models_keep_their_part_of_the_classifier(tmp_path: Path):
    trained = model_with(tmp_path, seed=2)
    save_model(trained, tmp_path / "trained")
    config = tiny(tmp_path / "run", "faces")
    config.data.labels = ["awe", "fear", "happiness"]
    model, initial = (build_model(config) for _ in range(2))
    transfer_weights(model, str(tmp_path / "trained"))
    for name in ("weight", "bias"):
        rows, old, new = (getattr(m.classifier, name) for m in (model, trained, initial))
        fear, happiness = map(trained.labels.index, ("fear", "happiness"))
        assert torch.equal(rows, torch.stack([new[0], old[fear], old[happiness]]))
    assert not torch.equal(next(model.backbone.parameters()), next(initial.backbone.parameters()))


def test_a_classifier_of_other_inputs_keeps_all_its_initial_weights(tmp_path: Path):
    save_model(model_with(tmp_path, seed=2, aggregation="mean"), tmp_path / "trained")
    model, initial = model_with(tmp_path), model_with(tmp_path)
    transfer_weights(model, str(tmp_path / "trained"))
    assert torch.equal(model.classifier.bias, initial.classifier.bias)
    assert torch.equal(model.classifier.weight, initial.classifier.weight)


def test_a_dliam_that_starts_as_the_mean_starts_with_the_answers_of_a_mean_model(tmp_path: Path):
    trained = model_with(tmp_path, seed=2, aggregation="mean").eval()
    save_model(trained, tmp_path / "trained")
    model = model_with(
        tmp_path,
        aggregation="dliam",
        aggregation_options={"init": "mean"},
        weights=str(tmp_path / "trained"),
    ).eval()
    clips = torch.rand(2, trained.frames, 3, trained.size, trained.size)
    with torch.inference_mode():
        torch.testing.assert_close(model(clips), trained(clips))


def test_a_larger_bag_of_the_same_instances_keeps_the_bag_vector(tmp_path: Path):
    trained = model_with(tmp_path, seed=2, bag_size=2)
    save_model(trained, tmp_path / "trained")
    model = model_with(tmp_path, bag_size=4)
    transfer_weights(model, str(tmp_path / "trained"))
    instance = torch.rand(3, 1, trained.aggregation.out_features)
    pooled = [m.aggregation.pooling(instance.expand(-1, m.bag_size, -1)) for m in (trained, model)]
    torch.testing.assert_close(pooled[0], pooled[1])


class OtherAggregation(nn.Module):
    """An aggregation whose pooling has a weight of its own shape under the name of DLIAM's."""

    def __init__(self) -> None:
        super().__init__()
        self.pooling = nn.Linear(3, 5)


def test_a_weight_of_another_aggregation_is_not_taken_for_dliam_s_kernels(
    tmp_path: Path, monkeypatch
):
    trained, model = model_with(tmp_path, seed=2), model_with(tmp_path)
    trained.aggregation = OtherAggregation()
    initial = model.aggregation.pooling.weight.clone()
    monkeypatch.setattr(transfer, "load_model", lambda name: trained)
    transfer_weights(model, "other")
    assert torch.equal(model.aggregation.pooling.weight, initial)
    assert torch.equal(next(model.backbone.parameters()), next(trained.backbone.parameters()))


def test_an_exported_model_is_no_start(tmp_path: Path, monkeypatch):
    exported = ExportedModel.__new__(ExportedModel)
    monkeypatch.setattr(prepare, "load_model", lambda name: exported)
    with pytest.raises(InputError, match="is an exported model: start from the model that was tr"):
        model_with(tmp_path, weights="exported")


def test_a_backbone_of_single_frames_treats_all_frames_of_an_instance_alike(tmp_path: Path):
    options = {"backbone_options": {"width": 8, "depth": 10}, "aggregation": "mean", "size": 16}
    save_model(M3DFEL(frames=1, bag_size=1, **options).eval(), tmp_path)
    model = M3DFEL(frames=8, bag_size=2, **options).eval()
    transfer_weights(model, str(tmp_path))
    picture = torch.randint(256, (1, 1, 3, 16, 16), dtype=torch.uint8)
    with torch.inference_mode():
        single = load_model(str(tmp_path))(picture)
        torch.testing.assert_close(model(picture.expand(-1, 8, -1, -1, -1)), single)
        clip = torch.randint(256, (1, 8, 3, 16, 16), dtype=torch.uint8)
        answers = []
        for frame in range(4):
            changed = clip.clone()
            changed[:, frame] = 0
            answers.append(model(changed))
    # None is passed over: each frame of the first instance matters.
    assert all(not torch.allclose(answer, model(clip)) for answer in answers)


def test_movements_are_carried_over_by_name(tmp_path: Path):
    options = {"backbone_options": {"width": 8, "depth": 10}, "size": 16, "frames": 4}
    trained = M3DFEL(movements=["jawOpen", "eyeBlink", "mouthSmile"], bag_size=4, **options)
    save_model(trained, tmp_path)
    model = M3DFEL(movements=["mouthSmile", "jawOpen"], bag_size=4, motion=True, **options).eval()
    transfer_weights(model, str(tmp_path))
    assert torch.equal(model.movement_head.weight, trained.movement_head.weight[[2, 0]])
    clips = torch.randint(256, (2, 4, 3, 16, 16), dtype=torch.uint8)
    with torch.inference_mode():
        torch.testing.assert_close(model(clips), trained.eval()(clips))  # motion starts at 0


def test_the_movement_classifier_is_carried_over_for_the_movements_it_reads(tmp_path: Path):
    options = {"backbone_options": {"width": 8, "depth": 10}, "size": 16, "frames": 4}
    options |= {"bag_size": 4, "movement_classifier": True}
    trained = M3DFEL(movements=["jawOpen", "eyeBlink"], **options)
    torch.nn.init.normal_(trained.movement_classifier.weight)
    save_model(trained, tmp_path)
    same = M3DFEL(["fear", "boredom"], movements=["jawOpen", "eyeBlink"], **options)
    others = M3DFEL(movements=["jawOpen", "mouthSmile"], **options)
    more = M3DFEL(["fear", "boredom"], movements=["jawOpen", "eyeBlink", "mouthSmile"], **options)
    for model in same, others, more:
        transfer_weights(model, str(tmp_path))
    fear = trained.movement_classifier.weight[trained.labels.index("fear")]
    assert torch.equal(same.movement_classifier.weight, torch.stack([fear, torch.zeros(6)]))
    assert not others.movement_classifier.weight.any()
    assert not more.movement_classifier.weight.any()


def test_plain_means_start_with_the_answers_of_a_dliam_that_is_still_the_mean(tmp_path: Path):
    options = {"backbone_options": {"width": 8, "depth": 10}, "size": 16, "frames": 4}
    trained = M3DFEL(bag_size=4, aggregation_options={"init": "mean"}, **options).eval()
    save_model(trained, tmp_path)
    model = M3DFEL(bag_size=4, aggregation="mean", **options).eval()
    transfer_weights(model, str(tmp_path))
    clips = torch.randint(256, (2, 4, 3, 16, 16), dtype=torch.uint8)
    with torch.inference_mode():
        torch.testing.assert_close(model(clips), trained(clips))


def test_movements_that_nothing_keeps_right_are_given_up(tmp_path: Path):
    config = tiny(tmp_path / "run", "faces")
    config.model.movements = ["jawOpen"]
    assert build_model(config).movements == ()
    config.optim.parts = ["classifier"]
    assert build_model(config).movements == ("jawOpen",)
    config.optim.parts, config.loss.movements = [], 0.5
    assert build_model(config).movements == ("jawOpen",)


def test_a_model_that_shall_see_the_flow_starts_with_the_answers_of_one_that_does_not(
    tmp_path: Path,
):
    trained = model_with(tmp_path, seed=2).eval()
    save_model(trained, tmp_path / "trained")
    model = model_with(tmp_path, flow=True, weights=str(tmp_path / "trained")).eval()
    clips = torch.randint(
        256, (2, trained.frames, 3, trained.size, trained.size), dtype=torch.uint8
    )
    with torch.inference_mode():
        torch.testing.assert_close(model(clips), trained(clips), rtol=0, atol=1e-6)
    save_model(model, tmp_path / "seeing")
    assert model_with(tmp_path, weights=str(tmp_path / "seeing")).flow
    with pytest.raises(InputError, match=r"and model\.flow"):
        model_with(tmp_path, flow=False, weights=str(tmp_path / "seeing"))


def test_single_frames_teach_a_model_that_shall_see_their_flow(tmp_path: Path):
    single = model_with(tmp_path, seed=2, frames=1, bag_size=1, aggregation="mean", flow=True)
    save_model(single.eval(), tmp_path / "trained")
    weights = str(tmp_path / "trained")
    model = model_with(tmp_path, aggregation="mean", frames=8, bag_size=2, weights=weights).eval()
    assert model.flow
    still = torch.randint(256, (1, 1, 3, model.size, model.size), dtype=torch.uint8)
    with torch.inference_mode():
        answer = model(still.expand(-1, model.frames, -1, -1, -1))
        torch.testing.assert_close(answer, single(still))
