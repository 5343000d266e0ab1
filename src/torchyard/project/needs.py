"""What every word of a project file needs: values of the types that its record declares, possible
sizes, finite numbers.

Python takes ``buckets=2.5`` or ``allow="log"`` (three letters) without a word. They are refused
where they are said, because a stage would trip over them an hour later.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from torchyard.core.errors import BadProject, BadRecord
from torchyard.core.record import Json, from_json, to_json
from torchyard.records.training import Transform

Numbers = str | Transform
RecordType = TypeVar("RecordType")


def numeric(operation: str, inputs: Sequence[Numbers], **options: Any) -> Transform:
    """A number transform's record.

    Raises:
        BadProject: there are no inputs.
    """
    if not inputs:
        raise BadProject(
            where=f"ty.{operation}(...)",
            found="no inputs",
            expected="at least one field or number transform",
            remedy=f"For example ty.{operation}('distance').",
        )
    return Transform(output="", operation=operation, inputs=tuple(inputs), options=options)


def need_types(record: RecordType, *, where: str) -> RecordType:
    """The record, if each of its values is of the type that it declares, and numbers are finite.

    Raises:
        BadProject: one is not.
    """
    try:
        content = to_json(record)
        from_json(type(record), content, where=where)
    except TypeError as error:
        raise _misfit(where, str(error), "plain Python values") from error
    except BadRecord as error:
        raise _misfit(error.where, error.found, error.expected) from error
    _need_finite(content, where)
    return record


def need_at_least(value: int, least: int, *, where: str, name: str) -> None:
    """Refuse what is no whole number, and a size that is too small."""
    if type(value) is not int:
        raise _misfit(where, f"{name}={value!r}", "a whole number")
    if value < least:
        raise BadProject(
            where=where,
            found=f"{name}={value}",
            expected=f"at least {least}",
            remedy=f"Raise {name}.",
        )


def need_between(value: int, least: int, most: int, *, where: str, name: str) -> None:
    """Refuse what is no whole number, a size that is too small, and one that takes all memory."""
    need_at_least(value, least, where=where, name=name)
    need_at_most(value, most, where=where, name=name)


def need_at_most(size: int, most: int, *, where: str, name: str) -> None:
    """Refuse a size above a limit of ``records/sizes.py``."""
    if size > most:
        raise BadProject(
            where=where,
            found=f"{name}={size}",
            expected=f"at most {most:,}",
            remedy=f"Lower {name}: more would take all memory.",
        )


def is_number(value: object) -> bool:
    """Whether it is a finite number; true and false are none."""
    return isinstance(value, (int, float)) and type(value) is not bool and math.isfinite(value)


def need_numbers(where: str, **values: float | None) -> None:
    """Refuse what is neither None nor a finite number."""
    for name, value in values.items():
        if value is not None and not is_number(value):
            raise _misfit(where, f"{name}={value!r}", "a finite number")


def list_of_numbers(values: Sequence[float], *, where: str, name: str) -> list[float]:
    """Several finite numbers.

    Raises:
        BadProject: it is a single one, or holds something else.
    """
    if not isinstance(values, Iterable):
        raise _misfit(where, f"{name}={values!r}", "a list of numbers")
    for value in values:
        need_numbers(where, **{name: value})
    return [float(value) for value in values]


def need_edges(values: Sequence[float], *, where: str, name: str) -> tuple[float, ...]:
    """Edges between bands as a tuple of floats: finite, each above the one before; or none.

    Raises:
        BadProject: it is ``True``, a single number, or they do not rise.
    """
    several = isinstance(values, Sequence) and all(map(is_number, values))
    if not several or any(low >= high for low, high in pairwise(values)):
        raise BadProject(
            where=where,
            found=f"{name}={values!r}",
            expected="rising numbers, the edges between bands",
            remedy=f"Write it like {name}=[18, 65]: under 18, 18 to under 65, 65 or more.",
        )
    return tuple(map(float, values))


def need_texts(values: Sequence[str], *, where: str, name: str) -> tuple[str, ...]:
    """Several texts as a tuple.

    Raises:
        BadProject: it is a single text, whose letters would be taken, or holds something else.
    """
    several = isinstance(values, Sequence) and not isinstance(values, str)
    if not several or not all(isinstance(value, str) for value in values):
        raise BadProject(
            where=where,
            found=f"{name}={values!r}",
            expected="a list of texts",
            remedy=f"Write it like {name}=['a', 'b'].",
        )
    return tuple(values)


def need_parts(where: str, parts: Sequence[str], known: Sequence[str]) -> None:
    """Refuse parts of a time that are not known, and none at all."""
    if not parts or any(part not in known for part in parts):
        raise BadProject(
            where=where,
            found=f"parts {list(parts)}",
            expected=f"some of {list(known)}",
            remedy=f"For example '{known[0]}'.",
        )


def _need_finite(value: Json, where: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise _misfit(where, str(value), "a finite number")
    inside = value.items() if isinstance(value, dict) else ()
    for name, item in inside:
        _need_finite(item, f"{where}.{name}")
    for place, item in enumerate(value if isinstance(value, list) else ()):
        _need_finite(item, f"{where}[{place}]")


def _misfit(where: str, found: str, expected: str) -> BadProject:
    return BadProject(
        where=where, found=found, expected=expected, remedy="Give it a value of that kind."
    )
