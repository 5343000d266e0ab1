"""Rows from JSON. The schema compiles to a msgspec Struct, so decoding *is* validating."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol, cast, final

import msgspec
from msgspec import Meta

from torchyard.core.errors import BadData, BadRecord
from torchyard.features.columns import Columns, columns_from_rows
from torchyard.records.schema import Field, Schema
from torchyard.serve.misfit import JsonFault, explain

LARGEST_WHOLE = 2**53  # beyond it a double, which is what enters the graph, skips whole numbers

_UNNAMEABLE = re.compile(r'["\\\x00-\x1f]')  # msgspec cannot rename to them

_Name = Annotated[str, Meta(min_length=1, max_length=256)]


class PredictBody(Protocol):
    """A decoded predict body: rows that fit the schema, their ids, the routing key."""

    @property
    def rows(self) -> list[object]:
        """Rows for ``RowDecoder.columns``."""

    @property
    def ids(self) -> list[str] | None:
        """One id per row, or None."""

    @property
    def key(self) -> str | None:
        """What the sticky split goes by, or None."""


class Peek(msgspec.Struct):
    """What decides the route, read without looking at the rows."""

    ids: list[str] | None = None
    key: str | None = None


@final
class RowDecoder:
    """Decodes, validates and turns into columns the rows of one schema.

    A row accepts exactly the schema's fields: nothing unknown, nothing missing that is not
    optional, no value of another JSON type (``1`` is not ``true``, ``"1"`` is not ``1``), bounds
    inclusive, times in RFC 3339 without a zone.

    Args:
        schema: the fields.
        max_rows: most rows in one body.

    Raises:
        BadRecord: a field's name holds a quote, a backslash or a control character.
    """

    def __init__(self, schema: Schema, *, max_rows: int) -> None:
        self.schema = schema
        # Field names need not be identifiers, attributes must be: they are f0, f1, ... inside.
        self._attributes = Schema(
            fields=tuple(replace(field, name=f"f{n}") for n, field in enumerate(schema.fields))
        )
        self._has_personal = any(field.personal for field in schema.fields)
        self._logged = [
            (field.name, f"f{n}") for n, field in enumerate(schema.fields) if not field.personal
        ]
        row = _row_struct(schema)
        self._rows: Any = list[row]  # type: ignore[valid-type]
        self._body = msgspec.json.Decoder(_body_struct(row, max_rows))

    def decode(self, body: bytes) -> PredictBody:
        """Read ``{"rows": [...], "ids": [...], "key": "..."}``.

        Raises:
            BadUsage: the body is not JSON.
            BadData: the body does not fit; ``where`` is a path such as ``$.rows[3].distance``.
        """
        try:
            request = cast(PredictBody, self._body.decode(body))
        except JsonFault as error:
            raise explain(error, body, self.schema) from error
        if request.ids is not None and len(request.ids) != len(request.rows):
            raise BadData(
                where="$.ids",
                found=f"{len(request.ids)} ids",
                expected=f"{len(request.rows)}, one for each row",
                remedy="Give every row an id, or leave 'ids' out to have them made.",
            )
        return request

    def convert(self, rows: Sequence[Mapping[str, object]]) -> list[object]:
        """Validate rows that are Python values already, under the same rules.

        Raises:
            msgspec.ValidationError: a row does not fit; the caller knows what to call its place.
        """
        return cast(list[object], msgspec.convert(rows, self._rows))

    def columns(self, rows: Sequence[object]) -> Columns:
        """Raw columns of decoded rows: field name to array ``[rows, 1]``."""
        columns = columns_from_rows(self._attributes, rows)
        return dict(zip(self.schema.names, columns.values(), strict=True))

    def loggable(self, row: object) -> object:
        """A decoded row for the log's encoder: missing values and personal fields absent."""
        if not self._has_personal:
            return row
        return {
            name: value
            for name, attribute in self._logged
            if (value := getattr(row, attribute)) is not None
        }


def _row_struct(schema: Schema) -> type[msgspec.Struct]:
    for name in schema.names:
        if _UNNAMEABLE.search(name):
            raise BadRecord(
                where="schema",
                found=f"a field named {name!r}",
                expected="names without quotes, backslashes and control characters",
                remedy="Rename the field and release again.",
            )
    members: list[Any] = [
        (f"f{n}", _value_type(field), None) if field.optional else (f"f{n}", _value_type(field))
        for n, field in enumerate(schema.fields)
    ]
    return msgspec.defstruct(
        "Row",
        members,
        rename=dict(zip((f"f{n}" for n in range(len(members))), schema.names, strict=True)),
        kw_only=True,
        forbid_unknown_fields=True,
        omit_defaults=True,
        gc=False,  # rows hold scalars only, so they can be in no cycle
    )


def _body_struct(row: type[msgspec.Struct], max_rows: int) -> type[msgspec.Struct]:
    rows = Annotated[list[row], Meta(min_length=1, max_length=max_rows)]  # type: ignore[valid-type]
    return msgspec.defstruct(
        "Predict",
        [("rows", rows), ("ids", list[_Name] | None, None), ("key", _Name | None, None)],
        forbid_unknown_fields=True,
    )


def _value_type(field: Field) -> Any:
    kind: Any
    if field.kind == "number":
        kind = Annotated[float, Meta(ge=field.ge, le=field.le)]
    elif field.kind == "integer":
        low = -LARGEST_WHOLE if field.ge is None else math.ceil(field.ge)
        high = LARGEST_WHOLE if field.le is None else math.floor(field.le)
        kind = Annotated[int, Meta(ge=low, le=high)]
    elif field.kind == "boolean":
        kind = bool
    elif field.kind == "timestamp":
        kind = Annotated[datetime, Meta(tz=False)]
    elif field.values:
        kind = Literal[field.values]
    else:
        kind = str if field.optional else Annotated[str, Meta(min_length=1)]
    return kind | None if field.optional else kind
