import argparse
import copy
import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from m3dfel._torchvision import (
    MC3_18_Weights,
    R2Plus1D_18_Weights,
    R3D_18_Weights,
    ResNet18_Weights,
)
from m3dfel.emotions import EMOTIONS
from m3dfel.errors import InputError
from m3dfel.models.backbones.video_resnet import Backbone, load_pretrained
from m3dfel.models.dmin import DMIN
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.models.pooling import AttentionPooling
from m3dfel.models.published import read_published

from torchvision.models import resnet18, video  # isort: skip  # m3dfel has opened its door

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


class Golden:
    """The published model's weights, inputs and outputs, made again as its README tells."""

    def __init__(self, folder: Path) -> None:
        record = json.loads((folder / "m3dfel_reference.json").read_text())
        self.entries = record["state_dict"]
        self.gradient_norms = record["train_grad_norms"]
        self.values = np.load(folder / "m3dfel_reference.npz")
        self.weights = {
            name: self._fill(k, name, shape)
            for k, name, shape in self.entries
            if not name.endswith("num_batches_tracked")
        }

    def __getitem__(self, name: str) -> torch.Tensor:
        return torch.from_numpy(self.values[name])

    def state_dict(self, bag_size: int) -> dict[str, torch.Tensor]:
        k = next(k for k, name, _ in self.entries if name == "pwconv.weight")
        kernel = self._fill(k, "pwconv.weight", [1, bag_size, 3])
        return self.weights | {"pwconv.weight": kernel}

    @staticmethod
    def _fill(k: int, name: str, shape: list[int]) -> torch.Tensor:
        s = np.sin(0.7 * np.arange(np.prod(shape), dtype=np.float64) + k)
        weight = name.endswith("weight")
        if name.endswith("running_var"):
            values = 1 + 0.1 * s
        elif name.endswith("running_mean"):
            values = 0.05 * s
        elif name in ("norm.mean_weight", "norm.var_weight"):
            values = 0.5 * s
        elif name.startswith("norm.") or len(shape) == 1:
            values = 1 + 0.1 * s if weight else 0.05 * s
        else:
            values = np.sqrt(2 / np.prod(shape[1:])) * s
        return torch.from_numpy(values.astype(np.float32).reshape(shape))

    @staticmethod
    def clips(side: int) -> torch.Tensor:
        j = np.arange(2 * 16 * 3 * side * side, dtype=np.float64)
        x = 0.5 + 0.5 * np.sin(0.37 * j + np.floor(j / 997))
        return torch.from_numpy(x.astype(np.float32).reshape(2, 16, 3, side, side))


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    return Golden(shared / "golden")


def published(golden: Golden, bag_size: int, folder: Path) -> M3DFEL:
    torch.save({"state_dict": golden.state_dict(bag_size)}, folder / "model.pth")
    return read_published(folder / "model.pth")


@pytest.mark.parametrize("bag_size", [2, 8, 16])
def test_parity_with_the_published_model(golden: Golden, bag_size: int, tmp_path: Path):
    model = published(golden, bag_size, tmp_path).eval()
    with torch.no_grad():
        logits = model(golden.clips(48))
    torch.testing.assert_close(logits, golden[f"bag{bag_size}/logits"], **CLOSE)


def test_parity_of_every_stage_and_of_a_training_step(golden: Golden, tmp_path: Path):
    model = published(golden, 4, tmp_path)
    stages: dict[str, torch.Tensor] = {}

    def keep(name: str, pick=lambda inputs, output: output):
        return lambda module, inputs, output: stages.__setitem__(name, pick(inputs, output))

    aggregation = model.aggregation
    hooks = [
        model.backbone.register_forward_hook(
            keep("instances", lambda _, output: output.unflatten(0, (2, 4)))
        ),
        aggregation.lstm.register_forward_hook(keep("lstm", lambda _, output: output[0])),
        aggregation.norm.register_forward_hook(keep("attended", lambda inputs, _: inputs[0])),
        aggregation.norm.register_forward_hook(keep("dmin")),
        aggregation.pooling.register_forward_hook(keep("gated", lambda inputs, _: inputs[0])),
        aggregation.register_forward_hook(keep("bag", lambda _, output: output.unsqueeze(1))),
    ]
    clips = golden.clips(112)
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(model(clips), golden["bag4/logits"], **CLOSE)
    for name, value in stages.items():
        torch.testing.assert_close(value, golden[f"bag4/{name}"], **CLOSE, msg=name)
    for hook in hooks:
        hook.remove()

    model.train()
    logits = model(clips)
    loss = nn.functional.cross_entropy(logits, torch.tensor([5, 0]), label_smoothing=0.1)
    loss.backward()
    torch.testing.assert_close(logits, golden["train/logits"], **CLOSE)
    torch.testing.assert_close(loss, golden["train/loss_ce_smooth"].squeeze(), **CLOSE)
    ours = {name: p.grad.norm().item() for name, p in model.named_parameters()}
    assert len(ours) == len(golden.gradient_norms)
    # Those of the backbone hang on the last bit: float64 moves them by up to 1.4 %, rounding noise
    # on the input by up to 5 %. So they can only be near, where the float32 kernels of another
    # machine differ from the reference's.
    for name, norm in ours.items():
        expected = golden.gradient_norms[published_name(name)]
        near = {"rel": 2e-2} if name.startswith("backbone.") else {"rel": 1e-4, "abs": 1e-5}
        assert norm == pytest.approx(expected, **near), name


