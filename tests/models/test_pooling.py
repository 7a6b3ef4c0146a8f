import torch

from m3dfel.models.pooling import AttentionPooling


def test_gated_attention_follows_the_formula_of_its_paper():
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
