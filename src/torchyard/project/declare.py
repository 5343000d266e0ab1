"""The words of a project file: fields, features, splits, gates.

Each one returns a frozen record; nothing happens until a stage reads it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from torchyard.core.errors import BadProject
from torchyard.records.dataset import SplitRule
from torchyard.records.evidence import Gate
from torchyard.records.schema import Field, Task
from torchyard.records.schema import Schema as SchemaRecord
from torchyard.records.training import Transform

TIME_PARTS = ("hour", "weekday", "month")


def number(
    *,
    unit: str | None = None,
    ge: float | None = None,
    le: float | None = None,
    optional: bool = False,
    personal: bool = False,
    description: str = "",
) -> Field:
    """A real number in ``unit``, at least ``ge`` and at most ``le`` where given.

    Example:
        >>> number(unit="mph", ge=0, optional=True).unit
        'mph'
    """
    return _bounded(Field(
        name="", kind="number", unit=unit, ge=ge, le=le, optional=optional,
        personal=personal, description=description,
    ))  # fmt: skip


def integer(
    *,
    unit: str | None = None,
    ge: float | None = None,
    le: float | None = None,
    optional: bool = False,
    personal: bool = False,
    description: str = "",
) -> Field:
    """A whole number of at most 53 bits, at least ``ge`` and at most ``le`` where given."""
    return _bounded(Field(
        name="", kind="integer", unit=unit, ge=ge, le=le, optional=optional,
        personal=personal, description=description,
    ))  # fmt: skip


def boolean(
    *,
    optional: bool = False,
    protected: bool = False,
    personal: bool = False,
    description: str = "",
) -> Field:
    """True or false. ``protected=True`` judges fairness between the two groups."""
    return Field(
        name="", kind="boolean", optional=optional, protected=protected,
        personal=personal, description=description,
    )  # fmt: skip


def category(
    values: Sequence[str] = (),
    *,
    optional: bool = False,
    protected: bool = False,
    personal: bool = False,
    description: str = "",
) -> Field:
    """A short text. With ``values``, only those are accepted; without, any text is.

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
    return Field(
        name="", kind="category", values=allowed, optional=optional, protected=protected,
        personal=personal, description=description,
    )  # fmt: skip


def timestamp(*, optional: bool = False, personal: bool = False, description: str = "") -> Field:
    """A local date and time without an offset, as ISO 8601 in requests; microseconds are kept."""
    return Field(
        name="", kind="timestamp", optional=optional, personal=personal, description=description
    )


