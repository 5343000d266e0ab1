"""JSON lines: one object per line, every key a column, a missing key a missing value.

A key's values are of one type over the whole file; whole and other numbers together are numbers.
Texts stay texts, times too: JSON has no type for them, a schema does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import polars as pl
import pyarrow as pa
from pyarrow import json as arrow

from torchyard.core.errors import BadData
from torchyard.data.reading.columnar import as_types, plain_frame
from torchyard.data.reading.files import File, Format, reading
from torchyard.data.reading.lines import line_blocks
from torchyard.data.reading.textual import Types, instance


def _columns(file: File, _declared: Types) -> Types:
    return dict(plain_frame(_arrow_schema(file).empty_table()).schema)


def _frames(file: File, types: Types, _rows: int) -> Iterator[pl.DataFrame]:
    schema = pa.schema([(name, _arrow_type(dtype)) for name, dtype in types.items()])
    with reading(file, "JSON lines"):
        for number, block in line_blocks(file):
            table = _parse(file, block, number, schema)
            if table.num_rows:
                yield as_types(plain_frame(table), types)


def _arrow_schema(file: File) -> pa.Schema:
    """The type of every key over the whole file."""
    seen = pa.schema([])
    with reading(file, "JSON lines"):
        for number, block in line_blocks(file):
            found = _plain(_parse(file, block, number, None).schema)
            try:
                seen = pa.unify_schemas([seen, found], promote_options="permissive")
            except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
                known = {field.name: _word(field.type) for field in seen}
                raise _explain(file, block, number, str(error), known) from error
    return seen


def _parse(file: File, block: str, number: int, schema: pa.Schema | None) -> pa.Table:
    if not block.strip():
        return pa.table({})
    content = block.encode()
    try:
        return arrow.read_json(
            pa.BufferReader(content),
            read_options=arrow.ReadOptions(block_size=len(content) + 1),
            parse_options=arrow.ParseOptions(
                explicit_schema=schema,
                unexpected_field_behavior="infer" if schema is None else "ignore",
            ),
        )
    except pa.ArrowInvalid as error:
        raise _explain(file, block, number, str(error), {}) from error


def _plain(schema: pa.Schema) -> pa.Schema:
    """With texts that look like times as texts again."""

    def plain(dtype: pa.DataType) -> pa.DataType:
        if pa.types.is_timestamp(dtype):
            return pa.string()
        if pa.types.is_list(dtype):
            return pa.list_(plain(dtype.value_type))
        if pa.types.is_struct(dtype):
            return pa.struct([(field.name, plain(field.type)) for field in dtype])
        return dtype

    return pa.schema([(field.name, plain(field.type)) for field in schema])


def _arrow_type(dtype: pl.DataType) -> pa.DataType:
    """The type by which Arrow parses JSON: none of the large ones."""
    if isinstance(dtype, pl.List):
        return pa.list_(_arrow_type(instance(dtype.inner)))
    if isinstance(dtype, pl.Struct):
        return pa.struct([(f.name, _arrow_type(instance(f.dtype))) for f in dtype.fields])
    plain = {pl.Int64(): pa.int64(), pl.Float64(): pa.float64(), pl.Boolean(): pa.bool_()}
    return plain.get(dtype, pa.null() if dtype == pl.Null() else pa.string())


def _word(dtype: pa.DataType) -> str:
    for word, fits in (
        ("number", pa.types.is_integer(dtype) or pa.types.is_floating(dtype)),
        ("text", pa.types.is_string(dtype)),
        ("true or false", pa.types.is_boolean(dtype)),
        ("list", pa.types.is_list(dtype)),
        ("object", pa.types.is_struct(dtype)),
    ):
        if fits:
            return word
    return "null"


def _explain(file: File, block: str, number: int, said: str, known: dict[str, str]) -> BadData:
    """What the parser stumbled over, found again line by line to say where it is."""
    words = dict(known)
    for line, text in enumerate(block.split("\n"), number):
        if not text.strip():
            continue
        where = f"{file.name}, line {line}"
        try:
            row = json.loads(text, object_pairs_hook=_pairs)
        except json.JSONDecodeError as error:
            shown = "" if file.withheld else f": {text[:80]!r}"
            return BadData(
                where=f"{where}, column {error.colno}",
                found=f"malformed JSON ({error.msg}){shown}",
                expected="one whole JSON object per line",
                remedy="Correct the line; if it is the last one, the file was cut off: write it "
                "again.",
            )
        except _RepeatedError as repeated:
            return BadData(
                where=f"{where}, key '{repeated}'",
                found="the key twice in one object",
                expected="each key once",
                remedy="Rename or remove one of them.",
            )
        if not isinstance(row, dict):
            return BadData(
                where=where,
                found=f"a JSON {_value_word(row)}",
                expected="one JSON object per line",
                remedy='Write rows as {"column": value, ...}, one per line.',
            )
        for key, value in row.items():
            word = _value_word(value)
            if word != "null" and words.setdefault(key, word) not in (word, "null"):
                shown = json.dumps(value, ensure_ascii=False)[:80]
                return BadData(
                    where=f"{where}, column '{key}'",
                    found=f"a personal {word}" if key in file.withheld else f"the {word} {shown}",
                    expected=f"a {words[key]}, as in the lines before",
                    remedy="Give the column one type; leave missing values out or write null.",
                )
    return BadData(
        where=f"{file.name}, from line {number}",
        found=said.splitlines()[0],
        expected="one JSON object per line, with one type per key",
        remedy="Write the file anew with a JSON library.",
    )


class _RepeatedError(ValueError):
    """A key that occurs twice."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for key, value in pairs:
        if key in row:
            raise _RepeatedError(key)
        row[key] = value
    return row


def _value_word(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    for word, types in (("number", (int, float)), ("text", str), ("list", list), ("object", dict)):
        if isinstance(value, types):
            return word
    return "null"


JSON_LINES = Format(
    name="JSON lines", suffixes=(".jsonl", ".ndjson"), columns=_columns, frames=_frames
)
