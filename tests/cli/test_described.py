"""What people and machines are shown of profiles and differences."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import torchyard as ty
from torchyard.cli.described import show_difference, show_profile
from torchyard.cli.main import run
from torchyard.data.profile import profile
from torchyard.records.difference import DatasetDiff, Redeclared
from torchyard.yard.init import init_project


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two versions: fees rose by 10, one plan is gone, ten rows are new."""
    made = init_project(tmp_path / "churn")
    monkeypatch.chdir(made)
    assert run(["data", "add", "--json"]) == 0
    rows = pl.read_csv("customers.csv").with_columns(pl.col("monthly_fee") + 10)
    plan = rows["plan"][0]
    rows = rows.filter(pl.col("plan") != plan)
    pl.concat([rows, rows.head(10)]).write_csv("later.csv")
    assert run(["data", "add", "later.csv", "--json"]) == 0
    return made


def test_a_difference_for_machines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["data", "diff", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["rows_before"] == 6000
    assert found["rows_added"] == found["rows_after"]
    assert found["keyed"] is None
    moved = {change["field"]: change for change in found["changes"]}
    assert moved["monthly_fee"]["decile_shift"] > 5
    assert moved["plan"]["vanished_values"]


def test_a_difference_for_people(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["data", "diff", "1", "2"]) == 0
    shown = capsys.readouterr().out
    assert "was 6,000;" in shown
    assert "EUR" in shown
    assert "gone " in shown


def test_a_key_that_is_not_one_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["data", "diff", "1", "2", "--key", "plan, monthly_fe", "--json"]) == 2
    refusal = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert refusal["found"] == "'monthly_fe'"
    assert run(["data", "diff", "1", "2", "--key", "plan", "--json"]) == 2
    refusal = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert refusal["expected"] == "a key that names one row"


def test_nothing_moved(capsys: pytest.CaptureFixture[str]) -> None:
    show_difference(
        DatasetDiff(
            before="a", after="b", label_before="late", label_after=None, fields_added=("new",),
            fields_removed=(), rows_before=5, rows_after=5, rows_added=0,
            rows_removed=0, keyed=None, changes=(),
            fields_redeclared=(Redeclared(field="x", changes=("le: 2, was 1",)),),
        )
    )  # fmt: skip
    assert capsys.readouterr().out.splitlines() == [
        "Fields added: new",
        "Field x is declared differently: le: 2, was 1",
        "Label: none, was late",
        "Rows: 5, was 5; 0 added, 0 removed as whole rows",
        "No distribution moved.",
    ]


def test_a_profile_shows_fields_and_their_parts(capsys: pytest.CaptureFixture[str]) -> None:
    schema = ty.Schema(note=ty.text(), color=ty.category(), x=ty.number())
    rows = pl.DataFrame(
        {"note": ["a b c"] * 4, "color": ["red", "red", "red", "blue"], "x": [1.0, 2.0, 3.0, 4.0]}
    )
    show_profile(profile(rows, schema))
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["words", "integer", "0%", "1", "always", "3", "words"] in shown
    assert ["color", "category", "0%", "2", "red", "(75.0%),", "blue", "(25.0%)"] in shown
    assert ["x", "number", "0%", "4", "1", "to", "4;", "median", "2.5,", "mean", "2.5,",
            "sd", "1.118"] in shown  # fmt: skip
