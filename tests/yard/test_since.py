"""A new release tells which packages and fields are not those of the release before it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.support.releases import SCHEMA, sample_release
from torchyard.records.schema import Field, Schema
from torchyard.yard.since import changes_since


def test_nothing_changed_nothing_told(tmp_path: Path) -> None:
    before = sample_release(tmp_path)
    assert changes_since(before, SCHEMA, before.run.environment) == []


def test_packages_and_fields_that_changed_are_named(tmp_path: Path) -> None:
    before = sample_release(tmp_path)
    now = replace(before.run.environment, packages={"torch": "2.10.0", "numpy": "2.1"}, cores=4)
    distance, _, departs, seat = SCHEMA.fields
    schema = Schema(
        fields=(replace(distance, le=9000), departs, seat, Field(name="gate", kind="category"),
                Field(name="arrived", kind="timestamp", later=True)),
    )  # fmt: skip
    packages, hardware, fields = changes_since(before, schema, now)
    assert packages.endswith("other packages: numpy none -> 2.1, torch 2.9.0 -> 2.10.0")
    assert hardware.endswith("other hardware: cores 2 -> 4")
    assert fields.endswith(
        "other fields: carrier is gone, distance is declared otherwise, gate is new"
    )
