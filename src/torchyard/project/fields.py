"""The words of a project file for what a row holds: one per kind of field, and the schema.

Each one returns a frozen record; nothing happens until a stage reads it. An argument means the same
wherever it is taken:

- ``optional``: the value may be missing (a tensor never is);
- ``personal``: it reaches neither a feature nor a prediction log, unless ``allow`` names that use;
- ``later``: not known when a prediction is asked for, so never a feature nor part of a request;
- ``description``: a sentence for the model card;
- ``unit``: of a number; ``ge`` and ``le``: the least and the most that it may be;
- ``pattern``: a regular expression that the whole text must match; ``min_length``, ``max_length``:
  its least and most characters;
- ``unique``: no two rows have the same value;
- ``protected``: fairness is judged between the groups of rows with the same value; of a number,
  between the bands that its rising edges part, ``protected=[18, 65]``; of a timestamp, its year.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from typing import Any, Literal

from torchyard.core.errors import BadProject
from torchyard.project.needs import (
    need_at_least,
    need_at_most,
    need_edges,
    need_texts,
    need_types,
)
from torchyard.records.schema import FIELD_NAME, Field, FieldKind, PersonalUse, may_be_named
from torchyard.records.schema import Schema as SchemaRecord
from torchyard.records.sizes import MOST_VALUES

Allow = Sequence[PersonalUse]

_BANDED: tuple[FieldKind, ...] = ("number", "integer", "timestamp")


def number(
    *,
    unit: str | None = None,
    ge: float | None = None,
    le: float | None = None,
    optional: bool = False,
    protected: Sequence[float] = (),
    personal: bool = False,
    allow: Allow = (),
    later: bool = False,
    description: str = "",
) -> Field:
    """A real number in ``unit``, at least ``ge`` and at most ``le`` where given.

    Raises:
        BadProject: ``protected`` are not rising numbers.

    Example:
        >>> number(unit="mph", ge=0, optional=True).unit
        'mph'
    """
    return _field("number", **locals())


def integer(
    *,
    unit: str | None = None,
    ge: float | None = None,
    le: float | None = None,
    unique: bool = False,
    optional: bool = False,
    protected: Sequence[float] = (),
    personal: bool = False,
    allow: Allow = (),
    later: bool = False,
    description: str = "",
) -> Field:
    """A whole number of at most 53 bits, at least ``ge`` and at most ``le`` where given.

    Example:
        >>> integer(unit="years", protected=[18, 65]).group_names
        ('under 18', '18 to under 65', '65 or more')

    Raises:
        BadProject: ``protected`` are not rising numbers.
    """
    return _field("integer", **locals())


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
    return _field("boolean", **locals())


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

    ``pattern`` and ``max_length`` are for a set that is not listed. ``protected=True`` judges
    fairness between the values.

    Raises:
        BadProject: ``values`` repeats one, holds an empty text (which stands for missing), or one
            that breaks the pattern or the length.
    """
    field = _field("category", **locals())
    if len(set(field.values)) != len(field.values) or "" in field.values:
        raise BadProject(
            where="ty.category(...)",
            found=f"values {list(field.values)}",
            expected="different, non-empty texts",
            remedy="List each value once; use optional=True for missing ones.",
        )
    _check_values(field)
    return field


def timestamp(
    *,
    optional: bool = False,
    protected: Sequence[float] = (),
    personal: bool = False,
    allow: Allow = (),
    later: bool = False,
    description: str = "",
) -> Field:
    """A local date and time without an offset, as ISO 8601 in requests; microseconds are kept.

    Raises:
        BadProject: ``protected`` are not rising years.
    """
    return _field("timestamp", **locals())


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
    return _field("text", **locals())


def image(
    *,
    optional: bool = False,
    personal: bool = False,
    allow: Allow = (),
    later: bool = False,
    description: str = "",
) -> Field:
    """An encoded picture (PNG, JPEG, WebP, ...): bytes in data, base64 text in requests."""
    return _field("image", **locals())


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

    ``shape`` is of one row, for example ``(3, 32, 32)``; ``ge`` and ``le`` bound every element.

    Raises:
        BadProject: the shape is empty, has a size below 1, or holds more than 16,777,216 numbers.
    """
    if not (isinstance(shape, Sequence) and shape and all(map(_is_size, shape))):
        raise BadProject(
            where="ty.tensor(...)",
            found=f"shape={shape!r}",
            expected="whole sizes of at least 1, such as (3, 32, 32)",
            remedy="For one value per row use ty.number().",
        )
    need_at_most(math.prod(shape), MOST_VALUES, where="ty.tensor(...)", name="values of a row")
    shape = tuple(shape)
    return _field("tensor", **locals())


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
    return _field("id", **locals())


def Schema(**fields: Field) -> SchemaRecord:  # noqa: N802 - reads as the thing it makes
    """The raw fields of a row, by name.

    Example:
        >>> Schema(distance=number(unit="miles"), carrier=category()).names
        ('distance', 'carrier')

    Raises:
        BadProject: there are no fields, one is not made by a word such as ``ty.number()``, or its
            name cannot be used in requests and logs.
    """
    if not fields:
        raise BadProject(
            where="ty.Schema(...)",
            found="no fields",
            expected="at least one field",
            remedy="Declare what a row holds, for example distance=ty.number().",
        )
    for name, field in fields.items():
        if not isinstance(field, Field):
            raise BadProject(
                where=f"ty.Schema(..., {name}=)",
                found=repr(field),
                expected="a field",
                remedy=f"For example {name}=ty.number().",
            )
        if not may_be_named(name):
            raise BadProject(
                where="ty.Schema(...)",
                found=f"a field named {name!r}",
                expected=FIELD_NAME,
                remedy="Rename the column where the data is read.",
            )
    return SchemaRecord(
        fields=tuple(dataclasses.replace(field, name=name) for name, field in fields.items())
    )


def _field(kind: FieldKind, **given: Any) -> Field:
    """What a word was given, checked. Words hand on their ``locals()``, so nothing is forgotten."""
    where = f"ty.{kind}(...)"
    for name in ("allow", "values"):
        given[name] = need_texts(given.get(name, ()), where=where, name=name)
    if kind in _BANDED:
        given["bands"] = need_edges(given["protected"], where=where, name="protected")
        given["protected"] = bool(given["bands"])
    field = need_types(Field(name="", kind=kind, **given), where=where)
    for name, least in (("min_length", 0), ("max_length", 1)):
        if getattr(field, name) is not None:
            need_at_least(getattr(field, name), least, where=where, name=name)
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
    if field.allow and not field.personal:
        raise BadProject(
            where=where,
            found=f"allow={list(field.allow)} on a field that is not personal",
            expected="allow= beside personal=True",
            remedy="Leave allow= out: only personal fields need it.",
        )
    if field.pattern is not None:
        _check_pattern(where, field.pattern)
    return field


def _is_size(size: object) -> bool:
    return type(size) is int and size >= 1


def _check_values(field: Field) -> None:
    for value in field.values:
        fits = field.pattern is None or re.fullmatch(field.pattern, value)
        if not fits or len(value) > (field.max_length or len(value)):
            raise BadProject(
                where="ty.category(...)",
                found=f"the value '{value}'",
                expected="values that obey the field's pattern and max_length",
                remedy="Leave pattern and max_length out: values says it all.",
            )


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
