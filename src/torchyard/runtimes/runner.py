"""What a runtime is to a model: something that answers named arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from torchyard.core.errors import NotReady

Array = np.ndarray[Any, np.dtype[Any]]
Answers = np.ndarray[Any, np.dtype[np.float32]]

OUTPUTS = ("probabilities", "predictions")


class Runner(Protocol):
    """An opened file of some runtime. ``run`` may be called from several threads at once."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the arrays that it takes."""

    @property
    def output(self) -> str:
        """What it answers with: one of ``OUTPUTS``."""

    def run(self, feed: Mapping[str, Array]) -> Answers:
        """Answer some rows; it may raise anything."""


def missing(library: str, extra: str, *, where: str) -> NotReady:
    """The refusal of a file whose runtime is not installed."""
    return NotReady(
        where=where,
        found=f"no {library}",
        expected=f"the library {library}, which runs this variant",
        remedy=f"Install it with: pip install 'torchyard[{extra}]'",
    )
