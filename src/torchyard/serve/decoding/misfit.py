"""Saying what is wrong with a request's body: the decoder's short message, made actionable.

The decoder (msgspec) stops at the first misfit and names its place. Here the place is looked up in
the body again to say what kind of value is there, and in the schema to say what would have been
accepted. A refusal names known fields, kinds, counts and positions; it repeats nothing that the
client chose. Nothing here runs for a request that fits.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import msgspec

from torchyard.core.errors import BadData, BadUsage, YardError, nearest
from torchyard.records.schema import Field, Schema
from torchyard.serve.decoding.wording import (
    breach_of,
    describe,
    kind_of,
    suggested,
    unreadable_image,
)

JsonFault = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_AT = re.compile(r"^(?P<what>.*)(?: - at `(?P<path>\$.*)`)$", re.DOTALL)  # the last place named
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>.*)`$", re.DOTALL)
_ABSENT = re.compile(r"^Object missing required field `(?P<name>.*)`$", re.DOTALL)
_ROW = re.compile(r"^\$\.rows\[(?P<row>\d{1,9})\](?:\.(?P<rest>.*))?$", re.DOTALL)
_NAME = re.compile(r"\.([^.\[\]]+)|\[(?:\d{1,9}|\.\.\.)\]")  # a step of a path
_INDEX = re.compile(r"\[(\d+)\]")
_HALF = re.compile(rb"\\u[dD][89a-bA-B]..(?!\\u[dD][c-fC-F])")


_UNFIT = "a value that does not fit"
_BOUND = {"<": " of at most ", ">": " of at least "}
_GOT = {
    "`null`": "null",
    "`bool`": "a boolean",
    "`int`": "a number",
    "`float`": "a number",
    "`str`": "a text",
    "`array`": "a list",
    "`object`": "an object",
}


class _Loose(msgspec.Struct):
    rows: list[msgspec.Raw] = []


def explain(
    error: Exception, body: bytes, schema: Schema, later: Collection[str] = ()
) -> YardError:
    """The refusal for a predict body that did not decode.

    Args:
        error: one of ``JsonFault``.
        body: the body as received.
        schema: the fields that rows are made of.
        later: names of fields that are known only later.

    Returns:
        ``BadUsage`` when the body is not JSON, ``BadData`` when it is JSON that does not fit.
    """
    if not isinstance(error, msgspec.ValidationError):
        return not_json(error, body)
    what, path = place_of(error)
    row = _ROW.match(path)
    if row is None:
        return misfit(path, what, known=("rows", "ids", "key"))
    if row["rest"] is None:
        return _row_misfit(path, what, schema, later)
    try:
        field, within = field_of(row["rest"], schema)
    except KeyError:  # an unknown name outside the rows that is worded like a place among them
        return misfit("$", what, known=())
    path = f"$.rows[{row['row']}].{field.name}{places(within)}"
    try:
        raw = msgspec.json.decode(body, type=_Loose).rows[int(row["row"])]
        value = msgspec.json.decode(raw, type=dict[str, Any])[field.name]
        return value_misfit(path, what, field, value, within)
    # it nests too deeply, or a number is too large, to be shown; or a name is there twice, and what
    # is found is not what the decoder stopped at
    except (*JsonFault, LookupError, TypeError):
        return field_misfit(path, found_in(what), field)


def field_of(rest: str, schema: Schema) -> tuple[Field, tuple[int, ...]]:
    """The field that the end of a path is about, and the place inside its tensor.

    Raises:
        KeyError: there is no such field.
    """
    if rest in schema.names:
        return schema.field(rest), ()
    tensors = [f for f in schema.fields if f.kind == "tensor" and rest.startswith(f"{f.name}[")]
    field = max(tensors, key=lambda field: len(field.name), default=None)
    if field is None:
        raise KeyError(rest)
    return field, tuple(int(index) for index in _INDEX.findall(rest[len(field.name) :]))


def places(within: tuple[int, ...]) -> str:
    """Indices as a path has them: ``[0][3]``."""
    return "".join(f"[{index}]" for index in within)


def value_misfit(
    where: str, what: str, field: Field, value: object, within: tuple[int, ...] = ()
) -> BadData:
    """The refusal for a value that breaks its field's rules.

    Args:
        where: the place to name.
        what: the decoder's message.
        field: whose rules they are.
        value: the whole value of the field.
        within: the place of the fault inside a tensor.
    """
    if field.kind == "image" and value is not None:
        found, remedy = unreadable_image(value, field.name)
        return field_misfit(where, found, field, remedy)
    for index in within:
        value = value[index]  # type: ignore[index]
    if isinstance(value, list) and " of length " in what:
        return field_misfit(where, kind_of(value), field)
    hint = suggested(value, field.values) if isinstance(value, str) else ""
    remedy = f"{hint} Correct '{field.name}' in this row.".lstrip()
    return field_misfit(where, breach_of(value, field), field, remedy)


def not_json(error: Exception, body: bytes) -> BadUsage:
    """The refusal for a body that is not JSON at all."""
    if isinstance(error, RecursionError):
        found = "values nested too deeply"
    elif isinstance(error, UnicodeDecodeError):
        found = f"a byte that is not UTF-8 (byte {error.start} of a text)"
    else:
        found = str(error)  # msgspec's own words: a kind of fault and its position
    if half := _HALF.search(body):
        found = f"half of a character's two parts (byte {half.start()})"
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
        found, expected = "a name that has no meaning here", nearest(unknown["name"], known)
    elif absent := _ABSENT.match(what):
        found, expected = f"no '{absent['name']}'", f"'{absent['name']}'"
    else:
        found, expected = found_in(what), _expected_in(what)
    return BadData(
        where=_known_place(path, known),
        found=found,
        expected=expected.rstrip("."),
        remedy="Correct the request body.",
    )


def field_misfit(where: str, found: str, field: Field, remedy: str | None = None) -> BadData:
    """The refusal for one value that breaks its field's rules, in its own words."""
    return BadData(
        where=where,
        found=found,
        expected=describe(field),
        remedy=remedy or f"Correct '{field.name}' in this row.",
    )


