"""The published model, written out from its formulas: where `published_narrow.npz` comes from.

    python tests/models/published_formulas.py

Nothing of the package is used, so that `test_parity.py` compares two independent forms of the same
model. It computes in double precision. With weights of full width it returns what the authors' own
code does, which `test_parity.py` checks where their values are at hand.

Weights and input come from sines, which anyone can make again: entry k of the published model's
`state_dict` from s = sin(0.7 j + k), j the flat index.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

WIDTH = 8
SIDE = 48
BAG_SIZES = (2, 4, 8, 16)
LABELS = (5, 0)
FILE = Path(__file__).with_name("published_narrow.npz")

HEADS = 8
EPSILON = 1e-5  # of DMIN and of batch normalization


# --- weights and input ---------------------------------------------------------------------------


def shapes(width: int, bag_size: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the names and the shapes of the published model's entries, in order."""

    def unit(name: str, *kernel: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        """A convolution and its batch normalization."""
        yield f"{name}.0.weight", kernel
        for entry in "weight", "bias", "running_mean", "running_var":
            yield f"{name}.1.{entry}", kernel[:1]
        yield f"{name}.1.num_batches_tracked", ()

    yield from unit("features.0", width, 3, 3, 7, 7)
    channels = width
    for stage in 1, 2, 3, 4:
        wider = width * 2 ** (stage - 1)
        for block in 0, 1:
            name = f"features.{stage}.{block}"
            yield from unit(f"{name}.conv1", wider, channels, 3, 3, 3)
            yield from unit(f"{name}.conv2", wider, wider, 3, 3, 3)
            if channels != wider:
                yield from unit(f"{name}.downsample", wider, channels, 1, 1, 1)
            channels = wider
    for layer in 0, 1:
        for direction in "", "_reverse":
            end = f"l{layer}{direction}"
            yield f"lstm.weight_ih_{end}", (4 * channels, channels * (1 + layer))
            yield f"lstm.weight_hh_{end}", (4 * channels, channels)
            yield f"lstm.bias_ih_{end}", (4 * channels,)
            yield f"lstm.bias_hh_{end}", (4 * channels,)
    both = 2 * channels
    yield "to_qkv.weight", (3 * both, both)
    yield "norm.weight", (1, both, 1)
    yield "norm.bias", (1, both, 1)
    yield "norm.mean_weight", (2,)
    yield "norm.var_weight", (2,)
    yield "pwconv.weight", (1, bag_size, 3)
    yield "pwconv.bias", (1,)
    yield "fc.weight", (7, both)
    yield "fc.bias", (7,)


def state_dict(width: int, bag_size: int) -> dict[str, Tensor]:
    """Return the published model's weights, float32."""
    return {
        name: _fill(k, name, shape)
        for k, (name, shape) in enumerate(shapes(width, bag_size))
        if not name.endswith("num_batches_tracked")
    }


def _fill(k: int, name: str, shape: tuple[int, ...]) -> Tensor:
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


def clips(side: int) -> Tensor:
    """Return two clips, float32 (2, 16, 3, side, side)."""
    j = np.arange(2 * 16 * 3 * side * side, dtype=np.float64)
    x = 0.5 + 0.5 * np.sin(0.37 * j + np.floor(j / 997))
    return torch.from_numpy(x.astype(np.float32).reshape(2, 16, 3, side, side))


# --- the formulas --------------------------------------------------------------------------------


def run(
    weights: dict[str, Tensor], x: Tensor, bag_size: int, training: bool = False
) -> dict[str, Tensor]:
    """Return the stages of the model and its logits, in the precision of weights and clips."""
    batch, frames = x.shape[:2]
    instances = x.reshape(batch * bag_size, frames // bag_size, *x.shape[2:]).transpose(1, 2)
    features = _r3d(weights, instances, training).reshape(batch, bag_size, -1)
    hidden = _bilstm(weights, features)
    attended = _attention(weights, hidden)
    normalized = dmin(
        attended,
        weights["norm.mean_weight"],
        weights["norm.var_weight"],
        weights["norm.weight"].flatten(),
        weights["norm.bias"].flatten(),
    )
    gated = hidden / (1 + (-normalized).exp())
    # Along the channels, which are padded with a zero on both sides; summed over the instances.
    padded = F.pad(gated, (1, 1))
    kernel, channels = weights["pwconv.weight"][0], gated.shape[2]
    bag = weights["pwconv.bias"] + sum(
        padded[:, n, i : i + channels] * kernel[n, i] for n in range(bag_size) for i in range(3)
    )
    return {
        "instances": features,
        "lstm": hidden,
        "attended": attended,
        "dmin": normalized,
        "gated": gated,
        "bag": bag,
        "logits": bag @ weights["fc.weight"].T + weights["fc.bias"],
    }


def _r3d(weights: dict[str, Tensor], x: Tensor, training: bool) -> Tensor:
    """R3D-18: instances (M, 3, t, H, W) to features (M, F)."""

    def unit(name: str, x: Tensor, stride: int | tuple[int, int, int]) -> Tensor:
        kernel = weights[f"{name}.0.weight"]
        x = F.conv3d(x, kernel, None, stride, [side // 2 for side in kernel.shape[2:]])
        mean, var = weights[f"{name}.1.running_mean"], weights[f"{name}.1.running_var"]
        if training:
            mean, var = x.mean((0, 2, 3, 4)), x.var((0, 2, 3, 4), correction=0)
        scale = weights[f"{name}.1.weight"] / (var + EPSILON).sqrt()
        shift = weights[f"{name}.1.bias"] - mean * scale
        return x * scale.view(-1, 1, 1, 1) + shift.view(-1, 1, 1, 1)

    x = unit("features.0", x, (1, 2, 2)).relu()
    for stage in 1, 2, 3, 4:
        for block in 0, 1:
            name = f"features.{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            residual = unit(f"{name}.downsample", x, stride) if stride == 2 else x
            inner = unit(f"{name}.conv1", x, stride).relu()
            x = (unit(f"{name}.conv2", inner, 1) + residual).relu()
    return x.mean((2, 3, 4))


def _bilstm(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """Two layers in both directions: (B, N, F) to (B, N, 2F)."""
    for layer in 0, 1:
        directions = []
        for end in f"l{layer}", f"l{layer}_reverse":
            steps = range(x.shape[1])
            states = {}
            h = c = x.new_zeros(len(x), weights[f"lstm.weight_hh_{end}"].shape[1])
            for n in reversed(steps) if "reverse" in end else steps:
                gates = x[:, n] @ weights[f"lstm.weight_ih_{end}"].T
                gates = gates + weights[f"lstm.bias_ih_{end}"] + weights[f"lstm.bias_hh_{end}"]
                gates = gates + h @ weights[f"lstm.weight_hh_{end}"].T
                take, forget, new, show = gates.chunk(4, 1)
                c = forget.sigmoid() * c + take.sigmoid() * new.tanh()
                h = show.sigmoid() * c.tanh()
                states[n] = h
            directions.append(torch.stack([states[n] for n in steps], 1))
        x = torch.cat(directions, 2)
    return x


def _attention(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """Multi-head self-attention without a projection after the heads: (B, N, C) to (B, N, C)."""
    queries, keys, values = (x @ weights["to_qkv.weight"].T).chunk(3, 2)
    heads = []
    for q, k, v in zip(*(part.chunk(HEADS, 2) for part in (queries, keys, values)), strict=True):
        scores = q @ k.transpose(1, 2) / np.sqrt(q.shape[2])
        heads.append(scores.softmax(2) @ v)
    return torch.cat(heads, 2)


def dmin(a: Tensor, mean_lambda: Tensor, var_lambda: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """DMIN of the published code: the variance of an instance's channel divides by N - 1."""
    mean_in = a.mean(1, keepdim=True)
    var_in = ((a - mean_in) ** 2).sum(1, keepdim=True) / (a.shape[1] - 1)
    mean_bn = mean_in.mean(2, keepdim=True)
    var_bn = (var_in + mean_in**2).mean(2, keepdim=True) - mean_bn**2
    w, v = mean_lambda.softmax(0), var_lambda.softmax(0)
    mean = w[0] * mean_in + w[1] * mean_bn
    var = v[0] * var_in + v[1] * var_bn
    return (a - mean) / (var + EPSILON).sqrt() * gamma + beta


def cross_entropy(logits: Tensor, labels: tuple[int, ...], smoothing: float = 0.1) -> Tensor:
    """Cross entropy with label smoothing."""
    log_p = logits - logits.exp().sum(1, keepdim=True).log()
    rows = torch.arange(len(labels))
    return -((1 - smoothing) * log_p[rows, list(labels)] + smoothing * log_p.mean(1)).mean()


def main() -> None:
    values = {}
    for bag_size in BAG_SIZES:
        weights = {n: w.double() for n, w in state_dict(WIDTH, bag_size).items()}
        stages = run(weights, clips(SIDE).double(), bag_size)
        kept = stages if bag_size == 4 else {"logits": stages["logits"]}
        values |= {f"bag{bag_size}/{name}": value for name, value in kept.items()}
    weights = {
        n: w.double().requires_grad_("running" not in n) for n, w in state_dict(WIDTH, 4).items()
    }
    logits = run(weights, clips(SIDE).double(), 4, training=True)["logits"]
    loss = cross_entropy(logits, LABELS)
    loss.backward()
    values |= {"train/logits": logits, "train/loss_ce_smooth": loss}
    values |= {f"train/grad_norm/{n}": w.grad.norm() for n, w in weights.items() if w.requires_grad}
    arrays = {name: value.detach().numpy().astype(np.float32) for name, value in values.items()}
    np.savez_compressed(FILE, **arrays)
    print(f"{FILE}: {FILE.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
