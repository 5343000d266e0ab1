"""What a test finds: a full point, half of one, or none, with its evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torchyard.readiness.known import Known
from torchyard.records.readiness import Answer

SHIP = "torchyard ship"


@dataclass(frozen=True, slots=True)
class Found:
    """An answer with its evidence; see ``ReadinessTest``."""

    answer: Answer
    evidence: str
    lacks: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """One of the 28 tests: what it asks for, and how it is answered."""

    id: str
    asks: str
    answer: Callable[[Known], Found]


def automatic(evidence: str) -> Found:
    """The evidence is made anew by every run or release, and says yes."""
    return Found("automatic", evidence)


def manual(evidence: str, lacks: str, remedy: str) -> Found:
    """Somebody asked for the evidence, or it holds in part."""
    return Found("manual", evidence, lacks, remedy)


def missing(lacks: str, remedy: str, *, evidence: str = "") -> Found:
    """There is no evidence, or it says no."""
    return Found("missing", evidence, lacks, remedy)


def no_release() -> Found:
    """Nothing was released, so nothing is known."""
    return missing("a sealed release", SHIP)
