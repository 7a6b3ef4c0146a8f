import json
import re
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import nn

from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from m3dfel.models.aggregation import Aggregation
from m3dfel.models.aggregations import AGGREGATIONS
from m3dfel.models.m3dfel import M3DFEL, change
from m3dfel.models.pooling import MeanPooling
from small_data import small_model as small


def test_instances_are_consecutive_frames():
    model = small()
    assert model.instance_length == 4
    clips = torch.arange(16.0).view(2, 8, 1, 1, 1).expand(2, 8, 3, 16, 16)
    instances = model.cut(clips)
    assert instances.shape == (2, 2, 4, 3, 16, 16)
    assert instances[..., 0, 0, 0].flatten(0, 1).tolist() == torch.arange(16.0).view(4, 4).tolist()
    with pytest.raises(InputError, match="6 frames but the model takes 8"):
        model.cut(clips[:, :6])


def test_the_context_of_an_instance_is_the_frames_around_it():
    clips = torch.arange(8.0).view(1, 8, 1, 1, 1).expand(1, 8, 3, 16, 16)
    instances = small(bag_size=4, context=2).cut(clips)[0, ..., 0, 0, 0].int().tolist()
    assert instances == [
        [0, 0, 0, 1, 2, 3],
        [0, 1, 2, 3, 4, 5],
        [2, 3, 4, 5, 6, 7],
        [4, 5, 6, 7, 7, 7],
    ]
    with pytest.raises(InputError, match="the context is -1 but must be 0 frames or more"):
        small(context=-1)


class Corner(nn.Module):
    """A backbone of one's own: the color of the upper left corner of an instance."""

    out_features = 3

    def forward(self, instances):
        return instances[:, :, 0, 0, 0]


def test_every_second_instance_is_mirrored():
    clips = torch.randint(256, (2, 8, 3, 16, 16), dtype=torch.uint8)
    model = small(bag_size=4, mirror=True, backbone=Corner(), aggregation="mean").eval()
    features = model.instance_features(clips) * 255
    torch.testing.assert_close(features[:, 0::2], clips[:, 0::4, :, 0, 0].float())
    torch.testing.assert_close(features[:, 1::2], clips[:, 2::4, :, 0, -1].float())


def test_pixels_are_normalized_as_training_does_before_it_blends_clips():
    clips = torch.randint(256, (2, 8, 3, 16, 16), dtype=torch.uint8)
    model = small(grayscale=True, context=1, std=(0.2, 0.3, 0.4)).eval()
    assert torch.equal(model(clips), model(model.normalize(clips)))


def test_a_batch_may_hold_one_clip():
    assert small().eval()(torch.zeros(1, 8, 3, 16, 16)).shape == (1, 7)


def test_a_grayscale_model_does_not_see_color():
    model = small(grayscale=True, mean=(0.5,) * 3, std=(0.25,) * 3)
    red = torch.tensor([255, 0, 0], dtype=torch.uint8).view(3, 1, 1)
    gray = torch.tensor([76, 76, 76], dtype=torch.uint8).view(3, 1, 1)
    torch.testing.assert_close(model.normalize(red), model.normalize(gray), rtol=0, atol=0.01)
    assert small().normalize(red)[0] != small().normalize(gray)[0]


def test_a_saved_model_loads_unchanged(tmp_path: Path):
    model = small(
        labels=["happiness", "anger"], grayscale=True, aggregation_options={"unbiased": True}
    ).eval()
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["labels"] == ["happiness", "anger"]
    assert (config["frames"], config["size"], config["bag_size"]) == (8, 16, 2)
    again = M3DFEL.from_pretrained(tmp_path).eval()
    clips = torch.rand(2, 8, 3, 16, 16)
    assert torch.equal(again(clips), model(clips))
    assert again.labels == ("happiness", "anger")


def test_a_confidence_that_was_chosen_later_is_saved(tmp_path: Path):
    model = small()
    assert model.min_confidence == 0.5
    model.min_confidence = 0.625
    model.save_pretrained(tmp_path)
    assert M3DFEL.from_pretrained(tmp_path).min_confidence == 0.625
    config = json.loads((tmp_path / "config.json").read_text())
    del config["min_confidence"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert M3DFEL.from_pretrained(tmp_path).min_confidence == 0.5


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"min_confidence": 1.5}, "min_confidence is 1.5 but must be from 0 to 1"),
        ({"bag_size": 3}, "bag size is 3 but must divide the clip's 8 frames"),
        ({"bag_size": 0}, "bag size is 0"),
        ({"size": 0}, "the size is 0 but must be 1 pixel or more"),
        ({"zoom": float("nan")}, "the zoom is nan but must be from 1 to 4"),
        ({"frames": 0, "bag_size": 1}, "the clip's 0 frames"),
        ({"backbone_options": {"depth": 50}}, "depth is 50 but must be"),
        ({"labels": ["anger", "Angry"]}, "two or more different emotions"),
        ({"backbone_options": {"width": 0}}, "the width of the backbone is 0"),
        ({"backbone": "vgg"}, "unknown backbone 'vgg': choose one of mc3, r2plus1d, r3d"),
        ({"aggregation": "sum"}, "unknown aggregation 'sum': choose one of attention, dliam"),
        ({"aggregation_options": {"norm": "group"}}, "norm is 'group' but must be 'dmin'"),
        ({"aggregation_options": {"heads": 4}}, "the aggregation dliam has no option heads: its"),
    ],
)
def test_wrong_arguments_are_refused_with_a_reason(settings, words: str):
    with pytest.raises(InputError, match=re.escape(words)):
        small(**settings)


