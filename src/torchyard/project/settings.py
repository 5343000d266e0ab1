"""What settings of a run and a service level may be."""

from __future__ import annotations

from torchyard.core.errors import BadProject
from torchyard.project.needs import need_at_least, need_types
from torchyard.records.evidence import Objective
from torchyard.records.training import Training

_LEAST = {"max_epochs": 1, "batch_size": 1, "patience": 1, "seed": 0, "memory_mib": 1}
_LARGEST_SEED = 2**32 - 1  # of scikit-learn, which fits the linear baseline
_PRECISIONS = ("32-true", "16-mixed", "bf16-mixed")


def check_training(training: Training) -> None:
    """Refuse settings that no run can have.

    Raises:
        BadProject: a setting is of another type or out of its range, or the precision is unknown.
    """
    where = "ty.Training(...)"
    need_types(training, where=where)
    for name, least in _LEAST.items():
        need_at_least(getattr(training, name), least, where=where, name=name)
    for name in ("learning_rate", "clip_norm"):
        _need_above_0(getattr(training, name), where, name)
    for name, found, expected, is_fine in (
        ("weight_decay", training.weight_decay, "at least 0", training.weight_decay >= 0),
        ("seed", training.seed, f"at most {_LARGEST_SEED:,}", training.seed <= _LARGEST_SEED),
        ("precision", training.precision, f"one of {', '.join(_PRECISIONS)}",
         training.precision in _PRECISIONS),
    ):  # fmt: skip
        if not is_fine:
            raise _refused(where, name, found, expected)


def check_objective(objective: Objective) -> None:
    """Refuse a service level that nothing can meet.

    Raises:
        BadProject: a bound is of another type, or not above 0.
    """
    where = "ty.Objective(...)"
    need_types(objective, where=where)
    for name in ("p99_ms", "max_size_mb"):
        _need_above_0(getattr(objective, name), where, name)


def _need_above_0(value: float | None, where: str, name: str) -> None:
    if value is not None and value <= 0:
        raise _refused(where, name, value, "above 0")


def _refused(where: str, name: str, found: object, expected: str) -> BadProject:
    return BadProject(
        where=where,
        found=f"{name}={found!r}",
        expected=expected,
        remedy=f"Leave {name} out for its default.",
    )
