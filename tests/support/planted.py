"""Planted models: each a rule in numpy, so that what fails is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from torchyard.behaviours import Trial

Array = np.ndarray[Any, np.dtype[Any]]
Rule = Callable[[pl.DataFrame], Array]
Planted = Callable[..., Trial]
ROWS = 200


def constant(frame: pl.DataFrame) -> Array:
    return np.full(frame.height, 0.3)


def by_speed(frame: pl.DataFrame) -> Array:
    return frame["speed"].to_numpy() / 10
