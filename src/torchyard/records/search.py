"""What is searched, what was tried, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torchyard.core.record import Json
from torchyard.records.training import Tuned

Choice = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The values that a search may give a setting.

    Attributes:
        kind: a ``number`` or a ``whole`` number from ``low`` to ``high``, both included, or a
            ``choice`` of some values.
        low: the smallest number.
        high: the largest one.
        log: whether equal ratios are equally likely at first, instead of equal differences.
        choices: values without an order.
    """

    kind: Literal["number", "whole", "choice"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Choice, ...] = ()

    @property
    def ends(self) -> tuple[Choice, ...]:
        """Every choice, or the smallest and the largest number."""
        if self.kind == "choice":
            return self.choices
        return tuple(int(end) if self.kind == "whole" else end for end in (self.low, self.high))

    @property
    def size(self) -> float:
        """How many values there are; infinite for numbers."""
        if self.kind == "number":
            return float("inf")
        return len(self.choices) if self.choices else int(self.high) - int(self.low) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """What a search may change: settings of ``ty.Training``, and keyword arguments of ``model``.

    ``trials`` is how many are tried in all unless the command says otherwise.
    """

    settings: dict[str, Range]
    model: dict[str, Range] = field(default_factory=dict)
    trials: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial that has ended.

    Attributes:
        number: from 1, in the order in which they ended.
        outcome: ``pruned`` is ended early, because it stood worse than half of those before it.
        value: the lowest validation loss; of a pruned trial, of the epochs it had; None of
            a failed one.
        settings: the chosen settings of training, by name.
        model: the chosen keyword arguments of the model.
        epochs: how many it was trained for.
        seconds: of wall time.
        reason: why it failed.
        run: its MLflow run.
    """

    number: int
    outcome: Literal["complete", "pruned", "failed"]
    value: float | None
    settings: dict[str, Json]
    model: dict[str, Json]
    epochs: int
    seconds: float
    reason: str
    run: str

    @property
    def chosen(self) -> dict[str, Json]:
        """All that it chose, arguments of the model as ``model.hidden``."""
        return {**self.settings, **{f"model.{name}": item for name, item in self.model.items()}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A search as far as it has come.

    Attributes:
        key: names it: a digest of everything that decides its results.
        run: its own MLflow run, which those of its trials lie under.
        inputs: what its results hold for: digests of data, features, split and code, and the
            settings of training that it does not change.
        space: what it may change.
        trials: those that have ended, in their order.
        importance: how much of the loss's variance each setting explains by itself, as shares that
            sum up to 1; none where there are too few trials to say.
        updated: when its last trial ended, UTC, ISO 8601.
    """

    key: str
    run: str
    inputs: dict[str, Json]
    space: SearchSpace
    trials: tuple[Trial, ...]
    importance: dict[str, float]
    updated: str

    @property
    def pruned(self) -> int:
        """How many trials were ended early."""
        return sum(one.outcome == "pruned" for one in self.trials)

    @property
    def failed(self) -> int:
        """How many trials failed."""
        return sum(one.outcome == "failed" for one in self.trials)

    @property
    def ranked(self) -> tuple[Trial, ...]:
        """The trials that were trained to their end, best first, the earlier of equals first."""
        complete = [one for one in self.trials if one.outcome == "complete"]
        return tuple(sorted(complete, key=lambda one: (one.value, one.number)))

    @property
    def best(self) -> Trial | None:
        """The trial with the lowest validation loss; None when none was trained to its end."""
        return self.ranked[0] if self.ranked else None

    @property
    def tuned(self) -> Tuned | None:
        """The best trial as a run that takes its settings records it."""
        best = self.best
        if best is None or best.value is None:
            return None
        return Tuned(
            study=self.key,
            trial=best.number,
            tried=len(self.trials),
            pruned=self.pruned,
            failed=self.failed,
            value=best.value,
            chosen={**best.settings, **({"model": best.model} if best.model else {})},
        )