def test_the_default_model_has_the_published_size():
    assert round(sum(p.numel() for p in M3DFEL().parameters()) / 1e6, 1) == 46.8


def test_emotions_of_the_model_are_in_the_published_order():
    assert small().labels == EMOTIONS


class Brightness(nn.Module):
    """A backbone of one's own: the mean color of an instance."""

    out_features = 3

    def forward(self, instances):
        return instances.mean((2, 3, 4))


def test_a_ready_module_serves_as_backbone_but_cannot_be_saved(tmp_path: Path):
    model = small(backbone=Brightness(), aggregation="mean").eval()
    clips = torch.rand(2, 8, 3, 16, 16)
    expected = clips.unflatten(1, (2, 4)).mean((2, 4, 5))
    torch.testing.assert_close(model.instance_features(clips), expected)
    assert model.mean.flatten().tolist() == [0, 0, 0]
    with pytest.raises(InputError, match="register the class"):
        model.save_pretrained(tmp_path)
    assert not (tmp_path / "model.safetensors").exists()


def test_a_registered_part_is_saved_by_its_name_with_its_options(tmp_path: Path):
    @AGGREGATIONS.register("scaled-mean")
    class ScaledMean(Aggregation):
        def __init__(self, features: int, bag_size: int, *, scale: float = 1.0) -> None:
            super().__init__(features, MeanPooling())
            self.scale = scale

        def relate(self, features):
            return self.scale * features

    model = small(aggregation="scaled-mean", aggregation_options={"scale": 3}).eval()
    model.save_pretrained(tmp_path)
    again = M3DFEL.from_pretrained(tmp_path).eval()
    assert again.aggregation.scale == 3
    clips = torch.rand(2, 8, 3, 16, 16)
    assert torch.equal(again(clips), model(clips))
    with pytest.raises(InputError, match="scale is 'big' but must be a valid number"):
        small(aggregation="scaled-mean", aggregation_options={"scale": "big"})


def test_shapes_are_checked_while_the_tests_run():
    with pytest.raises(TypeCheckError):
        small().fuse(torch.zeros(2, 32))
    with pytest.raises(TypeCheckError):
        small().normalize(torch.zeros(3, 16, 16))


def test_motion_changes_the_answer_for_a_moving_face_only():
    plain, moved = (small(bag_size=4, mirror=True, motion=m).eval() for m in (False, True))
    moved.load_state_dict(plain.state_dict(), strict=False)
    still = torch.randint(256, (1, 1, 3, 16, 16), dtype=torch.uint8).expand(-1, 8, -1, -1, -1)
    moving = torch.randint(256, (1, 8, 3, 16, 16), dtype=torch.uint8)
    with torch.inference_mode():
        torch.testing.assert_close(moved(moving), plain(moving))  # 0 at the start
        moved.motion.weight.fill_(1)
        torch.testing.assert_close(moved(still), plain(still))
        assert (moved(moving) - plain(moving)).min() > 0.001
        logits, evidence = moved.explain(moving)
        torch.testing.assert_close(evidence.sum(1), logits)


def test_motion_can_be_learned_from_a_face_that_stands_still():
    features = torch.ones(1, 4, 8, requires_grad=True)
    change(features).sum().backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()


def test_movements_are_estimated_for_each_instance():
    assert small().estimate_movements(torch.rand(2, 2, 32)).shape == (2, 2, 0)
    model = small(movements=["jawOpen", "eyeBlink"])
    features = torch.rand(2, 2, model.backbone.out_features)
    assert model.estimate_movements(features).shape == (2, 2, 2)


def test_movements_speak_for_faces_that_move_alone():
    model = small(movements=["jawOpen", "eyeBlink"], movement_classifier=True, bag_size=4)
    nn.init.ones_(model.movement_head.weight)
    still = torch.rand(2, 1, model.backbone.out_features).expand(-1, 4, -1)
    step = torch.tensor([0.0, 0.0, 1.0, 1.0]).view(1, 4, 1)
    before = [model.fuse(still + size * step) for size in (0, 1e-5, 1)]
    model.movement_classifier.bias.data[0] = 3.0
    after = [model.fuse(still + size * step) for size in (0, 1e-5, 1)]
    none, little, all_of_it = ((a - b)[:, 0] for a, b in zip(after, before, strict=True))
    assert (none == 0).all()
    assert (little > 0).all()
    assert (little < 1).all()
    torch.testing.assert_close(all_of_it, torch.full((2,), 3.0))
    logits, evidence = model.fuse_with_evidence(still + step)
    torch.testing.assert_close(evidence.sum(1), logits)
    with pytest.raises(InputError, match="but the model estimates no movements"):
        small(movement_classifier=True)
