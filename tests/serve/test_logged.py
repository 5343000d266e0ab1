"""What of a row reaches the prediction log, and that monitoring reads it back."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from torchyard.monitor.log import read_predictions
from torchyard.records.schema import Field, Schema, Task
from torchyard.serve.decoding.rows import RowDecoder
from torchyard.serve.logs.loggable import LOGGED_CHARACTERS

FIELDS = (
    Field(name="number", kind="number"),
    Field(name="age", kind="integer", personal=True),
    Field(name="income", kind="integer", personal=True, allow=("feature",)),
    Field(name="city", kind="category", personal=True, allow=("log",)),
    Field(name="review", kind="text"),
    Field(name="order", kind="id", optional=True),
    Field(name="photo", kind="image"),
    Field(name="pixels", kind="tensor", shape=(2,)),
)
ROW: dict[str, Any] = {
    "number": 1.5, "age": 41, "income": 9, "city": "Ulm", "review": "schön 👍\x00\n",
    "order": "N1", "photo": base64.b64encode(b"face").decode(), "pixels": [1, 2],
}  # fmt: skip
LOGGED = {name: ROW[name] for name in ("number", "city", "review", "order")}


def logged(*fields: Field, **changes: Any) -> dict[str, Any]:
    decoder = RowDecoder(Schema(fields=fields), max_rows=1)
    row = {field.name: ROW[field.name] for field in fields} | changes
    (decoded,) = decoder.decode(json.dumps({"rows": [row]}).encode()).rows
    form: dict[str, Any] = json.loads(msgspec.json.encode(decoder.loggable(decoded)))
    return form


def test_no_personal_value_no_picture_and_no_tensor_is_logged_unless_allowed() -> None:
    assert logged(*FIELDS) == LOGGED
    assert logged(*FIELDS, order=None) == {n: v for n, v in LOGGED.items() if n != "order"}


def test_texts_are_cut() -> None:
    long = "ß" * (LOGGED_CHARACTERS + 1)
    for fields in (FIELDS, (FIELDS[4], FIELDS[5])):  # with and without a field that is left out
        form = logged(*fields, review=long, order=long)
        assert form["review"] == form["order"] == "ß" * LOGGED_CHARACTERS
    short = "x" * LOGGED_CHARACTERS
    assert logged(FIELDS[4], review=short) == {"review": short}


@pytest.mark.parametrize("rules", [{"max_length": 10}, {"values": ("a", "b")}])
def test_bounded_texts_need_no_cutting(rules: dict[str, Any]) -> None:
    field = Field(name="review", kind="category", **rules)
    decoder = RowDecoder(Schema(fields=(field,)), max_rows=1)
    (row,) = decoder.decode(b'{"rows": [{"review": "a"}]}').rows
    assert decoder.loggable(row) is row


def test_monitoring_reads_every_kind_back(tmp_path: Path) -> None:
    line = {"id": "a", "at": 1.0, "release": "sha256:1", "variant": "v", "scores": [0.25, 0.75]}
    content = json.dumps({**line, "row": logged(*FIELDS)}) + "\n"
    (tmp_path / "0-1-1.jsonl").write_text(content)
    task = Task(kind="binary_classification", label="good", classes=("no", "yes"))
    batches = list(read_predictions(tmp_path, Schema(fields=FIELDS), task))

    assert [batch.unreadable for batch in batches if batch.unreadable] == []
    (row,) = pl.concat([batch.frame for batch in batches]).rows(named=True)
    assert {name: value for name, value in row.items() if name[0] != "@"} == LOGGED
