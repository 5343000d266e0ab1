"""How ready a model is for production: the 28 tests of the ML Test Score (Breck et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Answer = Literal["automatic", "manual", "missing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessTest:
    """One of the 28 tests and what answers it.

    Attributes:
        id: ``D1`` to ``D7``, ``M1`` to ``M7``, ``I1`` to ``I7``, ``Mo1`` to ``Mo7``.
        question: what the test asks for.
        answer: ``automatic`` where the evidence is made anew by every run or release, ``manual``
            where somebody asked for it or it holds in part, ``missing`` where there is none or it
            says no.
        evidence: what was found, and where; empty for none.
        lacks: what a full point still needs; empty for nothing.
        remedy: how to get it.
    """

    id: str
    question: str
    answer: Answer
    evidence: str
    lacks: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """The score by the paper's rule, and the tests that it comes from.

    ``sections`` hold the points of ``data``, ``model``, ``infrastructure`` and ``monitoring``, 0 to
    7 each; ``score`` is the smallest of them. ``reading`` is what the paper says of such a score.
    """

    score: float
    sections: dict[str, float]
    reading: str
    tests: tuple[ReadinessTest, ...]
