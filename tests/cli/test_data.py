"""The data commands, on the project that ``torchyard init`` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from torchyard.cli.main import run
from torchyard.yard.init import init_project


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = init_project(tmp_path / "churn")
    monkeypatch.chdir(made)
    return made


def call(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> Any:
    assert run(["data", *words, "--json"]) == status
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def broken(folder: Path) -> str:
    """The project's table with a fee below zero in each of the first ten rows."""
    rows = pl.read_csv(folder / "customers.csv").with_row_index("row")
    fee = pl.when(pl.col("row") < 10).then(-1.0).otherwise(pl.col("monthly_fee"))
    rows.with_columns(monthly_fee=fee).drop("row").write_csv(folder / "broken.csv")
    return "broken.csv"


def test_validate_counts_and_ends_with_one_when_a_rule_is_broken(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(capsys, "validate") == {
        "rows": 6000, "accepted": 6000, "quarantined": 0, "findings": [],
    }  # fmt: skip
    found = call(capsys, "validate", broken(folder), status=1)
    assert (found["rows"], found["accepted"], found["quarantined"]) == (6000, 5990, 10)
    assert [sorted(item) for item in found["findings"]] == [
        ["count", "examples", "field", "meaning", "rule", "severity"]
    ]
    finding = found["findings"][0]
    assert (finding["rule"], finding["field"], finding["count"], finding["severity"]) == (
        "is below 0 EUR", "monthly_fee", 10, "quarantine",
    )  # fmt: skip
    assert finding["examples"][0] == "row 1: -1.0"
    assert not (folder / ".torchyard" / "data").exists()


def test_validate_shows_findings_to_people(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "validate", broken(folder)]) == 1
    shown = capsys.readouterr().out
    assert "6,000 rows: 5,990 fit, 10 do not." in shown
    assert "is below 0 EUR" in shown


def test_a_table_without_a_field_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pl.read_csv(folder / "customers.csv").drop("plan").write_csv(folder / "less.csv")
    refusal = call(capsys, "validate", "less.csv", status=1)
    assert refusal["error"] == "bad_data"
    assert "no such column" in refusal["found"]


def test_the_life_of_a_dataset(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = call(capsys, "add", "--reason", "first")
    assert (one["version"], one["rows"], one["operation"], one["name"]) == (
        1, 6000, "replace", "data",
    )  # fmt: skip
    assert call(capsys, "add")["digest"] == one["digest"]
    two = call(capsys, "add", broken(folder), "--append")
    assert (two["version"], two["rows"], two["quarantined"]) == (2, 11990, 10)
    assert (two["operation"], two["parent"]) == ("append", 1)

    aside = call(capsys, "quarantine", "2", "--rows", "3")
    assert aside["quarantined"] == 10
    assert [row["broke"] for row in aside["rows"]] == ["monthly_fee: is below 0 EUR"] * 3
    assert Path(aside["file"]).exists()

    three = call(capsys, "delete", "--where", "plan = 'family'", "--reason", "asked to")
    assert (three["version"], three["operation"], three["parent"]) == (3, "delete", 2)
    assert three["rows"] + three["deleted"] == 11990

    assert call(capsys, "tag", "1", "paper") == {
        "version": 1, "digest": one["digest"], "tag": "paper",
    }  # fmt: skip
    assert "--move" in call(capsys, "tag", "2", "paper", status=2)["remedy"]
    assert call(capsys, "show", "paper")["digest"] == one["digest"]
    shown = call(capsys, "show")
    assert (shown["version"], shown["number"], shown["tags"]) == (3, 3, [])
    listed = call(capsys, "log")["versions"]
    assert [item["tags"] for item in listed] == [["paper"], [], []]
    for words in (["log"], ["show"], ["quarantine", "2"], ["show", "data@1"]):
        assert run(["data", *words]) == 0
    assert "delete on 2" in capsys.readouterr().out


def test_training_takes_what_was_made_from_the_projects_data(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from torchyard.yard import Yard, datasets

    yard = Yard(folder)
    one = datasets.training_data(yard.open())
    two = yard.delete_data("plan = 'family'", reason="asked to")
    assert datasets.training_data(yard.open()) == two
    assert yard.dataset().version() == two
    call(capsys, "add", broken(folder))
    assert datasets.training_data(yard.open()) == one


def test_another_dataset_has_a_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, "add")
    other = call(capsys, "add", broken(folder), "--name", "holdout")
    assert (other["name"], other["version"], other["rows"]) == ("holdout", 1, 5990)
    assert call(capsys, "show", "holdout@latest")["name"] == "holdout"
    assert len(call(capsys, "log", "--name", "holdout")["versions"]) == 1
    refusal = call(capsys, "show", "hold@1", status=1)
    assert refusal["expected"] == "one of data, holdout"
    assert call(capsys, "log", "--name", "Hold Out", status=2)["error"] == "bad_usage"


def test_files_are_found_from_where_the_command_is_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    below = folder / "below"
    below.mkdir()
    (folder / broken(folder)).rename(below / "here.csv")
    monkeypatch.chdir(below)
    assert call(capsys, "validate", "here.csv", status=1)["quarantined"] == 10
    assert call(capsys, "add", "here.csv")["source"] == "below/here.csv"


def test_datasets_can_be_read_without_a_project_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(capsys, "add")
    (folder / "project.py").unlink()
    assert call(capsys, "show")["version"] == 1
    assert call(capsys, "delete", "--where", "plan = 'family'", "--reason", "r")["version"] == 2
    assert call(capsys, "add", status=1)["error"] == "bad_project"


def test_data_without_a_project_is_kept_under_a_proposed_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = pl.DataFrame({"age": [n % 80 for n in range(400)], "city": ["Oslo", "Rome"] * 200})
    rows.write_csv("people.csv")
    one = call(capsys, "add", "people.csv", "--infer", "--name", "people")
    assert (one["rows"], one["quarantined"], one["source"]) == (400, 0, "people.csv")
    rows.write_parquet("people.parquet")
    again = call(capsys, "add", "people.parquet", "--infer", "--name", "people")
    assert again["digest"] == one["digest"]
    pl.DataFrame({"age": [5, 500], "city": ["Oslo", "Rome"]}).write_csv("more.csv")
    refusal = call(capsys, "add", "more.csv", "--infer", "--append", "--name", "people", status=1)
    assert "1 of 2 rows (50.0%) set aside" in refusal["found"]
    shown = call(capsys, "show", "people@latest")
    assert [field["kind"] for field in shown["schema"]["fields"]] == ["integer", "category"]
    assert "a file, folder or URL" in call(capsys, "add", "--infer", status=2)["expected"]
