"""Whatever columns are called, what is proposed is Python that loads and holds for the data."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import torchyard as ty
from tests.data.test_propose import declared, notes, proposal
from torchyard.cli.main import run
from torchyard.core.errors import BadData, BadProject
from torchyard.data.check import validate
from torchyard.data.propose import propose
from torchyard.data.source import open_source
from torchyard.records.schema import may_be_named

HOSTILE = (
    "", " ", "*", "**", "^$", "^.*$", "^[$", "^(a)(b)$", "^a", "a$", "class", "None", "__debug__",
    "self", "fields", "ty", "schema", "match", "if_", 'say "no"', "it's", '"""', "a,b", "back\\",
    "\\", "new\nline", "\r", "tab\t", "\x00", "\x1b[31m", "\x7f", "\u2028", "\u202e", "\ufeff",
    "@id", "a@", "#", "{x}", "%s", "Łódź", "日本", "👜", "e\u0301", "\u00e9", "ﬁ", "fi", "K",
    "\u212a", "x" * 300, "literal", "len", "count",
)  # fmt: skip
NAMES = st.lists(
    st.sampled_from(HOSTILE) | st.text(max_size=5) | st.from_regex(r"\^.{0,4}\$", fullmatch=True),
    min_size=1, max_size=6, unique=True,
)  # fmt: skip


def test_the_names_hold_pairs_that_are_equal_after_normalisation() -> None:
    assert len({unicodedata.normalize("NFKC", name) for name in HOSTILE}) < len(HOSTILE) - 2


@settings(max_examples=100, deadline=None)
@given(NAMES)
@example([*HOSTILE])
@example(["*", "plain", "^p.*$"])
def test_whatever_the_names_the_code_loads_and_validates_the_data(names: list[str]) -> None:
    values = {name: ["u", "v", None, "v"] * 10 for name in names}
    frame = pl.DataFrame({**values, "a number": [0.5, 1.5] * 20})
    found = proposal(frame)
    schema = declared(found.code)
    assert schema == found.schema
    assert list(schema.names) == [name for name in frame.columns if may_be_named(name)]
    for name in set(frame.columns) - set(schema.names):
        assert "cannot be the name of a field: rename the column" in notes(found, name)[-1]
    checked = validate(open_source(frame, folder=Path(), schema=schema), schema)
    assert checked.accepted == 40
    left_out = {item.field for item in checked.findings if item.rule == "is not in the schema"}
    assert left_out == set(frame.columns) - set(schema.names)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(HOSTILE) | st.text(max_size=4))
def test_a_label_of_any_name_is_proposed_for_or_refused(label: str) -> None:
    frame = pl.DataFrame({label: [True, False] * 60, "x of a row": [0.5, 1.5, 3.0] * 40})
    if may_be_named(label):
        found = proposal(frame, label=label)
        assert declared(found.code).names == ("x of a row",)
        assert notes(found, label)[0].startswith("the label: true in")
        return
    with pytest.raises(BadData) as refused:
        proposal(frame, label=label)
    assert refused.value.where == f"DataFrame, column {label!r}"
    assert refused.value.found == "a name that no label can have"
    assert "nor reads as a pattern, such as *" in refused.value.expected


@pytest.mark.parametrize("form", ["csv", "ndjson", "ipc", "parquet"])
def test_files_with_such_names_are_read(tmp_path: Path, form: str) -> None:
    names = [name for name in HOSTILE if name or form != "csv"]
    texts, numbers = ["u", "v"] * 20, [0.5, 1.5] * 20
    frame = pl.DataFrame({name: numbers if n % 2 else texts for n, name in enumerate(names)})
    path = tmp_path / f"rows.{ {'ndjson': 'jsonl', 'ipc': 'arrow'}.get(form, form) }"
    getattr(frame, f"write_{form}")(path)
    found = propose(open_source(path, folder=tmp_path))
    assert declared(found.code) == found.schema
    assert set(found.schema.names) == set(filter(may_be_named, names))
    checked = validate(open_source(path, folder=tmp_path, schema=found.schema), found.schema)
    assert checked.accepted == 40
    unknown = {item.field for item in checked.findings if item.rule == "is not in the schema"}
    assert unknown == set(names) - set(found.schema.names)


def test_what_may_be_proposed_is_what_may_be_declared() -> None:
    for name in HOSTILE:
        try:
            ty.Schema(**{name: ty.number()})
        except BadProject:
            assert not may_be_named(name)
        else:
            assert may_be_named(name)


def test_rows_without_any_name_that_a_field_may_have_are_refused() -> None:
    with pytest.raises(BadData) as refused:
        proposal(pl.DataFrame({"*": ["a", "b"]}))
    assert "found the columns *, none of which fits" in str(refused.value)
    assert "*: cannot be the name of a field: rename the column" in str(refused.value)


def test_what_is_printed_is_python_whatever_the_names_and_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    odd = ["plain", "import os\nraise SystemExit(9)", "'''", "\x1b[2J", "\u202e"]
    frame = pl.DataFrame({name: odd * 40 for name in HOSTILE}).with_columns(y=pl.Series(odd * 40))
    frame.write_parquet("odd\nraise.parquet")
    assert run(["data", "propose", "odd\nraise.parquet", "--label", "y"]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\u202e" not in printed
    assert set(declared(printed).names) == {*filter(may_be_named, HOSTILE)}
