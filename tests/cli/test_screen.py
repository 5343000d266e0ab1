"""What the screen does with sentences, spinners, readers that leave, and disks that are full."""

from __future__ import annotations

import errno
import io
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console
from rich.text import Text

from torchyard.cli.findings import show_findings, show_row
from torchyard.cli.main import run
from torchyard.cli.refusals import as_refusal
from torchyard.cli.screen import hang, show_error
from torchyard.core.errors import BadUsage, Refused, Stopped, YardError
from torchyard.records.dataset import Finding
from torchyard.yard.init import init_project


def shown(text: str, *, first: str = "", below: str = "", width: int = 30, live: bool) -> list[str]:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=live, color_system=None, soft_wrap=True
    )
    hang(console, Text(first), Text(text), below=below)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_terminal_gets_sentences_folded_between_words() -> None:
    text = "one sentence that is longer than a line\nand another"
    assert shown(text, first="do  ", live=True) == [
        "do  one sentence that is", "    longer than a line", "    and another",
    ]  # fmt: skip
    folded = shown(text, first="# ", below="#   ", live=True)
    assert [line[:4] for line in folded[1:]] == ["#   ", "#   "]


def test_a_pipe_gets_whole_lines() -> None:
    text = "one sentence that is longer than a line by far"
    assert shown(text, first="do  ", live=False) == [f"do  {text}"]


def test_a_path_stays_whole_to_be_copied() -> None:
    path = "/a/path/that/is/longer/than/any/line/here"
    assert shown(f"All of them: {path}", live=True) == ["All of them:", path]


def test_wide_letters_count_twice() -> None:
    assert shown("漢字 " * 4, width=20, live=True) == ["漢字 漢字 漢字 漢字"]
    assert shown("漢字 " * 5, width=20, live=True) == ["漢字 漢字 漢字 漢字", "漢字"]


def test_alike_findings_are_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    about = {"severity": "warn", "rows_checked": 9, "meaning": "Left out.", "rows": 9}
    show_findings([
        *(Finding(rule="is not in the schema", field=name, examples=(), **about)  # type: ignore[arg-type]
          for name in "abc"),
        Finding(rule="is below 0 EUR", field="fee", severity="quarantine", rows=1, rows_checked=9,
                examples=("row 4: -1.0",), meaning="Too little."),
    ])  # fmt: skip
    assert capsys.readouterr().out.splitlines() == [
        "warning    a, b, c: is not in the schema, 9 rows",
        "           Left out.",
        "set aside  fee: is below 0 EUR, 1 row",
        "           Too little.",
        "           such as row 4: -1.0",
    ]


def test_a_row_set_aside_is_told_with_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"fee": -1.0, "photo": b"1234", "note": "x" * 100, "plan": None, "broke": "fee: is low"}
    show_row(row, broke="broke")
    assert capsys.readouterr().out.splitlines() == [
        "- fee: is low",
        f"  fee=-1.0, photo=4 bytes, note={'x' * 60}..., plan=",
    ]


def test_a_full_disk_and_other_faults() -> None:
    full = as_refusal(OSError(errno.ENOSPC, "No space left on device", "rows.csv"))
    assert isinstance(full, YardError)
    assert (full.where, full.found) == ("rows.csv", "No space left on device")
    assert as_refusal(OSError(errno.EIO, "Input/output error")) is None
    assert as_refusal(ValueError("a fault of the program")) is None
    assert as_refusal(ModuleNotFoundError("no", name="a_library_of_the_user")) is None


def test_a_misworded_command_is_json_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "delete", "--where", "a < 1", "--json"]) == 2
    printed = capsys.readouterr().out.splitlines()
    assert json.loads(printed[-1]) == {
        "error": "bad_usage", "where": "torchyard data delete",
        "found": "missing option '--reason'", "expected": "torchyard data delete [OPTIONS]",
        "remedy": "See: torchyard data delete --help",
    }  # fmt: skip
    assert run([]) == run(["data"]) == 2
    assert "Usage: torchyard data" in capsys.readouterr().out


def test_ctrl_c_says_that_it_stopped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("torchyard.yard.proposing.propose_schema", interrupt)
    assert run(["data", "propose", "rows.csv"]) == 130
    assert "Stopped." in capsys.readouterr().err


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = init_project(tmp_path / "churn")
    monkeypatch.chdir(made)
    return made