def known_later(where: str, name: str) -> BadData:
    """The refusal for a field that a request cannot know yet."""
    return BadData(
        where=where,
        found=f"field '{name}'",
        expected="only what is known when a prediction is asked for",
        remedy=f"Leave '{name}' out: it is kept with the data, and is known later.",
    )


def place_of(error: Exception) -> tuple[str, str]:
    """A decoder's message and the JSON path it is about, ``$`` when it names none."""
    parts = _AT.match(str(error))
    return (parts["what"], parts["path"] or "$") if parts else (str(error), "$")


def found_in(what: str) -> str:
    """What a decoder's message says it found.

    Example:
        >>> found_in("Expected `float`, got `str`")
        'a text'
    """
    wanted, _, found = what.partition(", got ")
    if found:
        return _GOT.get(found, _UNFIT)
    if not wanted.startswith("Expected "):
        return "a number out of range" if wanted == "Number out of range" else _UNFIT
    if " of length " in wanted:
        return "too short" if ">=" in wanted else "too long"
    return _UNFIT


def _expected_in(what: str) -> str:
    wanted, _, _ = what.partition(", got ")
    if not wanted.startswith("Expected "):
        return "a value that fits"
    words = wanted.removeprefix("Expected ")
    for type_name, name in _GOT.items():
        words = words.replace(type_name, name)
    words = re.sub(r"`([a-z |]+)`", lambda any_of: _any_of(any_of[1]), words)
    return re.sub(r" of length ([<>])= ", lambda end: _BOUND[end[1]], words)


def _any_of(types: str) -> str:
    return " or ".join(dict.fromkeys(_GOT.get(f"`{name}`", name) for name in types.split(" | ")))


def _row_misfit(path: str, what: str, schema: Schema, later: Collection[str]) -> BadData:
    if absent := _ABSENT.match(what):
        field = schema.field(absent["name"])
        return BadData(
            where=path,
            found=f"no field '{field.name}'",
            expected=describe(field),
            remedy=f"Add '{field.name}' to this row.",
        )
    if unknown := _UNKNOWN.match(what):
        if unknown["name"] in later:
            return known_later(path, unknown["name"])
        return BadData(
            where=path,
            found="a field that the schema does not have",
            expected="fields of the schema alone",
            remedy=nearest(unknown["name"], schema.names),
        )
    return misfit(path, what, known=())


def _known_place(path: str, known: Collection[str]) -> str:
    """The path, unless a step of it is no name that the server itself knows."""
    names = [step[1] for step in _NAME.finditer(path) if step[1] is not None]
    is_whole = _NAME.sub("", path) == "$"
    return path if is_whole and set(names) <= {*known, "rows"} else "$"
