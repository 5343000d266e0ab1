"""The rules of a schema, one condition each: what a broken row looks like, and what it tells.

Conditions hold for a row alone. What needs several rows (uniqueness, labels) has files of its own.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal, Protocol

import polars as pl

from torchyard.core.errors import BadProject
from torchyard.data.checking.forms import form_breaker
from torchyard.data.checking.openable import cannot_open
from torchyard.data.checking.ranges import Range
from torchyard.data.checking.tensors import rows_where
from torchyard.records.schema import LARGEST_IMAGE_BYTES, Field, Schema

# 2**53: the largest whole number up to which a float64 input holds every integer exactly
_EXACT = 9_007_199_254_740_992
# up to so many values, comparing with each is faster than looking up in a set (measured)
_FEW = 8

MISSING = "is missing"
_OUTSIDE = "The schema allows no such value: mend it where it comes from, or widen the range."
Severity = Literal["quarantine", "warn", "fail"]
Test = Callable[[pl.Series], pl.Series]


@dataclass(frozen=True, slots=True)
class Condition:
    """A rule on one field.

    ``broken`` is true where a row breaks it (null counts as kept): an expression over the typed
    columns, or a function of the field's column where no expression can say it.

    The others save time, where they are there: no row breaks the rule if all values lie ``within``
    these bounds, inclusive; ``quick`` says the same as ``broken`` of rows that have a value.
    """

    rule: str
    field: str
    meaning: str
    broken: pl.Expr | Test
    within: Range | None = None
    quick: Test | None = None


def conditions(schema: Schema) -> list[Condition]:
    """Every rule of every field, in the schema's order.

    Raises:
        BadProject: a pattern uses what only Python's regular expressions know.
    """
    return [condition for field in schema.fields for condition in _of_field(field)]


def _of_field(field: Field) -> list[Condition]:
    found = []

    def add(
        rule: str, broken: pl.Expr | Test, meaning: str,
        within: Range | None = None, quick: Test | None = None,
    ) -> None:  # fmt: skip
        found.append(Condition(rule, field.name, meaning, broken, within, quick))

    if not field.optional:
        add(MISSING, pl.col(field.name).is_null(), "Every request must carry this field.")
    if field.kind in ("number", "integer"):
        _number_rules(field, add)
    elif field.kind in ("category", "text", "id"):
        _text_rules(field, add)
    elif field.kind == "timestamp":
        column = pl.col(field.name)
        add("is outside the years 1 to 9999", (column < datetime.min) | (column > datetime.max),
            "A request cannot carry such a time.")  # fmt: skip
    elif field.kind == "image":
        _picture_rules(field, add)
    elif field.kind == "tensor":
        _tensor_rules(field, add)
    return found


class _Add(Protocol):
    """Takes note of one more rule of a field."""

    def __call__(
        self, rule: str, broken: pl.Expr | Test, meaning: str,
        within: Range | None = None, quick: Test | None = None,
    ) -> None:  # fmt: skip
        """As the attributes of a ``Condition``."""


def _number_rules(field: Field, add: _Add) -> None:
    column = pl.col(field.name)
    unit = f" {field.unit}" if field.unit else ""
    if field.kind == "number":
        add("is infinite", column.is_infinite(), "A division or an overflow upstream.",
            within=(-sys.float_info.max, sys.float_info.max))  # fmt: skip
    else:
        # two comparisons: the absolute value of the smallest integer overflows
        add("is too large", (column > _EXACT) | (column < -_EXACT),
            "Above 2**53 neighbours become equal.",
            within=(-_EXACT, _EXACT))  # fmt: skip
    if field.ge is not None:
        add(f"is below {field.ge:g}{unit}", column < field.ge, _OUTSIDE,
            within=(field.ge, math.inf))  # fmt: skip
    if field.le is not None:
        add(f"is above {field.le:g}{unit}", column > field.le, _OUTSIDE,
            within=(-math.inf, field.le))  # fmt: skip


def _text_rules(field: Field, add: _Add) -> None:
    column = pl.col(field.name)
    if field.values:
        add("is not an allowed value", _not_among(column, field.values), _listed(field.values))
    if field.pattern is not None:
        whole = rust_pattern(field)
        add(f"does not match {field.pattern}", ~column.str.contains(whole),
            "Not of the form that the schema declares.",
            quick=form_breaker(field.pattern))  # fmt: skip
    if field.min_length is not None:
        short = column.str.len_chars() < field.min_length
        add(f"is shorter than {field.min_length} characters", short, "Cut off, or no text.")
    if field.max_length is not None:
        long = column.str.len_chars() > field.max_length
        add(f"is longer than {field.max_length} characters", long, "Two values in one?",
            quick=partial(_longer, most=field.max_length))  # fmt: skip


def _longer(texts: pl.Series, most: int) -> pl.Series:
    """Bytes are there to be read, characters must be counted: only where the bytes are too many."""
    longer = texts.str.len_bytes() > most
    doubtful = longer.arg_true()
    if doubtful.is_empty():
        return longer
    return longer.scatter(doubtful, texts.gather(doubtful).str.len_chars() > most)


def _picture_rules(field: Field, add: _Add) -> None:
    most = LARGEST_IMAGE_BYTES
    add(f"is larger than {most >> 20} MiB", lambda pictures: pictures.bin.size() > most,
        "A request with such a picture is refused.")  # fmt: skip
    add("cannot be opened as a picture", partial(cannot_open, most_bytes=most),
        "Damaged, cut off, of another format, or of too many pixels.")  # fmt: skip


def _tensor_rules(field: Field, add: _Add) -> None:
    import numpy as np

    add("holds elements that are not finite", rows_where(lambda values: ~np.isfinite(values)),
        "A division or an overflow upstream, or a missing element.")  # fmt: skip
    low, high = field.ge, field.le
    if low is not None:
        add(f"holds elements below {low:g}", rows_where(lambda values: values < low),
            _OUTSIDE)  # fmt: skip
    if high is not None:
        add(f"holds elements above {high:g}", rows_where(lambda values: values > high),
            _OUTSIDE)  # fmt: skip


def shape_rule(field: Field) -> str:
    """The rule that a tensor of another shape breaks; see ``fit_tensor``."""
    return f"is not of shape {list(field.shape)}"


def rust_pattern(field: Field) -> str:
    """The field's pattern for polars, whose regular expressions are Rust's, matching whole values.

    Raises:
        BadProject: the pattern uses what Rust's do not have: look-around, back references.
    """
    whole = rf"\A(?:{field.pattern})\z"
    try:
        pl.Series([""]).str.contains(whole)
    except pl.exceptions.ComputeError as error:
        reason = re.sub(r"\s+", " ", str(error)).strip()
        raise BadProject(
            where=f"schema, field '{field.name}'",
            found=f"pattern={field.pattern!r}, which polars cannot read: {reason}",
            expected="a regular expression without look-around and back references",
            remedy="Simplify it, or write the rule as a function: ty.rule(...).",
        ) from error
    return whole


def _not_among(column: pl.Expr, values: tuple[str, ...]) -> pl.Expr:
    if len(values) > _FEW:
        return ~column.is_in(list(values))
    differs = pl.lit(True)
    for value in values:
        differs = differs & (column != value)
    return differs


def _listed(values: tuple[str, ...]) -> str:
    shown = ", ".join(values[:20])
    return f"Allowed: {shown}{f' and {len(values) - 20} more' if len(values) > 20 else ''}."
