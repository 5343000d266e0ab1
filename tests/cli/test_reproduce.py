"""What a person reads of a reproduction, and the exit status that a script gets."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from torchyard.cli.main import run
from torchyard.core.record import to_json
from torchyard.records.measures import Measured
from torchyard.records.reproduction import (
    Changed,
    Compared,
    EnvironmentDifference,
    Parting,
    Reproduction,
)
from torchyard.yard import Yard

SAME = Reproduction(
    run="0123456789abcdef" * 2,
    identical=True,
    first_difference=None,
    environment=EnvironmentDifference(),
    inputs={},
    weights_sha256=Changed(recorded="sha256:" + "a" * 64, now="sha256:" + "a" * 64),
    metrics={"validation_loss": Compared(recorded=0.5, now=0.5)},
    trained_in="here",
)
OTHER = dataclasses.replace(
    SAME,
    identical=False,
    first_difference=Parting(
        step=1, tensor="wide", seen_after=1, losses=None, text="step 1; tensor 'wide' after step 1"
    ),
    environment=EnvironmentDifference(
        python=Changed(recorded="3.11.7", now="3.12.1"),
        packages={f"p{n:02}": Changed(recorded="1", now=None) for n in range(13)},
        hardware={"cores": Changed(recorded="2", now="64")},
    ),
    inputs={"code": Changed(recorded="sha256:" + "c" * 64, now="sha256:" + "d" * 64)},
    weights_sha256=Changed(recorded="sha256:" + "a" * 64, now="sha256:" + "b" * 64),
    metrics={
        "validation_loss": Compared(
            recorded=0.5, now=0.52, within=False,
            difference=Measured(value=0.02, low=0.01, high=0.03, rows=1200, method="paired"),
        )
    },
    trained_in="0a1b2c",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "project.py").write_text("")
    return str(tmp_path)


def answers(patch: pytest.MonkeyPatch, found: Reproduction) -> list[tuple[object, ...]]:
    asked: list[tuple[object, ...]] = []

    def reproduce(self: Yard, run: str | None = None, *, here: bool = False) -> Reproduction:
        asked.append((run, here))
        return found

    patch.setattr(Yard, "reproduce", reproduce)
    return asked


def test_identical_ends_with_0(
    folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = answers(monkeypatch, SAME)
    assert run(["reproduce", "-C", folder]) == 0
    assert asked == [(None, False)]
    assert capsys.readouterr().out == (
        "Identical: run 01234567, trained again, ends with the same bits: weights aaaaaaaaaaaa.\n"
    )


def test_a_difference_ends_with_1_and_is_told_with_all_that_may_explain_it(
    folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = answers(monkeypatch, OTHER)
    assert run(["reproduce", "0123", "--here", "-C", folder]) == 1
    assert asked == [("0123", True)]
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "Not identical: run 01234567 ended with weights aaaaaaaaaaaa, now with bbbbbbbbbbbb.",
        "First difference: step 1; tensor 'wide' after step 1",
        "Trained in the run's own environment, built as 0a1b2c.",
        "differs: code was cccccccccccc, is dddddddddddd",
        "differs: Python was 3.11.7, is 3.12.1",
        "differs: cores was 2, is 64",
        *(f"differs: p{n:02} was 1, is not there" for n in range(10)),
        "differs: 3 more packages; all of them are in --json",
        "validation_loss: 0.5000 recorded, 0.5200 now; worse by +0.02 [+0.01, +0.03] on 1,200 "
        "rows: beyond what chance explains",
    ]


def test_machines_get_the_record(
    folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(monkeypatch, OTHER)
    assert run(["reproduce", "--json", "-C", folder]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == to_json(OTHER)
