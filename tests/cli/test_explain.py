"""How the command prints a curve of ages, costs, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.yard.explained import make_yard
from torchyard.cli.explain import show_staleness
from torchyard.cli.main import run
from torchyard.records.ageing import AgeAt, Staleness
from torchyard.records.measures import Measured


def about(value: float) -> Measured:
    return Measured(value=value, low=value - 0.01, high=value + 0.01, rows=1200, method="")


def test_a_curve_is_printed_age_by_age(capsys: pytest.CaptureFixture[str]) -> None:
    show_staleness(
        Staleness(
            metric="auroc", field="at", every_days=30.0, points=(),
            curve=(
                AgeAt(age_days=15.0, models=2, measured=about(0.7)),
                AgeAt(age_days=45.0, models=1, measured=about(0.6)),
            ),
            limits={"auroc at least 0.65": 45.0, "auroc at least 0.50": None},
        )
    )  # fmt: skip
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "age in days models rows auroc 95 % interval",
        "15 2 1,200 0.7000 0.6900 to 0.7100",
        "45 1 1,200 0.6000 0.5900 to 0.6100",
        "auroc at least 0.65: no longer passed at an age of 45 days.",
        "auroc at least 0.50: passed up to an age of 45 days, the oldest that was measured.",
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_costs_are_printed_and_staleness_must_be_declared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_yard(tmp_path, daily=6)
    place = ["--project", str(tmp_path)]
    assert run(["explain", "--drop-one", *place]) == 0
    printed = capsys.readouterr().out
    assert "of a model that was trained without a field" in printed
    assert printed.index("use") < printed.index("idle")
    assert run(["explain", "--drop-one", "--json", *place]) == 0
    costs = json.loads(capsys.readouterr().out)["costs"]
    assert {one["field"] for one in costs} == {"use", "other", "idle", "kind"}
    assert run(["staleness", *place]) == 1
    assert "a project without staleness=" in capsys.readouterr().err