def Schema(**fields: Field) -> SchemaRecord:  # noqa: N802 - reads as the thing it makes
    """The raw fields of a row, by name, all of them known before the answer is.

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


def binary_classification(
    label: str, *, classes: tuple[str, str] | None = None, threshold: float = 0.5
) -> Task:
    """Predict a boolean column.

    Args:
        label: the boolean column of the data; rows where it is missing are not trained on.
        classes: what answers call its false and its true value; ``("not <label>", "<label>")``
            when left out.
        threshold: the calibrated probability from which the answer is the second class.

    Raises:
        BadProject: the threshold is not between 0 and 1, or the classes are the same.

    Example:
        >>> binary_classification("late", threshold=0.3).classes
        ('not late', 'late')
    """
    names = classes or (f"not {label}", label)
    if not 0 < threshold < 1:
        raise BadProject(
            where="ty.binary_classification(...)",
            found=f"threshold={threshold}",
            expected="a probability between 0 and 1",
            remedy="Leave it out for 0.5.",
        )
    if names[0] == names[1]:
        raise BadProject(
            where="ty.binary_classification(...)",
            found=f"classes={names}",
            expected="two different names",
            remedy="Name the false class first, then the true one.",
        )
    return Task(kind="binary_classification", label=label, classes=names, threshold=threshold)


def split_by_time(field: str, *, validation: str, test: str) -> SplitRule:
    """Train on rows before ``validation``, validate on rows before ``test``, test on the rest.

    Args:
        field: a timestamp of the schema.
        validation: ISO date or time where the validation part begins.
        test: ISO date or time where the test part begins.

    Raises:
        BadProject: the two are not ISO times, or not in that order.
    """
    try:
        ordered = datetime.fromisoformat(validation) < datetime.fromisoformat(test)
    except ValueError:
        ordered = False
    if not ordered:
        raise BadProject(
            where="ty.split_by_time(...)",
            found=f"validation={validation!r}, test={test!r}",
            expected="two ISO times, validation before test",
            remedy="Write them like '2013-08-01'.",
        )
    return SplitRule(by="time", fields=(field,), validation=validation, test=test)


def split_by_hash(*fields: str, validation: float = 0.15, test: float = 0.15) -> SplitRule:
    """Part rows by a digest of ``fields`` (all of them when none is named).

    A row keeps its part when the data grows, and equal rows land in the same part.

    Args:
        fields: name an entity's key to keep all its rows in one part.
        validation: share of rows, 0 to 1.
        test: share of rows, 0 to 1.

    Raises:
        BadProject: the shares leave nothing to train on.
    """
    if not (0 < validation < 1 and 0 < test < 1 and validation + test < 1):
        raise BadProject(
            where="ty.split_by_hash(...)",
            found=f"validation={validation}, test={test}",
            expected="two shares above 0 that add up to less than 1",
            remedy="Leave them out for 0.15 each.",
        )
    return SplitRule(by="hash", fields=fields, validation=str(validation), test=str(test))


def Features(**transforms: Transform) -> tuple[Transform, ...]:  # noqa: N802 - see Schema
    """The tensors a model takes, by the name of ``forward``'s parameter.

    Example:
        >>> features = Features(numbers=standardize("distance"), carrier=lookup("carrier"))
        >>> [transform.output for transform in features]
        ['numbers', 'carrier']
    """
    return tuple(
        dataclasses.replace(transform, output=name) for name, transform in transforms.items()
    )


def standardize(*fields: str) -> Transform:
    """Numbers minus their training mean, over their training deviation.

    Makes ``float32 [rows, width]``: one column per field in order, 0 where missing, then for each
    optional field a column that is 1 where it was missing.
    """
    return Transform(output="", operation="standardize", fields=fields)


def lookup(field: str, *, min_count: int = 1) -> Transform:
    """A category as an integer for an embedding.

    Makes ``int64 [rows]``: 0 unknown, 1 missing, from 2 on the categories that occur at least
    ``min_count`` times in the training split, the most frequent first.
    """
    return Transform(
        output="", operation="lookup", fields=(field,), options={"min_count": min_count}
    )


def cyclic_time(field: str, *parts: Literal["hour", "weekday", "month"]) -> Transform:
    """Points on a circle for recurring times, so that 23:59 lies next to 00:00.

    Makes ``float32 [rows, 2 * parts]``: cosine and sine per part, at the resolution of a minute
    (``hour``), a day (``weekday``) or a month (``month``); all 0 where the time is missing.
    """
    if not parts or set(parts) - set(TIME_PARTS):
        raise BadProject(
            where=f"ty.cyclic_time({field!r}, ...)",
            found=f"parts {list(parts)}",
            expected=f"some of {list(TIME_PARTS)}",
            remedy="For example ty.cyclic_time('scheduled', 'hour', 'weekday').",
        )
    return Transform(
        output="", operation="cyclic_time", fields=(field,), options={"parts": list(parts)}
    )


def gate(
    metric: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    group: str | None = None,
    per_slice: str | None = None,
    min_rows: int = 0,
    against: Literal["champion"] | None = None,
    drop_at_most: float | None = None,
    required: bool = True,
) -> Gate:
    """A limit that every shipped variant must clear with its whole 95 % interval.

    Args:
        metric: a metric of the report, for example ``auroc``.
        at_least: the smallest value that passes.
        at_most: the largest value that passes.
        group: the protected field between whose groups a fairness metric is taken.
        per_slice: judge each value of this field alone ...
        min_rows: ... that has at least this many test rows.
        against: ``"champion"`` compares on the same test rows with what serves now ...
        drop_at_most: ... and lets the metric be worse by at most this.
        required: False makes the verdict advice: it is shown and stops nothing.

    Raises:
        BadProject: not exactly one limit is given.

    Example:
        >>> gate("auroc", at_least=0.7).required
        True
    """
    limits = [limit for limit in (at_least, at_most, drop_at_most) if limit is not None]
    if len(limits) != 1 or (drop_at_most is None) != (against is None):
        raise BadProject(
            where=f"ty.gate({metric!r}, ...)",
            found=f"{len(limits)} limits" if against is None else f"against={against!r}",
            expected="at_least or at_most, or against='champion' with drop_at_most",
            remedy="Give one limit per gate.",
        )
    return Gate(
        metric=metric, at_least=at_least, at_most=at_most, group=group, per_slice=per_slice,
        min_rows=min_rows, against=against, drop_at_most=drop_at_most, required=required,
    )  # fmt: skip


def _bounded(field: Field) -> Field:
    if field.ge is not None and field.le is not None and field.ge > field.le:
        raise BadProject(
            where=f"ty.{field.kind}(...)",
            found=f"ge={field.ge} above le={field.le}",
            expected="ge at most le",
            remedy="Swap the two bounds.",
        )
    return field