@pytest.mark.filterwarnings("ignore:var")
def test_bag_size_1_is_finite_and_follows_the_paper(golden: Golden, tmp_path: Path):
    model = published(golden, 1, tmp_path).eval()
    assert model(golden.clips(48)).isnan().all(), "the published variance has no value here"
    model.aggregation.norm.unbiased = False
    assert model(golden.clips(48)).isfinite().all()


@pytest.mark.parametrize(
    ("mean_lambda", "var_lambda", "name"),
    [
        ((1.0, 1.0), (1.0, 1.0), "y_equal_weights"),
        ((1.5, -0.5), (-1.0, 2.0), "y_mean_w_1.5_-0.5_var_w_-1_2"),
    ],
)
def test_dmin_parity(golden: Golden, mean_lambda, var_lambda, name: str):
    x = golden["dmin/x"]
    dmin = DMIN(x.shape[2], unbiased=True)
    with torch.no_grad():
        dmin.mean_lambda.copy_(torch.tensor(mean_lambda))
        dmin.var_lambda.copy_(torch.tensor(var_lambda))
    torch.testing.assert_close(dmin(x), golden[f"dmin/{name}"], **CLOSE)


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 2**31))
def test_dmin_is_the_paper_s_formula(instances: int, channels: int, seed: int):
    torch.manual_seed(seed)
    dmin = DMIN(channels)
    for parameter in dmin.parameters():
        nn.init.normal_(parameter)
    a = torch.randn(3, instances, channels)
    w, v = dmin.mean_lambda.softmax(0), dmin.var_lambda.softmax(0)
    mean = w[0] * a.mean(1, keepdim=True) + w[1] * a.mean((1, 2), keepdim=True)
    biased = {"correction": 0, "keepdim": True}
    var = v[0] * a.var(1, **biased) + v[1] * a.var((1, 2), **biased)
    expected = (a - mean) / (var + 1e-5).sqrt() * dmin.gamma + dmin.beta
    torch.testing.assert_close(dmin(a), expected, rtol=1e-3, atol=1e-4)


def small(**settings) -> M3DFEL:
    torch.manual_seed(0)
    return M3DFEL(**{"frames": 8, "size": 16, "bag_size": 2, "width": 4, "depth": 10, **settings})


PARTS = [
    {"backbone": kind, "aggregation": name}
    for kind in ("r3d", "r2plus1d", "mc3", "resnet")
    for name in ("dliam", "lstm", "transformer", "mean", "max", "attention")
]
ABLATIONS = [
    {"bilstm": False},
    {"mhsa": False},
    {"bilstm": False, "mhsa": False},
    *({"norm": norm} for norm in ("none", "batch", "layer", "instance")),
    *({"pooling": pooling} for pooling in ("mean", "max", "attention")),
]


@pytest.mark.parametrize("bag_size", [1, 2, 4, 8])
@pytest.mark.parametrize(
    "parts", [*PARTS, *ABLATIONS], ids=lambda p: " ".join(map(str, p.values()))
)
def test_the_evidence_of_the_instances_sums_to_the_logits(parts: dict, bag_size: int):
    model = small(bag_size=bag_size, **parts)
    model(torch.rand(2, 8, 3, 16, 16))  # gives batch normalization something to remember
    model.eval()
    clips = model.normalize(torch.randint(0, 256, (3, 8, 3, 16, 16), dtype=torch.uint8))
    logits, evidence = model.explain(clips)
    assert evidence.shape == (3, bag_size, 7)
    torch.testing.assert_close(logits, model(clips))
    torch.testing.assert_close(evidence.sum(1), logits)


def test_instances_are_runs_of_consecutive_frames():
    model = small()
    assert model.instance_length == 4
    clips = torch.arange(16.0).view(2, 8, 1, 1, 1).expand(2, 8, 3, 16, 16)
    instances = model.cut(clips)
    assert instances.shape == (4, 3, 4, 16, 16)
    assert instances[:, 0, :, 0, 0].tolist() == torch.arange(16.0).view(4, 4).tolist()
    with pytest.raises(RuntimeError):  # rather than mixing the frames of two clips
        model.cut(clips[:, :6])


