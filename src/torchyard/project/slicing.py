"""The word of a project file for rows that are reported alone, and what may be asked of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torchyard.core.errors import BadProject
from torchyard.project.needs import need_edges, need_parts
from torchyard.project.references import need_fields
from torchyard.records.schema import FieldKind, Schema

if TYPE_CHECKING:
    import polars as pl

TimePart = Literal["hour", "weekday", "month"]
_TIME_PARTS: tuple[TimePart, ...] = ("hour", "weekday", "month")
_VALUED: tuple[FieldKind, ...] = ("category", "boolean")
_EDGED: tuple[FieldKind, ...] = ("number", "integer", "text")


@dataclass(frozen=True, kw_only=True)
class Slice:
    """How rows are parted: by a field's values, its bands or a part of its time, or a function.

    Attributes:
        name: what reports and gates call it.
        field: whose values part the rows; None where ``function`` does.
        edges: between the bands of a number, or of a text's characters; rising.
        by: the part of a timestamp.
        function: takes rows as a polars frame, returns a Series of booleans or texts, one per row.
    """

    name: str
    field: str | None = None
    edges: tuple[float, ...] = ()
    by: TimePart | None = None
    function: Callable[[pl.DataFrame], pl.Series] | None = None


def slice(
    name: str,
    function: Callable[[pl.DataFrame], pl.Series] | None = None,
    *,
    edges: Sequence[float] = (),
    by: TimePart | None = None,
) -> Slice:
    """Report rows alone that a value does not set apart: exactly one of the three says which.

    Args:
        name: a field; with ``function`` a name of your own.
        function: takes the test rows as a polars frame, without personal fields, pictures, tensors
            and the label, and returns a Series of booleans or texts, one per row.
        edges: rising; a number is in the band between two of them, a text by its characters.
        by: ``hour``, ``weekday`` or ``month`` of a timestamp; the slice's name is then
            ``"<field> by <part>"``.

    Raises:
        BadProject: not exactly one of the three is given, edges do not rise, or the part is none.

    Example:
        >>> slice("distance", edges=[500, 1000]).name, slice("scheduled", by="month").name
        ('distance', 'scheduled by month')
        >>> slice("short haul", lambda rows: rows["distance"] < 300).field is None
        True
    """
    where = f"ty.slice({name!r}, ...)"
    given = [bool(edges), by is not None, function is not None]
    if not isinstance(name, str) or not name or sum(given) != 1:
        raise BadProject(
            where=where,
            found=f"{sum(given)} ways to part rows"
            if isinstance(name, str) and name
            else "no name",
            expected="a name, and one of edges=, by= and a function",
            remedy="A category or boolean alone is written as its name: slices=['carrier'].",
        )
    if function is not None:
        if not callable(function):
            raise BadProject(
                where=where,
                found=repr(function),
                expected="a function of the rows",
                remedy="For example ty.slice('short haul', lambda rows: rows['distance'] < 300).",
            )
        return Slice(name=name, function=function)
    if by is not None:
        need_parts(where, [by], _TIME_PARTS)
        return Slice(name=f"{name} by {by}", field=name, by=by)
    return Slice(name=name, field=name, edges=need_edges(edges, where=where, name="edges"))


def as_slices(declared: Sequence[str | Slice]) -> tuple[Slice, ...]:
    """Every one as a slice; a bare name is a field that parts rows by its values.

    Raises:
        BadProject: one is neither, or two have the same name.
    """
    several = isinstance(declared, (list, tuple))
    if not several or not all(isinstance(one, (str, Slice)) for one in declared):
        raise BadProject(
            where="ty.Project(...)",
            found=f"slices={declared!r}",
            expected="a list of texts and ty.slice(...)",
            remedy="Write it like slices=['carrier', ty.slice('distance', edges=[500, 1000])].",
        )
    slices = tuple(Slice(name=one, field=one) if isinstance(one, str) else one for one in declared)
    names = [one.name for one in slices]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise BadProject(
            where="slices",
            found=f"'{repeated}' twice",
            expected="slices of different names",
            remedy="Reports and gates tell slices by their names: keep one of them.",
        )
    return slices


def check_slices(slices: Sequence[Slice], schema: Schema) -> None:
    """Refuse slices of fields that are none, are of another kind, or are personal.

    Raises:
        BadProject: one is; or a function's slice has the name of a field.
    """
    for one in slices:
        where = "slices" if one.field == one.name else f"slices, {one.name}"
        if one.field is None:
            if one.name in schema.names:
                raise BadProject(
                    where=where,
                    found="a function's slice with the name of a field",
                    expected="a name of its own",
                    remedy="Say in its name what the rows have in common.",
                )
            continue
        need_fields(schema, (one.field,), where, _kinds(one))
        field = schema.field(one.field)
        if field.is_withheld and (one.edges or one.by):
            raise BadProject(
                where=where,
                found=f"field '{one.field}', which is personal",
                expected="a field whose values may stand in reports",
                remedy=f"Protect it instead: {one.field}=ty.{field.kind}(protected=[...], "
                "personal=True); or allow=['log'].",
            )


def _kinds(one: Slice) -> tuple[FieldKind, ...]:
    if one.by is not None:
        return ("timestamp",)
    return _EDGED if one.edges else _VALUED
