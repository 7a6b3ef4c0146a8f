"""Build the model that a run starts from, with random, pretrained or transferred weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m3dfel.config import TrainConfig
from m3dfel.errors import InputError
from m3dfel.models.aggregations.pooled import MeanAggregation
from m3dfel.models.checkpoints import load_model
from m3dfel.models.exported import ExportedModel
from m3dfel.models.flow import add_flow_channels
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.training.prepare import with_architecture

_KERNELS = "aggregation.pooling.weight"  # of DLIAM's convolution over the instances, (1, N, 3)


def build_model(config: TrainConfig, movements: Sequence[str] = ()) -> M3DFEL:
    """Return the model that a run starts from; the random weights follow from the run's seed.

    A run whose backbone learns, but not what moves, gives up the movements of the model that it
    starts from, since nothing would keep them right.

    Args:
        config: of the run.
        movements: what the model estimates of a face, if the configuration does not say.

    Raises:
        InputError: the initial weights cannot be loaded or do not fit the model.
    """
    architecture = dataclasses.asdict(with_architecture(config).model)
    weights = architecture.pop("weights")
    architecture["movements"] = architecture["movements"] or movements
    if not config.loss.movements and config.optim.trains("backbone"):
        architecture["movements"] = ()
    torch.manual_seed(config.seed)
    model = M3DFEL(config.data.labels, **architecture)
    if weights == "pretrained":
        model.backbone.load_pretrained()
    elif weights != "none":
        transfer_weights(model, weights)
    return model


def transfer_weights(model: M3DFEL, name: str) -> None:
    """Copy the weights of a trained model into another: the backbone's, and all others that fit.

    The classifier is copied for the emotions that both models know, if its inputs are the same. A
    DLIAM that starts as the mean hands every mean feature to its classifier twice; if the trained
    model took plain means, its classifier is copied twice at half weight, so that the new model
    starts with the trained one's answers; the other way round, both halves are added. If the bag
    sizes differ, DLIAM's convolution over the instances is resized. A backbone trained on single
    frames never used its kernels for the neighboring frames, so these kernels start at zero, or,
    where two frames become one, as the mean of both.

    Args:
        model: receives the weights, in place.
        name: the trained model, as for `load_model`.

    Raises:
        InputError: there is no such model, it is exported, or its backbone does not fit.
    """
    trained = load_model(name)
    if isinstance(trained, ExportedModel):
        raise InputError(f"{name} is an exported model: start from the model that was trained")
    if model.flow and not trained.flow:
        add_flow_channels(trained.backbone)
    weights, initial = trained.state_dict(), model.state_dict()

    def fits(name: str) -> bool:
        return name in weights and weights[name].shape == initial[name].shape

    if not all(fits(name) for name in initial if name.startswith("backbone.")):
        raise InputError(
            f"the weights of {name} do not fit this run's backbone: choose the same backbone with "
            "the same options (width and depth), and model.flow if it has that"
        )
    kernels = weights.get(_KERNELS)
    # An aggregation other than DLIAM may have a weight of another shape under the same name.
    if kernels is not None and kernels.shape == (1, trained.bag_size, 3):
        weights[_KERNELS] = _resize_kernels(kernels, model.bag_size)
    if trained.encoded_length == 1 < model.encoded_length:
        _join_frames(model, weights)
    new, old = model.aggregation, trained.aggregation
    if new.starts_as_mean and isinstance(old, MeanAggregation):
        weights["classifier.weight"] = weights["classifier.weight"].repeat(1, 2) / 2
    if isinstance(new, MeanAggregation) and old.starts_as_mean:
        first, second = weights["classifier.weight"].chunk(2, 1)
        weights["classifier.weight"] = first + second
    if weights["classifier.weight"].shape[1] != model.classifier.in_features:
        del weights["classifier.weight"], weights["classifier.bias"]
    if trained.movements != model.movements:  # the classifier of movements would read others
        weights = {n: v for n, v in weights.items() if not n.startswith("movement_classifier.")}
    for layer in "classifier", "motion", "movement_classifier":
        _choose_rows(weights, layer, trained.labels, initial, model.labels)
    _choose_rows(weights, "movement_head", trained.movements, initial, model.movements)
    model.load_state_dict({n: weights[n] if fits(n) else v for n, v in initial.items()})


def _choose_rows(
    weights: dict[str, Tensor],
    layer: str,
    names: Sequence[str],
    initial: dict[str, Tensor],
    chosen: Sequence[str],
) -> None:
    """Replace the rows of a linear layer, if both models have it, by those of other names."""
    for name in f"{layer}.weight", f"{layer}.bias":
        if name in weights and name in initial:
            row_of = dict(zip(names, weights[name], strict=True))
            rows = zip(chosen, initial[name], strict=True)
            weights[name] = torch.stack([row_of.get(word, row) for word, row in rows])


def _resize_kernels(kernels: Tensor, bag_size: int) -> Tensor:
    """Resize kernels (1, N, 3) to another bag size so that the bag vector keeps its scale."""
    resized = F.adaptive_avg_pool1d(kernels.transpose(1, 2), bag_size).transpose(1, 2)
    return resized * kernels.shape[1] / bag_size


def _join_frames(model: M3DFEL, weights: dict[str, Tensor]) -> None:
    """Let the 3D kernels of a backbone trained on single frames treat all frames alike, in place.

    Its features of a face that stands still stay as they are.

    Args:
        model: says how many frames each kernel sees.
        weights: of the trained model.
    """

    def join(kernels: Tensor, convolution: nn.Conv3d, inputs: tuple[Tensor, ...]) -> None:
        kernels[:, :, [0, 2]] = 0
        if convolution.stride[0] == 2 and inputs[0].shape[2] % 2 == 0:
            kernels[:, :, 1] /= 2
            kernels[:, :, 2] = kernels[:, :, 1]

    hooks = [
        module.register_forward_pre_hook(partial(join, weights[f"{name}.weight"]))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv3d) and module.kernel_size[0] == 3
    ]
    training = model.training
    with torch.no_grad():
        instance = torch.zeros(1, model.encoded_length, 3, model.size, model.size)
        model.eval().encode(instance, torch.tensor([0]))
    model.train(training)
    for hook in hooks:
        hook.remove()
