"""Random numbers that depend on (seed, epoch, clip) and on nothing else.

So a run gives the same numbers whatever the number of workers or processes, and after resuming.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def combine_seeds(*numbers: int) -> int:
    """Return one seed for several numbers; neighboring numbers give unrelated seeds."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generator inside the block, and restore its state afterwards."""
    state = torch.get_rng_state()
    # `torch.manual_seed` would also record a traceback each time, which is slow.
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(state)
