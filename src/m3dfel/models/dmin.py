"""DMIN: dynamic multi-instance normalization (Wang et al., CVPR 2023).

Inside DLIAM, between the self-attention and the gate. It keeps the instances of a bag consistent by
mixing two normalizations, one over the whole bag and one over the instances, with learned weights.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class DMIN(nn.Module):
    """Normalize a bag of instances: (B, N, C) → (B, N, C).

    Â_nc = (A_nc - Σ_k w_k μ_k) / sqrt(Σ_k w'_k σ²_k + ε) · γ_c + β_c,  k in {in, bn}

    μ_in and σ²_in are taken over the N instances, per channel; μ_bn and σ²_bn over all N·C values
    of the bag; w and w' are softmaxes of the learned λ and λ'. The paper prints ε outside the root;
    here it is inside, as in the published code, which keeps a bag of one value finite.

    Args:
        channels: C.
        unbiased: divide σ²_in by N - 1, as the published code does, instead of the paper's N; a bag
            of one instance has no such variance and gives NaN.
        eps: ε.
    """

    def __init__(self, channels: int, unbiased: bool = False, eps: float = 1e-5) -> None:
        super().__init__()
        self.unbiased = unbiased
        self.eps = eps
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))
        self.mean_lambda = nn.Parameter(torch.ones(2))  # λ: of the instances, of the bag
        self.var_lambda = nn.Parameter(torch.ones(2))  # λ'

    def forward(self, a: Float[Tensor, "B N C"]) -> Float[Tensor, "B N C"]:
        mean_in = a.mean(dim=1, keepdim=True)
        var_in = a.var(dim=1, keepdim=True, correction=int(self.unbiased))
        # Over the bag: E[a²] - E[a]², with E[a²] = E_c[σ²_in + μ_in²], which is the paper's
        # variance only when σ²_in is the biased one. Centered first, so that nothing cancels.
        mean_bn = mean_in.mean(dim=2, keepdim=True)
        var_bn = (var_in + (mean_in - mean_bn) ** 2).mean(dim=2, keepdim=True)

        w_in, w_bn = self.mean_lambda.softmax(0)
        v_in, v_bn = self.var_lambda.softmax(0)
        mean = w_in * mean_in + w_bn * mean_bn
        var = v_in * var_in + v_bn * var_bn
        return (a - mean) * torch.rsqrt(var + self.eps) * self.gamma + self.beta  # Â
