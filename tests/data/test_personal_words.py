"""No data command says what stands in a personal field: not in screens, JSON or refusals."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import torchyard as ty
from torchyard.cli.main import run
from torchyard.core.errors import BadData
from torchyard.data.check import validate
from torchyard.data.source import open_source

SECRET = "Zaphod"
SCHEMA = ty.Schema(
    name=ty.text(personal=True), born=ty.timestamp(personal=True, optional=True),
    fee=ty.number(personal=True), x=ty.number(),
)  # fmt: skip
HEADER = "name,born,fee,x\n"
GOOD = f"{SECRET},2024-01-01,1,2\n"
FILES = {
    "a number": ("a.csv", HEADER + GOOD + f"a,,{SECRET},1\n", "found a personal value; expected"),
    "a time": ("a.csv", HEADER + f"a,{SECRET},1,1\n", "column 'born', row 1 (line 2)"),
    "a time in JSON": ("a.jsonl", f'{{"name": "a", "born": "{SECRET}", "fee": 1, "x": 1}}\n',
                       "found a personal value; expected a local date"),
    "a short row": ("a.csv", HEADER + GOOD + f"{SECRET},,1\n", "found 3 cells; expected 4"),
    "an open quote": ("a.csv", HEADER + GOOD + f'"{SECRET},,1,1\n', "line 3: found a quote"),
    "no header": ("a.csv", GOOD * 3, "does the file begin with their names?"),
    "a cut line": ("a.jsonl", f'{{"name": "{SECRET}", "bo', "found malformed JSON (Unterminated"),
    "two types": ("a.jsonl", f'{{"fee": 1}}\n{{"fee": "{SECRET}"}}\n', "found a personal text;"),
    "another type": ("a.jsonl", f'{{"name": "a", "born": null, "fee": "{SECRET}", "x": 1}}\n',
                     "column 'fee': found String values; expected numbers"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_a_refusal_names_the_place_and_not_the_value(tmp_path: Path, case: str) -> None:
    name, content, said = FILES[case]
    (tmp_path / name).write_text(content)
    with pytest.raises(BadData) as refused:
        validate(open_source(name, folder=tmp_path, schema=SCHEMA), SCHEMA)
    assert SECRET not in str(refused.value)
    assert said in str(refused.value)


PROJECT = """
import torchyard as ty

project = ty.Project(
    name="guests", task=ty.binary_classification(label="y", classes=("no", "yes")),
    schema=ty.Schema(
        name=ty.id(personal=True, unique=True), city=ty.category(personal=True),
        born=ty.timestamp(personal=True), fee=ty.number(personal=True, ge=0), x=ty.number(),
    ),
    data="one.csv", split=ty.split_by_hash(),
    features=ty.Features(numbers=ty.standardize("x")), model=lambda graph: None,
    checks=ty.Checks(quarantine_at_most=1.0),
)
"""


def test_no_command_shows_a_personal_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "project.py").write_text(PROJECT)
    marks = (SECRET, "77123", "1912-12-12", "1912-12-13", "-1800")
    for name, first in (("one", 0), ("two", 20)):
        rows = [
            {"name": f"{SECRET}{n}", "city": f"{SECRET}burg", "born": f"1912-12-1{2 + n % 2}",
             "fee": 77123.5 if n > 2 else -77123.5, "x": n / 7 + first, "y": n % 3 == 0}
            for n in range(first, first + 60)
        ]  # fmt: skip
        pl.DataFrame(rows).write_csv(tmp_path / f"{name}.csv")
    for words in (
        "validate one.csv", "add one.csv", "add two.csv --reason more", "show", "show 1", "log",
        "diff 1 2", "diff 1 2 --key name",
    ):  # fmt: skip
        for option in ([], ["--json"]):
            status = run(["data", *words.split(), *option])
            assert status == (1 if "validate" in words else 0)
            out, err = capsys.readouterr()
            shown = [mark for mark in marks if mark in out + err]
            assert not shown, (words, shown, out)