@pytest.mark.parametrize("words", [["show"], ["show", "--json"], ["log", "--json"]], ids=" ".join)
def test_a_reader_that_leaves_is_no_refusal(folder: Path, words: list[str]) -> None:
    assert run(["data", "add", "--json"]) == 0
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [sys.executable, "-c", "from torchyard.cli.main import main; main()", "data"]
        ended = subprocess.run(
            [*command, *words], stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_name_that_is_no_text_is_told_all_the_same(tmp_path: Path, encoding: str) -> None:
    command = [sys.executable, "-c", "from torchyard.cli.main import main; main()", "data"]
    ended = subprocess.run(
        [*command, "propose", os.fsdecode(b"\xff.csv") + "\u00e9", "--json"], cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["where"] == "\udcff.csv\u00e9"
    assert b"Traceback" not in ended.stderr


def test_nothing_set_aside_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "add"]) == 0
    assert run(["data", "quarantine"]) == 0
    printed = capsys.readouterr().out
    assert "holds 6,000 rows." in printed
    assert "set 0 rows aside." in printed


def test_a_difference_stays_in_its_dataset(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = pl.DataFrame({"age": [n % 80 for n in range(400)]})
    rows.write_csv("one.csv")
    rows.head(300).write_csv("two.csv")
    for name in ("one.csv", "two.csv"):
        assert run(["data", "add", name, "--infer", "--name", "ages"]) == 0
    assert "others with" not in capsys.readouterr().out
    assert run(["data", "diff", "ages@1"]) == 0
    assert "Rows: 300, was 400" in capsys.readouterr().out
    assert run(["data", "show", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["remedy"] == "Name it, as in ages@latest."


def test_without_a_project_it_says_how_to_do_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["data", "add", "rows.csv"]) == 1
    assert "torchyard data add rows.csv --infer" in " ".join(capsys.readouterr().err.split())
    assert run(["data", "log", "-C", "nowhere"]) == 1
    assert "no project.py here or above" in capsys.readouterr().err


def test_an_empty_log_names_another_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["data", "log"]) == 0
    assert capsys.readouterr().out == (
        "No versions of data yet. Add one with: torchyard data add\n"
    )
    pl.DataFrame({"age": [n % 80 for n in range(400)]}).write_csv("ages.csv")
    assert run(["data", "add", "ages.csv", "--infer", "--name", "ages"]) == 0
    capsys.readouterr()
    assert run(["data", "log"]) == 0
    assert "torchyard data log --name ages" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "title"), [(Refused, "Refused"), (BadUsage, "Wrong usage"), (Stopped, "Stopped")]
)
def test_how_a_command_ended_is_its_first_word(
    kind: type[YardError], title: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_error(kind(where="a", found="b", expected="c", remedy="d"), as_json=False)
    assert capsys.readouterr().err.splitlines()[0] == title


def test_with_json_standard_output_is_the_result_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the project's own code prints, with or without an end of line, goes elsewhere."""
    init_project(tmp_path / "demo")
    file = tmp_path / "demo" / "project.py"
    file.write_text(f"print('loading', end='')\n{file.read_text()}")
    assert run(["data", "add", "-C", str(tmp_path / "demo"), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["rows"] == 6000
    assert "loading" in said.err


def wrapped(statement: str, path: Path, *, pages: int = 0) -> Exception:
    """What a library raises from what SQLite says."""
    with closing(sqlite3.connect(path, timeout=0)) as connection:
        if pages:
            connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(sqlite3.Error) as raised:
            connection.execute(statement)
    error = RuntimeError("of a library")
    error.__cause__ = raised.value
    return error


def test_what_a_database_says_is_a_refusal(tmp_path: Path) -> None:
    made = "CREATE TABLE a AS SELECT hex(zeroblob(90000)) AS text"
    full = as_refusal(wrapped(made, tmp_path / "full.db", pages=2))
    assert full is not None
    assert (full.found, full.remedy) == (
        "database or disk is full", "Make room or give access, and run it again.",
    )  # fmt: skip
    with closing(sqlite3.connect(tmp_path / "busy.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        busy = as_refusal(wrapped(made, tmp_path / "busy.db"))
    assert busy is not None
    assert (busy.code, busy.found) == ("not_ready", "database is locked")
    (tmp_path / "torn.db").write_bytes(b"no database" * 100)
    torn = as_refusal(wrapped(made, tmp_path / "torn.db"))
    assert torn is not None
    assert (torn.code, torn.found) == ("bad_record", "file is not a database")
    assert as_refusal(wrapped("SELECT nothing", tmp_path / "none.db")) is None
