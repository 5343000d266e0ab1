"""A behaviour as the project file declares it: its record, and the function that belongs to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torchyard.core.errors import BadProject
from torchyard.core.record import Json
from torchyard.project.needs import need_between, need_numbers, need_types
from torchyard.records.behaviours import Behaviour, BehaviourKind

_MOST_ROWS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """A behaviour as the project file declares it, and the function that belongs to it, if any.

    ``function`` judges rows (``ty.behaviour``), gives rows, or selects them (``ty.minimum``).
    """

    behaviour: Behaviour
    function: Callable[..., Any] | None = None


def expectation(
    where: str,
    kind: BehaviourKind,
    name: str,
    says: str,
    fields: tuple[str, ...],
    options: dict[str, Json],
    rows: int,
    *,
    name_of_rows: str = "rows",
) -> Expectation:
    """A behaviour without a function, of at most some rows, its values of their types."""
    need_between(rows, 1, _MOST_ROWS, where=where, name=name_of_rows)
    options = {**options, "rows": rows}
    made = Behaviour(name=name, kind=kind, says=says, fields=fields, options=options)
    return Expectation(behaviour=need_types(made, where=where))


def need_tolerance(where: str, tolerance: float | None) -> float | None:
    """How far an answer may move, refused below 0."""
    need_numbers(where, tolerance=tolerance)
    if tolerance is not None and tolerance < 0:
        raise BadProject(
            where=where, found=f"tolerance={tolerance}", expected="0 or more",
            remedy="It is how far an answer may move, in either direction.",
        )  # fmt: skip
    return tolerance