def test_a_batch_of_one_is_a_batch():
    assert small().eval()(torch.zeros(1, 8, 3, 16, 16)).shape == (1, 7)


def test_a_grayscale_model_does_not_see_colour():
    model = small(grayscale=True, mean=(0.5,) * 3, std=(0.25,) * 3)
    red = torch.tensor([255, 0, 0], dtype=torch.uint8).view(3, 1, 1)
    grey = torch.tensor([76, 76, 76], dtype=torch.uint8).view(3, 1, 1)
    torch.testing.assert_close(model.normalize(red), model.normalize(grey), rtol=0, atol=0.01)
    assert small().normalize(red)[0] != small().normalize(grey)[0]


def test_a_saved_model_comes_back_whole(tmp_path: Path):
    model = small(labels=["happiness", "anger"], grayscale=True, unbiased=True).eval()
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["labels"] == ["happiness", "anger"]
    assert (config["frames"], config["size"], config["bag_size"]) == (8, 16, 2)
    again = M3DFEL.from_pretrained(tmp_path).eval()
    clips = torch.rand(2, 8, 3, 16, 16)
    assert torch.equal(again(clips), model(clips))
    assert again.labels == ("happiness", "anger")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"bag_size": 3}, "bag size is 3 but must divide the clip's 8 frames"),
        ({"bag_size": 0}, "bag size is 0"),
        ({"frames": 0, "bag_size": 1}, "the clip's 0 frames"),
        ({"depth": 50}, "depth is 50"),
        ({"labels": ["anger", "Angry"]}, "two or more different emotions"),
        ({"backbone": "vgg"}, "the backbone is 'vgg' but must be one of r3d, r2plus1d"),
        ({"aggregation": "sum"}, "the aggregation is 'sum' but must be dliam"),
        ({"norm": "group"}, "the norm is 'group' but must be dmin"),
        ({"pooling": "min"}, "the pooling is 'min' but must be conv1d"),
    ],
)
def test_a_model_that_cannot_be_says_why(settings, words: str):
    with pytest.raises(InputError, match=re.escape(words)):
        small(**settings)


def test_the_published_size_is_the_published_size():
    assert round(sum(p.numel() for p in M3DFEL().parameters()) / 1e6, 1) == 46.8


NETWORKS = {
    "r3d": (video.r3d_18, R3D_18_Weights.KINETICS400_V1),
    "r2plus1d": (video.r2plus1d_18, R2Plus1D_18_Weights.KINETICS400_V1),
    "mc3": (video.mc3_18, MC3_18_Weights.KINETICS400_V1),
    "resnet": (resnet18, ResNet18_Weights.IMAGENET1K_V1),
}


@pytest.fixture
def checkpoints(monkeypatch, tmp_path: Path) -> Path:
    """Where torch keeps fetched weights; nothing lies there yet, and the net is down."""

    def unreachable(*arguments, **options):
        raise OSError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("kind", NETWORKS)
def test_pretrained_weights_make_a_backbone_torchvision_s_network(kind: str, checkpoints: Path):
    make, weights = NETWORKS[kind]
    torch.manual_seed(0)
    network = make()
    for module in network.modules():  # a fresh network's statistics would hide a mistake
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    torch.save(network.state_dict(), checkpoints / Path(weights.url).name)
    backbone = Backbone(kind).eval()
    load_pretrained(backbone)
    network.fc = nn.Identity()
    x = torch.rand(2, 3, 1 if kind == "resnet" else 4, 32, 32)
    with torch.no_grad():
        expected = network.eval()(x.squeeze(2) if kind == "resnet" else x)
        torch.testing.assert_close(backbone(x), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="only width 64 and depth 18"):
        load_pretrained(Backbone(kind, width=8))


def test_resnet_reads_frame_by_frame():
    model = small(backbone="resnet", bag_size=8).eval()
    clips = torch.rand(2, 8, 3, 16, 16)
    frames = model.instance_features(clips)
    whole = small(backbone="resnet", bag_size=1, aggregation="mean").eval()
    whole.backbone.load_state_dict(model.backbone.state_dict())
    torch.testing.assert_close(whole.instance_features(clips).squeeze(1), frames.mean(1))
    assert model.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert small().mean.flatten().tolist() == pytest.approx([0.43216, 0.394666, 0.37645])


