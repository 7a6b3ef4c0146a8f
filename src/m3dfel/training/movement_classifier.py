"""Learn what movements say of the emotion: `M3DFEL.movement_classifier`.

A logistic regression on clips of people who are each seen with several emotions. With z the logits
of a clip and s the statistics of its movements, both the mean over the windows of the clip, it fits
A in

    z' = log softmax(z) + A s,    less the mean of z' over the clips of the same person.

Faces differ at rest, and how they move differs less: without the mean, it would learn who shows
what. An emotion that no clip shows is left as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from m3dfel.config import TrainConfig
from m3dfel.data.batches import evaluation_loader
from m3dfel.data.dataset import EvaluationClips
from m3dfel.data.manifest import Clip
from m3dfel.errors import InputError
from m3dfel.evaluation.measure import group_means
from m3dfel.models.m3dfel import M3DFEL

_PENALTY = 0.2
"""Of the squared weights; chosen by leaving one person out (docs/trials.md)."""


def learns_movement_classifier(config: TrainConfig) -> bool:
    """Return whether a run ends by learning what movements say."""
    return config.optim.trains("movement_classifier") and bool(config.model.movement_classifier)


def check_people(clips: Sequence[Clip]) -> None:
    """Check that clips show two people or more with several emotions each.

    Raises:
        InputError: they do not.
    """
    if len(_comparable(clips)) < 2:
        raise InputError(
            "the movement classifier learns from people who show several emotions each, but the "
            "training clips have fewer than two of them: add a column identity to the CSV file of "
            "the data, or set model.movement_classifier to false"
        )


def learn_movement_classifier(model: M3DFEL, clips: Sequence[Clip], config: TrainConfig) -> None:
    """Learn what movements say, in place.

    Args:
        model: with a movement classifier, after training.
        clips: of the training split; stills and people who show one emotion are left out.
        config: of the run.

    Raises:
        InputError: none of the clips could be read.
    """
    layer = model.movement_classifier
    assert layer is not None
    people = _comparable(clips)
    numbers = [number for number, seen in enumerate(people.values()) for _ in seen]
    logits, statistics, targets, indices = _measure(
        model.eval(), [clip for seen in people.values() for clip in seen], config
    )
    weight, bias = _fit(logits, statistics, targets, torch.tensor(numbers)[indices])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)


def _comparable(clips: Sequence[Clip]) -> dict[tuple[int, str], list[Clip]]:
    """Return the moving clips of each person who shows several emotions."""
    people = defaultdict[tuple[int, str], list[Clip]](list)
    for clip in clips:
        if clip.identity and clip.kind != "still":
            people[clip.dataset, clip.identity].append(clip)
    return {who: seen for who, seen in people.items() if len({clip.emotion for clip in seen}) > 1}


@torch.inference_mode()
def _measure(
    model: M3DFEL, clips: Sequence[Clip], config: TrainConfig
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the logits (M, C), the statistics (M, S), the targets and the indices of clips."""
    rows = list[tuple[Tensor, ...]]()
    data = EvaluationClips(model, clips, config.data.window_s)
    for batch in evaluation_loader(data, batch_size=1, workers=config.workers):
        if batch is not None:
            features = model.instance_features(batch["clips"].to(model.mean.device))
            # Without `motion`: on clips that it has learned from, it is surer than on others.
            logits = model.classifier(model.aggregation(features)).log_softmax(1)
            means = logits.mean(0), model.movement_statistics(features).mean(0)
            rows.append(
                (*(m.cpu().double() for m in means), batch["targets"][0], batch["indices"][0])
            )
    if not rows:
        raise InputError("none of the clips could be read: run `m3dfel data check`")
    logits, statistics, targets, indices = (
        torch.stack(column) for column in zip(*rows, strict=True)
    )
    return logits, statistics, targets, indices


def _fit(
    logits: Tensor, statistics: Tensor, targets: Tensor, people: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the weights (C, S) and the biases (C,) of the statistics.

    With the biases, what is added is 0 on average: a person is compared with everybody.
    """
    shown, shown_targets = targets.unique(return_inverse=True)
    scale = statistics.std(0) + _LITTLE
    inputs = centered(statistics, people) / scale
    offsets = centered(logits, people)[:, shown]
    weights = torch.zeros(len(shown), inputs.shape[1], dtype=inputs.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = cross_entropy(offsets + inputs @ weights.T, shown_targets)
        loss = loss + _PENALTY * weights.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    weight = torch.zeros(logits.shape[1], inputs.shape[1], dtype=inputs.dtype)
    weight[shown] = weights.detach() / scale
    return weight, -weight @ statistics.mean(0)


def centered(values: Tensor, people: Tensor) -> Tensor:
    """Return the rows (M, …) less the mean over the same person, given the number of each one's."""
    return values - group_means(values, people)[people]


_LITTLE = 1e-6  # for movements that never change
