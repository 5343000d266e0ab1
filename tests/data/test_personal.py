"""What may be published of a version: nothing that a person put into a personal field."""

from __future__ import annotations

import json
from dataclasses import replace

from tests.support.releases import sample_dataset
from torchyard.core.record import to_json
from torchyard.data.personal import publishable, publishable_profile
from torchyard.records.dataset import FieldProfile, Finding, Profile
from torchyard.records.schema import Field, Schema

SECRET = "Ann Smith"
WORDS = FieldProfile(name="word", kind="text", rows=9, missing=0, values=(SECRET,), counts=(9,))
NAME = FieldProfile(
    name="name", kind="text", rows=10, missing=1, minimum=1.0, maximum=9.0, mean=4.0, edges=(2.0,),
    quantiles=(3.0,) * 9, values=(SECRET,), counts=(9,), other=0, parts=(WORDS,),
)  # fmt: skip
CITY = FieldProfile(name="city", kind="category", rows=10, missing=0, values=("Ulm",), counts=(10,))
SCHEMA = Schema(
    fields=(Field(name="name", kind="text", personal=True), Field(name="city", kind="category"))
)


def finding(field: str) -> Finding:
    return Finding(
        rule="is odd", field=field, severity="warn", rows=1, rows_checked=10,
        examples=(f"row 3: '{SECRET}'",), meaning="Odd.",
    )  # fmt: skip


def test_a_profile_tells_only_how_many_rows_have_a_personal_value() -> None:
    name, city = publishable_profile(Profile(rows=10, fields=(NAME, CITY)), SCHEMA).fields

    assert name == FieldProfile(name="name", kind="text", rows=10, missing=1)
    assert city == CITY


def test_findings_keep_counts_and_lose_examples_that_may_show_a_person() -> None:
    fields = ("name", "city", "name, city", "", "label", "city,name")
    version = replace(
        sample_dataset(),
        schema=SCHEMA,
        profile=Profile(rows=10, fields=(NAME, CITY)),
        findings=tuple(finding(field) for field in fields),
    )

    found = publishable(version)

    assert [item.field for item in found.findings if item.examples] == ["city"]
    assert [item.rows for item in found.findings] == [1] * len(fields)
    hidden = replace(found, findings=tuple(f for f in found.findings if f.field != "city"))
    assert SECRET not in json.dumps(to_json(hidden))
    assert replace(found, profile=version.profile, findings=version.findings) == version


def test_without_personal_fields_nothing_changes() -> None:
    allowed = replace(SCHEMA.field("name"), allow=("log",))
    for schema in (Schema(fields=(allowed,)), Schema(fields=(SCHEMA.field("city"),))):
        version = replace(sample_dataset(), schema=schema, findings=(finding(""), finding("name")))
        assert publishable(version) == version
