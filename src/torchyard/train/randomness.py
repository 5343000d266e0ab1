"""Random number generators: seeded together, and their states as plain values.

What depends on chance in a training run draws from these: torch on the CPU and on accelerators,
numpy's global generator, Python's ``random``. The order of rows does not: see ``feed.shuffled``.
"""

from __future__ import annotations

import random

import numpy as np

from torchyard.train.packing import Plain


def seed_everything(seed: int) -> None:
    """Seed every generator that a module or a loop may draw from; ``seed`` is 0 to 2**32 - 1."""
    import torch

    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def random_state() -> Plain:
    """Where every generator stands, as plain values."""
    import torch

    return {
        "torch": torch.get_rng_state(),
        # of this process's device alone: others may be of other processes, or not here next time
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "numpy": np.random.get_state(legacy=False),
        "python": random.getstate(),
    }


def restore_random_state(state: Plain) -> None:
    """Put every generator back to where it stood when ``random_state`` gave ``state``."""
    import torch

    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    np.random.set_state(state["numpy"])
    random.setstate(state["python"])
