"""Validation: every rule of the schema over every row, as polars expressions.

All findings are collected. Rows that break a rule are set aside, never silently dropped; a table
that lacks a field or holds the wrong type is refused whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from torchyard.core.errors import BadData, nearest
from torchyard.records.dataset import Finding
from torchyard.records.schema import Field, FieldKind, Schema

EXAMPLES = 5
# 2**53: the largest whole number up to which a float64 input holds every integer exactly
_EXACT = 9_007_199_254_740_992
_TYPES: dict[FieldKind, tuple[pl.DataType, str]] = {
    "number": (pl.Float64(), "numbers"),
    "integer": (pl.Int64(), "whole numbers"),
    "boolean": (pl.Boolean(), "true or false"),
    "category": (pl.String(), "texts"),
    "timestamp": (pl.Datetime("us"), "local dates and times"),
}


@dataclass(frozen=True, slots=True)
class Checked:
    """Rows that fit, rows set aside (with the rules they broke in ``broke``), and why."""

    accepted: pl.DataFrame
    quarantined: pl.DataFrame
    findings: tuple[Finding, ...]


def check(frame: pl.DataFrame, schema: Schema, *, label: str | None, source: str) -> Checked:
    """Hold a table against a schema.

    Args:
        frame: the rows as read.
        schema: the fields and their rules.
        label: the boolean column to keep beside the fields; it may be missing in some rows.
        source: what errors call the table.

    Raises:
        BadData: a column is missing, of another type, or holds no value at all; or no row fits.
    """
    typed, dropped = _typed(frame, schema, label, source)
    rules = [rule for field in schema.fields for rule in _rules(field)]
    broken = typed.select(
        expression.fill_null(False).alias(str(place))
        for place, (_, _, expression, _) in enumerate(rules)
    )
    findings = [
        _finding(typed, broken[str(place)], rule=name, field=field, meaning=meaning)
        for place, (name, field, _, meaning) in enumerate(rules)
        if broken[str(place)].any()
    ]
    bad = broken.select(pl.any_horizontal(pl.all()))[:, 0] if rules else None
    if bad is None or not bad.any():
        accepted, quarantined = typed, typed.clear()
    else:
        reasons = broken.select(
            pl.concat_list(
                pl.when(pl.col(str(place))).then(pl.lit(f"{field.name}: {name}"))
                for place, (name, field, _, _) in enumerate(rules)
            )
            .list.drop_nulls()
            .list.join("; ")
            .alias("broke")
        )
        accepted = typed.filter(~bad)
        quarantined = typed.hstack(reasons).filter(bad)
    if accepted.is_empty():
        raise BadData(
            where=source,
            found=f"no row of {frame.height} that fits the schema",
            expected="at least one",
            remedy="; ".join(f"{item.field} {item.rule}: {item.rows} rows" for item in findings)
            or "Add rows.",
        )
    return Checked(accepted, quarantined, (*findings, *_ignored(dropped, frame.height)))


def _typed(
    frame: pl.DataFrame, schema: Schema, label: str | None, source: str
) -> tuple[pl.DataFrame, list[str]]:
    """The schema's columns in its order and types, and the names of columns it does not know."""
    wanted = [*schema.fields]
    if label is not None:
        wanted.append(Field(name=label, kind="boolean", optional=True))
    columns = []
    for field in wanted:
        if field.name not in frame.columns:
            raise BadData(
                where=f"{source}, column '{field.name}'",
                found="no such column",
                expected=_TYPES[field.kind][1],
                remedy=nearest(field.name, frame.columns),
            )
        columns.append(_cast(frame[field.name], field, source))
    typed = pl.DataFrame(columns)
    return typed, [name for name in frame.columns if name not in typed.columns]


def _cast(series: pl.Series, field: Field, source: str) -> pl.Series:
    target, words = _TYPES[field.kind]
    fits = {
        "number": series.dtype.is_numeric(),
        "integer": series.dtype.is_integer(),
        "boolean": series.dtype == pl.Boolean,
        "category": series.dtype in (pl.String, pl.Categorical, pl.Enum),
        "timestamp": series.dtype == pl.Date
        or (isinstance(series.dtype, pl.Datetime) and series.dtype.time_zone is None),
    }
    if series.dtype == pl.Null and field.optional:
        return pl.Series(field.name, [None] * len(series), dtype=target)
    if not fits[field.kind]:
        raise BadData(
            where=f"{source}, column '{field.name}'",
            found=f"{series.dtype} values such as {_examples(series)}",
            expected=words,
            remedy="Clean or convert the column, or declare it with another kind.",
        )
    return series.cast(target).alias(field.name)


def _rules(field: Field) -> list[tuple[str, Field, pl.Expr, str]]:
    """Name, field, expression (true where broken) and meaning of each rule."""
    column = pl.col(field.name)
    unit = f" {field.unit}" if field.unit else ""
    rules: list[tuple[str, Field, pl.Expr, str]] = []

    def add(name: str, expression: pl.Expr, meaning: str) -> None:
        rules.append((name, field, expression, meaning))

    missing = column.is_null() | column.is_nan() if field.kind == "number" else column.is_null()
    if field.kind == "category":
        missing = missing | (column == "")
    if not field.optional:
        add("is missing", missing, "Every request must carry this field.")
    if field.kind == "number":
        add("is infinite", column.is_infinite(), "A division or an overflow upstream.")
    if field.kind == "integer":
        add("is too large", column.abs() > _EXACT, "Above 2**53 neighbours become equal.")
    if field.ge is not None:
        add(f"is below {field.ge:g}{unit}", column < field.ge, "Impossible by the schema.")
    if field.le is not None:
        add(
            f"is above {field.le:g}{unit}",
            (column > field.le) & column.is_not_nan()
            if field.kind == "number"
            else column > field.le,
            "Impossible by the schema.",
        )
    if field.values:
        add(
            "is not an allowed value",
            ~column.is_in(list(field.values)),
            f"Allowed: {', '.join(field.values)}.",
        )
    return rules


def _finding(
    frame: pl.DataFrame, broken: pl.Series, *, rule: str, field: Field, meaning: str
) -> Finding:
    return Finding(
        rule=rule,
        field=field.name,
        severity="quarantine",
        rows=int(broken.sum()),
        rows_checked=frame.height,
        examples=tuple(
            f"row {row}: {value!r}"
            for row, value in zip(
                broken.arg_true().head(EXAMPLES),
                frame[field.name].filter(broken).head(EXAMPLES),
                strict=True,
            )
        ),
        meaning=meaning,
    )


def _ignored(columns: list[str], rows: int) -> list[Finding]:
    return [
        Finding(
            rule="is not in the schema",
            field=name,
            severity="warn",
            rows=rows,
            rows_checked=rows,
            examples=(),
            meaning="The column was left out. Declare it, or stop sending it.",
        )
        for name in columns
    ]


def _examples(series: pl.Series) -> str:
    return ", ".join(repr(value) for value in series.drop_nulls().unique(maintain_order=True)[:3])
