"""What a transform is to the fitter and to the graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torchyard.features.graph import Made, Path, Place
from torchyard.features.learn import Learner
from torchyard.records.schema import Schema
from torchyard.records.training import Transform


@dataclass(frozen=True, slots=True)
class Operation:
    """One transform.

    Attributes:
        write: writes it into the graph.
        learner: what it learns with from the training rows; None from it when these options leave
            nothing to learn.
        neutral: what stands where a number is missing, when it is the outermost transform.
    """

    write: Callable[[Place], Made]
    learner: Callable[[Transform, Path, Schema], Learner[Any] | None] = lambda *_: None
    neutral: float = 0.0
