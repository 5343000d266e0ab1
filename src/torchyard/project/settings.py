"""What settings of a run and a service level may be."""

from __future__ import annotations

from collections.abc import Sequence

from torchyard.core.errors import BadProject, nearest
from torchyard.project.needs import need_at_least, need_types
from torchyard.records.evidence import VARIANT_FILES, Runtime
from torchyard.records.training import Training
from torchyard.records.verdicts import Objective

_LEAST = {
    "max_epochs": 1, "batch_size": 1, "patience": 1, "seed": 0, "memory_mib": 1, "accumulate": 1,
    "devices": 1,
}  # fmt: skip
_LARGEST_SEED = 2**32 - 1  # of scikit-learn, which fits the linear baseline
_KNOWN = {
    "precision": ("32-true", "16-mixed", "bf16-mixed"),
    "optimizer": ("adamw", "sgd"),
    "schedule": ("cosine", "linear", "constant"),
}


def check_training(training: Training) -> None:
    """Refuse settings that no run can have.

    Raises:
        BadProject: a setting is of another type, out of its range, or none of the known words.
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
        ("warmup", training.warmup, "0 to 1", 0 <= training.warmup <= 1),
        ("checkpoint_seconds", training.checkpoint_seconds, "at least 0",
         training.checkpoint_seconds >= 0),
        ("devices", training.devices, f"at most batch_size, {training.batch_size}",
         training.devices <= training.batch_size),
        ("accumulate", training.accumulate, f"at most batch_size, {training.batch_size}",
         training.accumulate <= training.batch_size),
    ):  # fmt: skip
        if not is_fine:
            raise _refused(where, name, found, expected)
    for name, known in _KNOWN.items():
        if getattr(training, name) not in known:
            raise _refused(where, name, getattr(training, name), f"one of {', '.join(known)}")


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


def checked_runtimes(runtimes: Sequence[Runtime]) -> tuple[Runtime, ...]:
    """What the model is built for, each once, in the order of ``VARIANT_FILES``.

    Raises:
        BadProject: it is nothing, or something that is not known.

    Example:
        >>> checked_runtimes(["openvino", "onnxruntime"])
        ('onnxruntime', 'openvino')
    """
    given = runtimes if isinstance(runtimes, (tuple, list)) else (runtimes,)
    for name in given or ("",):
        if name not in VARIANT_FILES:
            raise BadProject(
                where="runtimes",
                found=repr(name) if given else "none",
                expected=f"some of {', '.join(VARIANT_FILES)}",
                remedy=nearest(str(name), VARIANT_FILES),
            )
    return tuple(name for name in VARIANT_FILES if name in given)
