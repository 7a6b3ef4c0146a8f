"""Write an aggregation, train it for a moment on drawn faces, and show its evidence."""

import sys

import torch

from m3dfel import M3DFEL, IntensityAwareLoss
from m3dfel.models.aggregation import Aggregation
from m3dfel.models.aggregations import AGGREGATIONS
from m3dfel.models.pooling import MeanPooling
from m3dfel.synthetic.clips import render, synthetic_clips


@AGGREGATIONS.register("neighbors")
class Neighbors(Aggregation):
    def __init__(self, features: int, bag_size: int) -> None:
        super().__init__(features, MeanPooling())
        self.conv = torch.nn.Conv1d(features, features, kernel_size=3, padding=1)

    def relate(self, features: torch.Tensor) -> torch.Tensor:  # (B, N, F) → (B, N, F)
        return features + self.conv(features.transpose(1, 2)).transpose(1, 2).relu()


torch.manual_seed(0)
small = {"width": 16, "depth": 10}
model = M3DFEL(["happiness", "anger"], size=32, aggregation="neighbors", backbone_options=small)
clips = synthetic_clips(seed=0, identities=range(41), per_emotion=1, labels=model.labels)
frames = torch.stack([torch.tensor(render(clip, range(0, 32, 2), 32)) for clip in clips])
inputs, targets = frames.movedim(-1, 2), torch.arange(len(clips)) % 2
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for _ in range(int(sys.argv[1]) if sys.argv[1:] else 150):
    batch = torch.randint(len(clips) - 2, (8,))  # never the last person
    logits = model(inputs[batch])
    loss = torch.nn.functional.cross_entropy(logits, targets[batch])
    (loss + 0.1 * IntensityAwareLoss()(logits, targets[batch])).backward()
    optimizer.step()
    optimizer.zero_grad()
for clip, evidence in zip(clips[-2:], model.eval().explain(inputs[-2:])[1], strict=True):
    print(f"{clip.emotion}: evidence of each instance for {model.labels}:\n{evidence.data}")
