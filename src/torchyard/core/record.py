"""Strict records: frozen dataclasses to JSON and back, unknown or missing fields refused.

A record on disk is an object with ``record`` (the class name) and ``version`` beside its fields, so
a reader knows what it holds before it believes a word of it. No record may have fields of these
names.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from torchyard.core.errors import BadRecord
from torchyard.core.files import write_atomically

Json = Any  # str | int | float | bool | None | list[Json] | dict[str, Json]
RecordType = TypeVar("RecordType")

VERSION = 1


def to_json(value: Any) -> Json:
    """A record (or a tuple, dict or scalar of them) as plain JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"a record cannot hold {type(value).__name__}: {value!r}")


def from_json(kind: type[RecordType], value: Json, *, where: str) -> RecordType:
    """Build a record from plain JSON values, checking every name and type on the way.

    Args:
        kind: the frozen dataclass to build.
        value: what ``json.loads`` returned.
        where: what to call the source in errors, for example a file's name.

    Raises:
        BadRecord: a field is missing, unknown or of another type.
    """
    return typing.cast(RecordType, _build(kind, value, where))


def write_record(path: Path, record: Any, *, mode: int = 0o644) -> None:
    """Write a record to a file, atomically, with its name and version.

    Readable (indented, in field order) because people open these files.
    """
    content = {"record": type(record).__name__, "version": VERSION, **to_json(record)}
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path, (text + "\n").encode(), mode=mode)


def read_record(kind: type[RecordType], path: Path) -> RecordType:
    """Read one record back from a file.

    Raises:
        BadRecord: the file is not JSON, is another record or version, or does not fit.
    """
    where = path.name
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadRecord(
            where=str(path),
            found=str(error),
            expected=f"a {kind.__name__} record as JSON",
            remedy="Restore the file, or run the stage that writes it again.",
        ) from error
    if not isinstance(content, dict):
        raise _misfit(where, type(content).__name__, "an object")
    found = content.pop("record", None)
    if found != kind.__name__:
        raise _misfit(where, f"record {found!r}", f"record '{kind.__name__}'")
    version = content.pop("version", None)
    if version != VERSION:
        raise BadRecord(
            where=where,
            found=f"record version {version!r}",
            expected=f"version {VERSION}",
            remedy="Open it with the torchyard that wrote it, or make it again with this one.",
        )
    return from_json(kind, content, where=where)


def _build(kind: Any, value: Json, where: str) -> Any:
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return _build_union(arguments, value, where)
    if origin is Literal:
        if value not in arguments:
            raise _misfit(where, repr(value), " or ".join(map(repr, arguments)))
        return value
    if origin is tuple:
        return _build_tuple(arguments, value, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise _misfit(where, type(value).__name__, "an object")
        return {key: _build(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return _build_record(kind, value, where)
    return _build_scalar(kind, value, where)


def _build_union(members: tuple[Any, ...], value: Json, where: str) -> Any:
    if value is None and type(None) in members:
        return None
    solid = [member for member in members if member is not type(None)]
    problems: list[BadRecord] = []
    for member in solid:
        try:
            return _build(member, value, where)
        except BadRecord as problem:
            problems.append(problem)
    raise problems[0]


def _build_tuple(arguments: tuple[Any, ...], value: Json, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _misfit(where, type(value).__name__, "a list")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    if len(arguments) != len(value):
        raise _misfit(where, f"{len(value)} items", f"{len(arguments)} items")
    return tuple(
        _build(kind, item, f"{where}[{place}]")
        for place, (kind, item) in enumerate(zip(arguments, value, strict=True))
    )


def _build_record(kind: Any, value: Json, where: str) -> Any:
    if not isinstance(value, dict):
        raise _misfit(where, type(value).__name__, f"a {kind.__name__} object")
    hints = _hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in value:
        if name not in fields:
            raise _misfit(where, f"unknown field '{name}'", f"one of {', '.join(fields)}")
    for name, field in fields.items():
        optional = field.default is not dataclasses.MISSING
        optional = optional or field.default_factory is not dataclasses.MISSING
        if name not in value and not optional:
            raise _misfit(where, f"no field '{name}'", f"every field of {kind.__name__}")
    built = {name: _build(hints[name], item, f"{where}.{name}") for name, item in value.items()}
    return kind(**built)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """A record's types by field; finding them out again for each of a report's parts took 0.2 s."""
    return typing.get_type_hints(kind)


def _build_scalar(kind: Any, value: Json, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _misfit(where, repr(value), kind.__name__)
    return value


def _misfit(where: str, found: str, expected: str) -> BadRecord:
    return BadRecord(
        where=where,
        found=found,
        expected=expected,
        remedy="The record was edited or damaged: restore it, or run its stage again.",
    )
