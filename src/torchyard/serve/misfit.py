"""Saying what is wrong with a request's body: the decoder's short message, made actionable.

The decoder (msgspec) stops at the first misfit and names its place. Here the place is looked up in
the body again to show the value, and in the schema to show what would have been accepted. Nothing
here runs for a request that fits.
"""

from __future__ import annotations

import re

import msgspec

from torchyard.core.errors import BadData, BadUsage, YardError, nearest
from torchyard.records.schema import Field, Schema

JsonFault = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>\$.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>.*)`$", re.DOTALL)
_ABSENT = re.compile(r"^Object missing required field `(?P<name>.*)`$", re.DOTALL)
_ROW = re.compile(r"^\$\.rows\[(?P<row>\d+)\](?:\.(?P<field>.*))?$", re.DOTALL)
_LONGEST_VALUE = 80


class _Loose(msgspec.Struct):
    rows: list[msgspec.Raw] = []


def explain(error: Exception, body: bytes, schema: Schema) -> YardError:
    """The refusal for a predict body that did not decode.

    Args:
        error: one of ``JsonFault``.
        body: the body as received.
        schema: the fields that rows are made of.

    Returns:
        ``BadUsage`` when the body is not JSON, ``BadData`` when it is JSON that does not fit.
    """
    if not isinstance(error, msgspec.ValidationError):
        return not_json(error)
    what, path = place_of(error)
    row = _ROW.match(path)
    if row is None:
        return misfit(path, what, known=("rows", "ids", "key"))
    if row["field"] is None:
        return _row_misfit(path, what, schema)
    name = row["field"]
    found = _value_in(body, int(row["row"]), name) or found_in(what)
    return field_misfit(path, found, schema.field(name))


def not_json(error: Exception) -> BadUsage:
    """The refusal for a body that is not JSON at all."""
    found = "values nested too deeply" if isinstance(error, RecursionError) else str(error)
    return BadUsage(
        where="request body",
        found=found,
        expected="JSON in UTF-8",
        remedy="Check how the body is made; NaN and trailing commas are not JSON.",
    )


def misfit(path: str, what: str, *, known: tuple[str, ...]) -> BadData:
    """The refusal for JSON outside the rows that does not fit.

    Args:
        path: where, as a JSON path.
        what: the decoder's message without its place.
        known: names that the object may have, to suggest one of.
    """
    if unknown := _UNKNOWN.match(what):
        found, expected = f"unknown name '{unknown['name']}'", nearest(unknown["name"], known)
    elif absent := _ABSENT.match(what):
        found, expected = f"no '{absent['name']}'", f"'{absent['name']}'"
    else:
        found, expected = found_in(what), _expected_in(what)
    return BadData(
        where=path,
        found=found,
        expected=expected.rstrip("."),
        remedy="Correct the request body.",
    )


def field_misfit(where: str, found: str, field: Field) -> BadData:
    """The refusal for one value that breaks its field's rules."""
    return BadData(
        where=where,
        found=found,
        expected=describe(field),
        remedy=f"Correct '{field.name}' in this row.",
    )


def place_of(error: Exception) -> tuple[str, str]:
    """A decoder's message and the JSON path it is about, ``$`` when it names none."""
    parts = _AT.match(str(error))
    return (parts["what"], parts["path"] or "$") if parts else (str(error), "$")


def describe(field: Field) -> str:
    """What a field accepts, in words.

    Example:
        >>> describe(Field(name="distance", kind="number", ge=0, le=6000, unit="miles"))
        'a number from 0 to 6000 miles'
        >>> describe(Field(name="origin", kind="category", values=("EWR", "JFK"), optional=True))
        "one of 'EWR', 'JFK', or null"
    """
    text = {
        "number": f"a number{_bounds(field)}",
        "integer": f"a whole number{_bounds(field)}",
        "boolean": "true or false",
        "category": _category(field),
        "timestamp": "a time without a zone, such as '2013-07-01T09:30:00'",
    }[field.kind]
    return f"{text}, or null" if field.optional else text


def show(value: object) -> str:
    """A JSON value as a person would write it, shortened.

    Example:
        >>> show("EWR"), show(None), show([1, 2])
        ("'EWR'", 'null', '[1,2]')
    """
    text = repr(value) if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def found_in(what: str) -> str:
    """What a decoder's message says it found.

    Example:
        >>> found_in("Expected `float`, got `str`")
        'str'
    """
    _, _, found = what.partition(", got ")
    if " of length " in what:
        return "too short" if ">=" in what else "too long"
    return found.strip("`") or what.replace("`", "")


def _expected_in(what: str) -> str:
    wanted, _, _ = what.partition(", got ")
    if not wanted.startswith("Expected "):
        return "a value that fits"
    return wanted.removeprefix("Expected ").replace("`", "")


def _row_misfit(path: str, what: str, schema: Schema) -> BadData:
    if absent := _ABSENT.match(what):
        field = schema.field(absent["name"])
        return BadData(
            where=path,
            found=f"no field '{field.name}'",
            expected=describe(field),
            remedy=f"Add '{field.name}' to this row.",
        )
    return misfit(path, what, known=schema.names)


def _value_in(body: bytes, row: int, name: str) -> str | None:
    """The value at fault, shown; None when it nests too deeply to be read again."""
    try:
        raw = msgspec.json.decode(body, type=_Loose).rows[row]
        return show(msgspec.json.decode(raw)[name])
    except (*JsonFault, LookupError):
        return None


def _bounds(field: Field) -> str:
    unit = f" {field.unit}" if field.unit else ""
    low, high = (_plain(bound) for bound in (field.ge, field.le))
    if low and high:
        return f" from {low} to {high}{unit}"
    if low:
        return f" of at least {low}{unit}"
    return f" of at most {high}{unit}" if high else ""


def _plain(bound: float | None) -> str:
    return "" if bound is None else f"{bound:.15g}"


def _category(field: Field) -> str:
    if not field.values:
        return "text" if field.optional else "text that is not empty"
    shown = ", ".join(map(repr, field.values[:10]))
    more = f" and {len(field.values) - 10} more" if len(field.values) > 10 else ""
    return f"one of {shown}{more}"
