"""Every record of the package, found automatically, round-trips and refuses what it is not."""

from __future__ import annotations

import dataclasses
import importlib
import json
import pkgutil
import typing
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchyard.records
from torchyard.core.errors import BadRecord
from torchyard.core.record import from_json, read_record, to_json, write_record


def every_record() -> list[type]:
    found: list[type] = []
    for module in pkgutil.iter_modules(torchyard.records.__path__):
        for item in vars(importlib.import_module(f"torchyard.records.{module.name}")).values():
            own = f"torchyard.records.{module.name}"
            if isinstance(item, type) and item.__module__ == own:
                assert dataclasses.is_dataclass(item)
                found.append(item)
    return found


RECORDS = every_record()


@cache
def records(kind: type) -> st.SearchStrategy[Any]:
    """A strategy for one kind of record, which may hold records of its own kind."""

    def build() -> st.SearchStrategy[Any]:
        hints = typing.get_type_hints(kind)
        parts = {f.name: values(hints[f.name]) for f in dataclasses.fields(kind)}
        return st.builds(kind, **parts)

    return st.deferred(build)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """A strategy for values of a field's type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return records(kind)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            longest = 1 if dataclasses.is_dataclass(arguments[0]) else 2
            return st.lists(values(arguments[0]), max_size=longest).map(tuple)
        return st.tuples(*(values(argument) for argument in arguments))
    if origin is dict:
        return st.dictionaries(st.text(max_size=5), values(arguments[1]), max_size=2)
    if origin is Literal:
        return st.sampled_from(arguments)
    if arguments:
        return st.one_of(*(values(argument) for argument in arguments))
    return {
        str: st.text(max_size=8),
        int: st.integers(-(2**60), 2**60),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(),
        type(None): st.none(),
        Any: st.one_of(st.integers(), st.text(max_size=3)),
    }[kind]


def test_there_are_records() -> None:
    assert len(RECORDS) > 25
    assert all(record.__dataclass_params__.frozen for record in RECORDS)  # type: ignore[attr-defined]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_a_record_comes_back_equal(record: type, data: st.DataObject) -> None:
    value = data.draw(values(record))
    text = json.dumps(to_json(value), allow_nan=False)
    assert from_json(record, json.loads(text), where="here") == value


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_an_unknown_field_is_refused(record: type) -> None:
    with pytest.raises(BadRecord, match="unknown field 'surprise'"):
        from_json(record, {"surprise": 1}, where="here")


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_no_field_hides_what_the_file_says_of_itself(record: type) -> None:
    assert not {"record", "version"} & {field.name for field in dataclasses.fields(record)}


def test_a_stored_record_names_its_kind_and_version(tmp_path: Path) -> None:
    from torchyard.records.dataset import Split
    from torchyard.records.manifest import Seal

    path = tmp_path / "split.json"
    split = Split(name="train", rows=3, labelled=2, classes=(1, 1))
    write_record(path, split)
    assert json.loads(path.read_text())["record"] == "Split"
    assert read_record(Split, path) == split
    with pytest.raises(BadRecord, match=r"found record 'Split'; expected record 'Seal'"):
        read_record(Seal, path)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[:-20], "as JSON"),
        (lambda text: text.replace('"version": 1', '"version": 7'), "record version 7"),
        (lambda text: text.replace('"rows": 3', '"rows": "3"'), r"\.rows: found '3'; expected int"),
        (lambda text: text.replace('"rows": 3', '"rows": true'), r"\.rows: found True"),
        (lambda text: text.replace('  "rows": 3,\n', ""), "no field 'rows'"),
        (lambda text: text.replace('"train"', '"tain"'), "'train' or 'validation' or 'test'"),
        (lambda text: "[]", "found list; expected an object"),
    ],
)
def test_a_damaged_record_says_what_is_wrong(tmp_path: Path, damage: Any, said: str) -> None:
    from torchyard.records.dataset import Split

    path = tmp_path / "split.json"
    write_record(path, Split(name="train", rows=3, labelled=2, classes=(1, 1)))
    path.write_text(damage(path.read_text()))
    with pytest.raises(BadRecord, match=said):
        read_record(Split, path)
