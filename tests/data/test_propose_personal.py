"""Columns that look personal are declared so, and nothing that is printed tells their values."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.test_propose import ROWS, cycle, declared, notes, one, proposal, with_odd
from torchyard.cli.main import run
from torchyard.data.check import validate
from torchyard.data.source import open_source
from torchyard.records.schema import Field

SAID = "looks personal ({}): declared personal=True, and nothing of its values is shown"
FIRST, LAST = ("Ada", "Grace", "Łucja", "Emmy", "Sofja"), ("Byron", "Hopper", "Noether")


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("name", "name"), ("firstName", "name"), ("last_name", "name"), ("surname", "name"),
        ("Customer Name", "name"), ("user-name", "name"), ("customer_last_name", "name"),
        ("Email", "e-mail address"), ("contact_email", "e-mail address"),
        ("email_address", "e-mail address"), ("mobile_phone", "phone number"),
        ("Telephone", "phone number"), ("phone_number", "phone number"),
        ("street", "postal address"), ("zip", "postal address"), ("postal_code", "postal address"),
        ("home address", "postal address"), ("birth_date", "date of birth"),
        ("dateOfBirth", "date of birth"), ("SSN", "identity number"),
        ("national_id", "identity number"), ("passport_no", "identity number"),
        ("iban", "identity number"), ("account_number", "identity number"),
        ("ip", "network address"), ("ip_address", "network address"),
    ],
)  # fmt: skip
def test_columns_are_personal_by_name(name: str, word: str) -> None:
    found = proposal(pl.DataFrame({name: cycle(["secret a", "secret b"])}))
    assert found.schema.field(name) == Field(name=name, kind="category", personal=True)
    assert declared(found.code) == found.schema
    assert "secret" not in repr(found)
    (said,) = notes(found, name)
    assert said.startswith(SAID.format(word))


@pytest.mark.parametrize(
    "name",
    ["carrier_name", "filename", "tip", "description", "is_mobile", "hotel", "births",
     "emails_sent", "birth_rate", "scorecard", "phone_calls", "has_passport", "status",
     "streetlight"],
)  # fmt: skip
def test_names_that_only_sound_alike_are_not(name: str) -> None:
    found = proposal(pl.DataFrame({name: cycle(["a", "b"])}))
    assert found.schema.field(name).values == ("a", "b")
    assert notes(found, name) == []


def test_a_place_is_a_hint_only() -> None:
    found = proposal(pl.DataFrame({"latitude": [n / 7 for n in range(ROWS)]}))
    assert not found.schema.field("latitude").personal
    assert notes(found, "latitude") == ["may be where a person lives: consider personal=True"]


FORMS: dict[str, tuple[str, list[str]]] = {
    "mail": ("e-mail address", [f"{n}.ada@example.org" for n in range(300)]),
    "phone": ("phone number", [f"+49 30 55{n:03} 12" for n in range(300)]),
    "few": ("phone number", ["+4930123456", "(212) 555-0199"]),
    "iban": ("identity number", [f"DE89 3704 0044 0532 0130 {n:02}" for n in range(90)]),
    "social": ("identity number", [f"{n:03}-12-6789" for n in range(300)]),
    "card": ("identity number", [f"4111 1111 1111 1{n:03}" for n in range(300)]),
    "net": ("network address", [f"192.168.{n}.17" for n in range(200)]),
    "us": ("postal address", [f"{n} Elm Street" for n in range(90)]),
    "de": ("postal address", [f"Lindenstraße {n}, 89073 Ulm" for n in range(90)]),
}


@pytest.mark.parametrize("form", FORMS)
def test_columns_are_personal_by_what_their_values_look_like(form: str) -> None:
    word, values = FORMS[form]
    field, found = one(cycle(values))
    assert field.personal
    assert (field.values, field.pattern) == ((), None)
    assert any(said.startswith(SAID.format(word)) for said in found), found


@pytest.mark.parametrize(
    "values",
    [
        [str(date(2020, 1, 1) + timedelta(days=n)) for n in range(300)],
        [f"{n % 28 + 1:02}.{n % 12 + 1:02}.2023" for n in range(300)],
        [f"A-{n:04}" for n in range(300)],
        [f"1.{n}.0" for n in range(300)],
        ["10-20", "20-30", "30+"],
        ["see example.org or write to us@", "call 5 times a day", "2 stars"],
    ],
    ids=["iso dates", "dates", "codes", "versions", "ranges", "words"],
)
def test_dates_codes_and_words_are_not(values: list[str]) -> None:
    field, _ = one(cycle(values))
    assert not field.personal


PEOPLE: dict[str, st.SearchStrategy[list[Any]]] = {
    "last_name": st.lists(st.sampled_from(LAST) | st.none(), min_size=120, max_size=120),
    "email": st.lists(
        st.from_regex(r"[a-z]{4,8}77@secret\.org", fullmatch=True), min_size=120, max_size=120
    ),
    "phone": st.lists(
        st.integers(7_710_000, 7_719_999) | st.just("unknown") | st.just("NA"),
        min_size=120, max_size=120,
    ),
    "birth_year": st.lists(st.integers(7_700, 7_799), min_size=120, max_size=120),
    "national_id": st.lists(
        st.from_regex(r"KZ77[0-9]{4}", fullmatch=True), min_size=120, max_size=120
    ),
    "fax": st.just(["Xy77-2"] * 120),
}  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.fixed_dictionaries(PEOPLE), st.integers(0, 2))
def test_nothing_of_personal_values_is_told_and_all_rows_fit(
    values: dict[str, list[Any]], seed: int
) -> None:
    texts = {**values, "phone": [str(value) for value in values["phone"]]}
    frame = pl.DataFrame({**texts, "n": range(120)})
    found = proposal(frame, seed=seed)
    told = found.code + "".join(note.text for note in found.notes)
    for secret in (*LAST, "77", "secret", "unknown", "Xy"):
        assert secret not in told, secret
    personal = {field.name for field in found.schema.fields if field.personal}
    assert personal == set(values)
    assert declared(found.code) == found.schema
    checked = validate(open_source(frame, folder=Path(), schema=found.schema), found.schema)
    assert checked.accepted == 120


def test_what_only_the_other_half_shows_as_personal_is_not_told_either() -> None:
    """Fewer than half of the values that rules are read off are addresses; of all, more are."""
    values = [f"K{n:04}" for n in range(500)] + [f"{n}.ada@example.org" for n in range(498)]
    values = with_odd(cycle(values, 998), "grace@example.org", count=30)
    field, found = one(values)
    assert field.personal
    told = " ".join(found)
    assert SAID.format("e-mail address") in told
    assert "grace" not in told
    assert "ada" not in told


def test_a_label_that_looks_personal_is_not_listed() -> None:
    frame = pl.DataFrame({"last_name": cycle(list(LAST)), "x": [n / 7 for n in range(ROWS)]})
    found = proposal(frame, label="last_name")
    assert notes(found, "last_name") == [
        "the label looks personal (name): its 3 values are not shown"
    ]
    assert not any(name in repr(found) for name in LAST)


def test_the_command_shows_no_personal_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({
        "first_name": cycle(list(FIRST)), "mail": cycle(FORMS["mail"][1]),
        "city": cycle(["Ulm", "Bonn"]),
    }).write_csv("people.csv")  # fmt: skip
    for more in ([], ["--json"]):
        assert run(["data", "propose", "people.csv", *more]) == 0
        printed = capsys.readouterr().out
        assert not any(secret in printed for secret in (*FIRST, "example.org"))
        assert "Bonn" in printed
    schema = json.loads(printed.splitlines()[-1])["schema"]["fields"]
    assert [field["personal"] for field in schema] == [True, True, False]
