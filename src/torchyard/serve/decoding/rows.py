"""Rows from JSON. The schema compiles to a msgspec Struct, so decoding *is* validating."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Any, Protocol, cast, final

import msgspec
import numpy as np
from msgspec import Meta

from torchyard.core.errors import BadData, BadRecord
from torchyard.features.columns import Columns, RowColumns
from torchyard.records.schema import Schema
from torchyard.serve.decoding.arrays import TensorReader
from torchyard.serve.decoding.misfit import JsonFault, explain
from torchyard.serve.decoding.values import json_type
from torchyard.serve.logs.loggable import loggable_form, logs_whole_rows

UNNAMEABLE = re.compile(r'["\\\x00-\x1f]')  # msgspec cannot rename to them

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

    @property
    def explain(self) -> bool:
        """Whether the answer is to say what each field makes of it."""


class Peek(msgspec.Struct):
    """What decides the route, read without looking at the rows."""

    ids: list[str] | None = None
    key: str | None = None


@final
class RowDecoder:
    """Decodes, validates and turns into columns the rows of one schema.

    A row accepts exactly the schema's fields: nothing unknown, nothing missing that is not
    optional, no value of another JSON type (``1`` is not ``true``, ``"1"`` is not ``1``), bounds
    inclusive, times in RFC 3339 without a zone, pictures as base64 (RFC 4648, section 4), tensors
    as nested lists of exactly their shape.

    Args:
        schema: the fields of a request.
        max_rows: most rows in one body.
        later: names of fields that are known only later; a row that has one is told so.

    Attributes:
        tensors: readers of the tensor fields.
        row_type: what a row is; field number ``n`` is its ``f<n>``, tensors are arrays at last.

    Raises:
        BadRecord: a field's name holds a quote, a backslash or a control character, or a field's
            rules contradict each other.
    """

    def __init__(self, schema: Schema, *, max_rows: int, later: Collection[str] = ()) -> None:
        self.schema = schema
        self.later = tuple(later)
        self._max_rows = max_rows
        # Field names need not be identifiers, attributes must be: they are f0, f1, ... inside.
        names = [f"f{n}" for n in range(len(schema.fields))]
        self.columns: Callable[[Sequence[object]], Columns] = RowColumns(schema, names)
        self.tensors = [
            TensorReader(f"f{n}", field)
            for n, field in enumerate(schema.fields)
            if field.kind == "tensor"
        ]
        self.row_type = _row_struct(schema)
        self._rows: Any = list[self.row_type]  # type: ignore[name-defined]
        self._body = msgspec.json.Decoder(_body_struct(self.row_type, max_rows))
        if self.tensors:
            quick = {one.field.name: one.quick_type for one in self.tensors}
            self._quick_body = msgspec.json.Decoder(
                _body_struct(_row_struct(schema, quick), max_rows)
            )
            self._lone = self.tensors[0] if len(schema.fields) == 1 else None
            as_arrays = dict.fromkeys(quick, Any)
            self._array_rows: Any = list[_row_struct(schema, as_arrays)]  # type: ignore[misc]
        self.loggable: Callable[[object], object] = loggable_form(schema)
        self.logs_whole_rows = logs_whole_rows(schema)

    @property
    def body_type(self) -> type[msgspec.Struct]:
        """What a body is decoded as, for ``msgspec.json.schema``."""
        return self._body.type

    def decode(self, body: bytes) -> PredictBody:
        """Read ``{"rows": [...], "ids": [...], "key": "...", "explain": true}``.

        Raises:
            BadUsage: the body is not JSON.
            BadData: the body does not fit; ``where`` is a path such as ``$.rows[3].distance``.
        """
        try:
            request = self._decoded_quickly(body) if self.tensors else None
            if request is None:
                request = cast(PredictBody, self._body.decode(body))
                self._make_arrays(request.rows, "$.rows")
        except JsonFault as error:
            raise explain(error, body, self.schema, self.later) from error
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

        Args:
            rows: the values by name. All tensors are nested lists, or all are arrays of their
                field's dtype and shape, which are kept as they are.

        Raises:
            msgspec.ValidationError: a row does not fit; the caller knows what to call its place.
        """
        has_arrays = any(
            isinstance(rows[0].get(one.field.name), np.ndarray) for one in self.tensors
        )
        kind = self._array_rows if has_arrays else self._rows
        decoded = cast(list[object], msgspec.convert(rows, kind))
        self._make_arrays(decoded, "$")
        return decoded

    def _decoded_quickly(self, body: bytes) -> PredictBody | None:
        """What ``decode`` gives, without a Python object for each number; None if it is unsure."""
        if self._lone is not None:
            arrays = self._lone.read_rows(body, most=self._max_rows)
            if arrays is not None:
                rows = [self.row_type(f0=array) for array in arrays]
                return cast(PredictBody, self._body.type(rows=rows))
        try:
            request = cast(PredictBody, self._quick_body.decode(body))
        except JsonFault:
            return None
        for row in request.rows:
            for reader in self.tensors:
                value = getattr(row, reader.attribute)
                array = None if value is None else reader.read_quickly(value)
                if array is None:
                    return None
                setattr(row, reader.attribute, array)
        return request

    def _make_arrays(self, rows: Sequence[object], where: str) -> None:
        """Put arrays in the place of tensors' nested lists."""
        for place, row in enumerate(rows):
            for reader in self.tensors:
                value = getattr(row, reader.attribute)
                array = value if isinstance(value, np.ndarray) else reader.array(value)
                if not reader.is_fit(array):
                    within = reader.find_misfit(array)
                    path = f"{where}[{place}].{reader.field.name}{within}"
                    raise msgspec.ValidationError(f"Number out of range - at `{path}`")
                setattr(row, reader.attribute, array)


def _row_struct(schema: Schema, types: Mapping[str, Any] | None = None) -> type[msgspec.Struct]:
    """A row's type; ``types`` are what some fields are decoded as in place of their own."""
    for name in schema.names:
        if UNNAMEABLE.search(name):
            raise BadRecord(
                where="schema",
                found=f"a field named {name!r}",
                expected="names without quotes, backslashes and control characters",
                remedy="Rename the field and release again.",
            )
    given = types or {}
    kinds = [
        given[field.name] if field.name in given else json_type(field) for field in schema.fields
    ]
    members: list[Any] = [
        (f"f{n}", kind, None) if field.optional else (f"f{n}", kind)
        for n, (kind, field) in enumerate(zip(kinds, schema.fields, strict=True))
    ]
    return msgspec.defstruct(
        "Row",
        members,
        rename=dict(zip((f"f{n}" for n in range(len(members))), schema.names, strict=True)),
        kw_only=True,
        forbid_unknown_fields=True,
        omit_defaults=True,
        gc=False,  # rows hold no rows, so they can be in no cycle
    )


def _body_struct(row: type[msgspec.Struct], max_rows: int) -> type[msgspec.Struct]:
    rows = Annotated[list[row], Meta(min_length=1, max_length=max_rows)]  # type: ignore[valid-type]
    return msgspec.defstruct(
        "Predict",
        [
            ("rows", rows),
            ("ids", list[_Name] | None, None),
            ("key", _Name | None, None),
            ("explain", bool, False),
        ],
        forbid_unknown_fields=True,
    )
