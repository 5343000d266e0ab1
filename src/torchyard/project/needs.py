"""What the words for features have in common: their record, and refusals of impossible sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchyard.core.errors import BadProject
from torchyard.records.training import Transform

Numbers = str | Transform


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


def need_at_least(value: int, least: int, *, where: str, name: str) -> None:
    """Refuse a size that is too small."""
    if value < least:
        raise BadProject(
            where=where,
            found=f"{name}={value}",
            expected=f"at least {least}",
            remedy=f"Raise {name}.",
        )


def need_parts(where: str, parts: Sequence[str], known: Sequence[str]) -> None:
    """Refuse parts of a time that are not known, and none at all."""
    if not parts or set(parts) - set(known):
        raise BadProject(
            where=where,
            found=f"parts {list(parts)}",
            expected=f"some of {list(known)}",
            remedy=f"For example '{known[0]}'.",
        )
