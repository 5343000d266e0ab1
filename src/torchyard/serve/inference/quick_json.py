"""An ordinary infer request in JSON, quickly: decoding it *is* validating its one row.

The inputs of a schema compile to one decoder. It answers where it is sure and else gives None: then
the plain path, ``bodies`` with ``tensors``, decides and says what is wrong. Tests hold the two
together.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal, NamedTuple, final

import msgspec
from msgspec import Meta

from torchyard.records.schema import Field
from torchyard.serve.decoding.arrays import TensorReader
from torchyard.serve.decoding.misfit import JsonFault
from torchyard.serve.decoding.rows import RowDecoder
from torchyard.serve.decoding.values import json_type
from torchyard.serve.inference.bodies import RequestId

# of each kind of field the datatypes whose JSON values stand for themselves
_DATATYPES = {"number": ("FP64", "FP32"), "integer": ("INT64",), "boolean": ("BOOL",)}
_ELEMENTS = {"float32": ("FP32", "FP64"), "int64": ("INT64",)}


class Asked(NamedTuple):
    """A request of one row: the row, its id, the names of the outputs it wants, none for all."""

    row: object
    id: str | None
    outputs: tuple[str, ...]


class _Output(msgspec.Struct, forbid_unknown_fields=True):
    name: str


class _Place(NamedTuple):
    """Where in a row an input goes."""

    attribute: str
    is_required: bool
    shapes: tuple[list[int], ...]
    reader: TensorReader | None


@final
class QuickJson:
    """Reads requests of one row whose tensors are all in the JSON, and that have no parameters.

    Args:
        decoder: of the release that answers.
    """

    def __init__(self, decoder: RowDecoder) -> None:
        places = _places(decoder)
        fields = decoder.schema.fields
        inputs = [_input_type(*each) for each in zip(fields, places, strict=True)]
        body = msgspec.defstruct(
            "Infer",
            [
                ("inputs", list[reduce(or_, inputs)]),  # type: ignore[misc]
                ("id", RequestId | None, None),
                ("outputs", list[_Output] | None, None),
                ("model_name", str | None, None),
            ],
            forbid_unknown_fields=True,
        )
        self._lone = places[0].reader if len(fields) == 1 else None
        self._row = decoder.row_type
        self._required = sum(place.is_required for place in places)
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(body)

    def read(self, body: bytes) -> Asked | None:
        """A request; None where the plain path has to look."""
        if self._lone is not None:
            found = self._lone.read_input(body, _ELEMENTS[self._lone.field.dtype])
            if found is not None:
                return Asked(self._row(f0=found.array), found.id, found.outputs)
        try:
            request = self._decoder.decode(body)
        except JsonFault:
            return None
        values: dict[str, object] = {}
        required = 0
        for one in request.inputs:
            attribute, is_required, shapes, reader = one.place
            if one.shape not in shapes or attribute in values:
                return None
            if reader is None:
                value = one.data[0]
                values[attribute] = None if value == "" else value
            elif (array := reader.read_flat(one.data)) is not None:
                values[attribute] = array
            else:
                return None
            required += is_required
        if required != self._required:
            return None
        outputs = tuple([one.name for one in request.outputs]) if request.outputs else ()
        return Asked(self._row(**values), request.id, outputs)


def _places(decoder: RowDecoder) -> list[_Place]:
    """One for each field."""
    readers = {reader.attribute: reader for reader in decoder.tensors}
    return [
        _Place(
            f"f{n}",
            not field.optional,
            ([1, *field.shape],) if field.shape else ([1], [1, 1]),
            readers.get(f"f{n}"),
        )
        for n, field in enumerate(decoder.schema.fields)
    ]


def _input_type(field: Field, place: _Place) -> Any:
    """What an input of a field decodes as: its ``data`` is one value, or a tensor's numbers."""
    if place.reader is None:
        one = Meta(min_length=1, max_length=1)
        data: Any = Annotated[list[json_type(field)], one]  # type: ignore[misc]
        datatypes = _DATATYPES.get(field.kind, ("BYTES",))
    else:
        data, datatypes = place.reader.flat_type, _ELEMENTS[field.dtype]
    return msgspec.defstruct(
        "Input",
        [("shape", list[int]), ("datatype", Literal[datatypes]), ("data", data)],
        namespace={"place": place},
        tag_field="name",
        tag=field.name,
        forbid_unknown_fields=True,
    )
