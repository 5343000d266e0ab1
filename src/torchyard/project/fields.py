"""The words of a project file for what a row holds: one per kind of field, and the schema.

Each one returns a frozen record; nothing happens until a stage reads it. All of them take:

- ``optional``: the value may be missing;
- ``personal``: it reaches neither a feature nor a prediction log, unless ``allow`` names that use;
- ``later``: not known when a prediction is asked for, so never a feature nor part of a request;
- ``description``: a sentence for the model card.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Literal

from torchyard.core.errors import BadProject
from torchyard.records.schema import Field, FieldKind, PersonalUse
from torchyard.records.schema import Schema as SchemaRecord

Allow = Sequence[PersonalUse]


def number(
    *,
    unit: str | None = None,
    ge: float | None = None,
    le: float | None = None,
    optional: bool = False,
    personal: bool = False,
    allow: Allow = (),
    later: bool = False,
    description: str = "",
) -> Field:
    """A real number in ``unit``, at least ``ge`` and at most ``le`` where given.

    Example:
        >>> number(unit="mph", ge=0, optional=True).unit
        'mph'
    """
    return _field("number", unit=unit, ge=ge, le=le, optional=optional, personal=personal,
                  allow=allow, later=later, description=description)  # fmt: skip


def integer(
    *,
    unit: str | None = None,
    ge: float | None = None,
    le: float | None = None,
    unique: bool = False,
    optional: bool = False,
    personal: bool = False,
    allow: Allow = (),
    later: bool = False,
    description: str = "",
) -> Field:
    """A whole number of at most 53 bits, at least ``ge`` and at most ``le`` where given."""
    return _field("integer", unit=unit, ge=ge, le=le, unique=unique, optional=optional,
                  personal=personal, allow=allow, later=later, description=description)  # fmt: skip


def boolean(
    *,
    optional: bool = False,
    protected: bool = False,
    personal: bool = False,
    allow: Allow = (),
    later: bool = False,
    description: str = "",
) -> Field:
    """True or false. ``protected=True`` judges fairness between the two groups."""
    return _field("boolean", optional=optional, protected=protected, personal=personal,
                  allow=allow, later=later, description=description)  # fmt: skip


def category(
    values: Sequence[str] = (),
    *,
    pattern: str | None = None,
    max_length: int | None = None,
    optional: bool = False,
    protected: bool = False,
    personal: bool = False,
    allow: Allow = (),
    later: bool = False,
    description: str = "",
) -> Field:
    """A short text from a limited set. With ``values``, only those are accepted.

    Args:
        values: the allowed ones; any text when left out.
        pattern: a regular expression that the whole value must match.
        max_length: most characters.
        optional: the value may be missing.
        protected: fairness is judged between its values.
        personal: see the module.
        allow: see the module.
        later: see the module.
        description: for the model card.

    Raises:
        BadProject: ``values`` repeats one, or holds an empty text (which stands for missing).
    """
    allowed = tuple(values)
    if len(set(allowed)) != len(allowed) or "" in allowed:
        raise BadProject(
            where="ty.category(...)",
            found=f"values {list(allowed)}",
            expected="different, non-empty texts",
            remedy="List each value once; use optional=True for missing ones.",
        )
    return _field("category", values=allowed, pattern=pattern, max_length=max_length,
                  optional=optional, protected=protected, personal=personal, allow=allow,
                  later=later, description=description)  # fmt: skip


def timestamp(
    *,
    optional: bool = False,
    personal: bool = False,
    allow: Allow = (),
    later: bool = False,
    description: str = "",
) -> Field:
    """A local date and time without an offset, as ISO 8601 in requests; microseconds are kept."""
    return _field("timestamp", optional=optional, personal=personal, allow=allow, later=later,
                  description=description)  # fmt: skip


def text(
    *,
    pattern: str | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
    optional: bool = False,
    personal: bool = False,
    allow: Allow = (),
    later: bool = False,
    description: str = "",
) -> Field:
    """Free text: words that a person wrote. Lengths count characters.

    Example:
        >>> text(max_length=5000).kind
        'text'
    """
    return _field("text", pattern=pattern, min_length=min_length, max_length=max_length,
                  optional=optional, personal=personal, allow=allow, later=later,
                  description=description)  # fmt: skip


def image(
    *,
    optional: bool = False,
    personal: bool = False,
    allow: Allow = (),
    later: bool = False,
    description: str = "",
) -> Field:
    """An encoded picture (PNG, JPEG, WebP, ...): bytes in data, base64 text in requests."""
    return _field("image", optional=optional, personal=personal, allow=allow, later=later,
                  description=description)  # fmt: skip


def tensor(
    shape: Sequence[int],
    *,
    dtype: Literal["float32", "int64"] = "float32",
    ge: float | None = None,
    le: float | None = None,
    personal: bool = False,
    allow: Allow = (),
    description: str = "",
) -> Field:
    """Numbers in a fixed shape, never missing: nested lists in data and in requests.

    Args:
        shape: of one row, for example ``(3, 32, 32)``.
        dtype: of its elements.
        ge: the least that every element may be.
        le: the most that every element may be.
        personal: see the module.
        allow: see the module.
        description: for the model card.

    Raises:
        BadProject: the shape is empty or has a size below 1.
    """
    if not shape or min(shape) < 1:
        raise BadProject(
            where="ty.tensor(...)",
            found=f"shape={tuple(shape)}",
            expected="sizes of at least 1",
            remedy="For one value per row use ty.number().",
        )
    return _field("tensor", shape=tuple(shape), dtype=dtype, ge=ge, le=le, personal=personal,
                  allow=allow, description=description)  # fmt: skip


def id(
    *,
    pattern: str | None = None,
    unique: bool = False,
    optional: bool = False,
    personal: bool = False,
    allow: Allow = (),
    later: bool = False,
    description: str = "",
) -> Field:
    """What names an entity: a text that groups rows and joins tables, but measures nothing."""
    return _field("id", pattern=pattern, unique=unique, optional=optional, personal=personal,
                  allow=allow, later=later, description=description)  # fmt: skip


def Schema(**fields: Field) -> SchemaRecord:  # noqa: N802 - reads as the thing it makes
    """The raw fields of a row, by name.

    Example:
        >>> Schema(distance=number(unit="miles"), carrier=category()).names
        ('distance', 'carrier')
    """
    if not fields:
        raise BadProject(
            where="ty.Schema(...)",
            found="no fields",
            expected="at least one field",
            remedy="Declare what a row holds, for example distance=ty.number().",
        )
    return SchemaRecord(
        fields=tuple(dataclasses.replace(field, name=name) for name, field in fields.items())
    )


def _field(kind: FieldKind, *, allow: Allow, personal: bool, **rules: object) -> Field:
    field = Field(name="", kind=kind, personal=personal, allow=tuple(allow), **rules)  # type: ignore[arg-type]
    where = f"ty.{kind}(...)"
    for low, high, names in (
        (field.ge, field.le, ("ge", "le")),
        (field.min_length, field.max_length, ("min_length", "max_length")),
    ):
        if low is not None and high is not None and low > high:
            raise BadProject(
                where=where,
                found=f"{names[0]}={low} above {names[1]}={high}",
                expected=f"{names[0]} at most {names[1]}",
                remedy="Swap the two bounds.",
            )
    if field.allow and not personal:
        raise BadProject(
            where=where,
            found=f"allow={list(field.allow)} on a field that is not personal",
            expected="allow= beside personal=True",
            remedy="Leave allow= out: only personal fields need it.",
        )
    if field.pattern is not None:
        _check_pattern(where, field.pattern)
    return field


def _check_pattern(where: str, pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise BadProject(
            where=where,
            found=f"pattern={pattern!r}: {error}",
            expected="a regular expression",
            remedy="Test it with re.fullmatch.",
        ) from error