def test_gated_attention_is_the_papers_formula():
    pooling = AttentionPooling(6)
    x = torch.randn(2, 3, 6)
    scores = torch.stack(
        [
            torch.tanh(pooling.value(x[:, n])) * torch.sigmoid(pooling.gate(x[:, n]))
            for n in range(3)
        ],
        1,
    )
    weights = (scores @ pooling.weight.weight.T).softmax(1)
    torch.testing.assert_close(pooling(x), (weights * x).sum(1))


def test_weights_out_of_reach_say_what_to_do(checkpoints: Path):
    with pytest.raises(InputError, match=r"no route to host.*--model.weights none") as error:
        load_pretrained(Backbone())
    assert str(checkpoints) in str(error.value)
    for content in (b"", b"half a file"):
        (checkpoints / Path(R3D_18_Weights.KINETICS400_V1.url).name).write_bytes(content)
        with pytest.raises(InputError, match="put that file whole"):
            load_pretrained(Backbone())


class RecorderMeter:
    """Stands for the object of their own class that the authors save beside the weights."""

    def __init__(self) -> None:
        self.accuracy = [1.0]


class Trap:
    """Would make a file if it were unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return eval, (f"open({str(self.file)!r}, 'w').close()",)


def published_name(ours: str) -> str:
    names = {
        "backbone": "features",
        "aggregation.lstm": "lstm",
        "aggregation.qkv": "to_qkv",
        "aggregation.norm.gamma": "norm.weight",
        "aggregation.norm.beta": "norm.bias",
        "aggregation.norm.mean_lambda": "norm.mean_weight",
        "aggregation.norm.var_lambda": "norm.var_weight",
        "aggregation.pooling": "pwconv",
        "classifier": "fc",
    }
    part = next(part for part in names if ours == part or ours.startswith(part + "."))
    return names[part] + ours.removeprefix(part)


def theirs(model: M3DFEL) -> dict[str, torch.Tensor]:
    return {
        published_name(n): v.view(1, -1, 1) if "gamma" in n or "beta" in n else v
        for n, v in model.state_dict().items()
    }


def test_the_authors_checkpoints_are_read_without_running_them(tmp_path: Path):
    model = small(frames=16, unbiased=True)
    wrapped = {f"module.{name}": value for name, value in theirs(model).items()}
    file = tmp_path / "model.pth"
    foreign = {
        "args": argparse.Namespace(lr=5e-4),
        "best_wa": np.float64(0.69),
        "confusion": np.eye(7),
        "recorder": RecorderMeter(),
        "output": Path("runs"),
        "trap": Trap(tmp_path / "sprung"),
    }
    torch.save({"epoch": 3, "state_dict": wrapped, **foreign}, file)
    read = read_published(file)
    assert not (tmp_path / "sprung").exists()
    assert read.bag_size == 2
    assert read.aggregation.norm.unbiased
    for name, value in model.state_dict().items():
        assert torch.equal(read.state_dict()[name], value), name
    pixels = torch.full((3, 4, 4), 255, dtype=torch.uint8)
    assert (read.normalize(pixels) == 1).all(), "the published code does not normalize"


def test_what_is_no_checkpoint_of_the_model_says_so(tmp_path: Path):
    with pytest.raises(InputError, match="no checkpoint at"):
        read_published(tmp_path / "gone.pth")
    for content in (b"", b"not a checkpoint"):
        (tmp_path / "bad.pth").write_bytes(content)
        with pytest.raises(InputError, match=r"bad.pth is not a checkpoint that can be read"):
            read_published(tmp_path / "bad.pth")
    for held in ({"epoch": 3}, {"state_dict": [1, 2]}, {"state_dict": {}}, [1, 2]):
        torch.save(held, tmp_path / "bare.pth")
        with pytest.raises(InputError, match="holds no weights"):
            read_published(tmp_path / "bare.pth")
    torch.save({"fc.weight": torch.zeros(7, 8)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="not of M3DFEL with 7 emotions"):
        read_published(tmp_path / "other.pth")
    whole = tmp_path / "whole.pth"
    torch.save(theirs(small(frames=16)), whole)
    (tmp_path / "cut.pth").write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(InputError, match="is it a whole"):
        read_published(tmp_path / "cut.pth")
    with pytest.raises(InputError, match="with 2 emotions"):
        read_published(whole, ["happiness", "anger"])


def test_emotions_of_the_model_are_in_the_published_order():
    assert small().labels == EMOTIONS


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_leaving_out_the_padding_around_one_frame_changes_nothing(frames: int):
    torch.manual_seed(0)
    ours = Backbone(width=4, depth=18).double().eval()
    plain = copy.deepcopy(ours)
    for module in plain.modules():
        if isinstance(module, torch.nn.Conv3d):
            module.forward = partial(torch.nn.Conv3d.forward, module)
    x = torch.rand(2, 3, frames, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(ours(x), plain(x))
