"""A release that a waiver lets out, and the one after it; a threshold chosen by its cost."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import torchyard as ty
from tests.journeys.test_rivals import Told
from torchyard.core.errors import BadProject, Refused

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

TODAY = datetime.now(UTC).date()
SOON, OVER = (TODAY + timedelta(days=9)).isoformat(), (TODAY - timedelta(days=1)).isoformat()
WAIVER = f'waiver=ty.waiver(by="Ada", reason="one town only yet", until="{SOON}")'
PROJECT = """
import numpy as np
import polars as pl
from torch import nn

import torchyard as ty


def rows():
    draw = np.random.default_rng(2)
    x = draw.normal(size=900).round(3)
    return pl.DataFrame({
        "x": x, "town": draw.choice(["north", "south"], 900),
        "day": pl.Series(np.arange(900) // 10).cast(pl.Int64) * 86_400_000_000,
        "y": x + 0.3 * draw.normal(size=900) > 0,
    }).with_columns(pl.col("day").cast(pl.Datetime("us")))


class Net(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.last = nn.Linear(features["numbers"].width, 1)

    def forward(self, numbers):
        return self.last(numbers)


project = ty.Project(
    name="waived", data=rows,
    task=ty.binary_classification("y", threshold=ty.cheapest(false_positive=1, false_negative=5)),
    schema=ty.Schema(x=ty.number(), town=ty.category(), day=ty.timestamp()),
    split=ty.split_by_time("day", validation="1970-02-10", test="1970-03-01"),
    features=ty.Features(numbers=ty.standardize("x")),
    model=Net, slices=["town"],
    training=ty.Training(max_epochs=4, learning_rate=0.05),
    gates=[
        ty.gate("accuracy", at_least=0.999, WAIVER),
        ty.gate("agreement", at_least=0.9),
        ty.gate("cost", at_most=2.0),
        ty.gate("auroc", against="majority", drop_at_most=-0.1),
        ty.gate("findings", severity="fail", at_most=0),
        ty.gate("latency_p99_ms", at_most=1000),
    ],
)
"""


def write(folder: Path, *, waiver: str = WAIVER, epochs: int = 4) -> ty.Yard:
    text = PROJECT.replace("WAIVER", waiver).replace("max_epochs=4", f"max_epochs={epochs}")
    (folder / "project.py").write_text(text)
    return ty.Yard(folder, progress=Told())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("waived")


def test_what_was_waived_stands_on_this_card_and_on_the_next(folder: Path) -> None:
    told = Told()
    write(folder)
    first = ty.Yard(folder, progress=told).ship()
    assert first.waived
    assert {one.gate for one in first.waived} == {"accuracy at least 0.999"}
    assert any(f"waived by Ada until {SOON}" in note for note in told.notes)
    card = ty.Yard(folder).card(first.id)
    assert f"Ada, until {SOON}: one town only yet" in card
    assert "was let out: gate 'accuracy at least 0.999' is fail, waived by Ada" in card
    assert "Waived in earlier releases" not in card

    again = write(folder).ship()
    assert again.id == first.id  # what the first one waived is no news to itself

    second = write(folder, waiver="required=False", epochs=5).release()
    assert second.id != first.id
    assert second.waived == ()
    later = ty.Yard(folder).card(second.id)
    assert "Waived in earlier releases of this model." in later
    assert "In an earlier release, " in later
    evidence = ty.Yard(folder).find_release(second.id).evidence
    assert {one.waiver.by for one in evidence.waived if one.waiver} == {"Ada"}

    third = write(folder, waiver="required=False", epochs=6).release()
    assert ty.Yard(folder).find_release(third.id).evidence.waived == evidence.waived


def test_a_waiver_that_ended_lets_nothing_out(folder: Path) -> None:
    ended = WAIVER.replace(SOON, OVER)
    with pytest.raises(Refused, match=f"accuracy .*the waiver by Ada ended on {OVER}"):
        write(folder, waiver=ended).release()
    with pytest.raises(BadProject, match="expected a day within a year"):
        write(folder, waiver=WAIVER.replace(SOON, "2999-01-01")).open()
    write(folder)


def test_the_chosen_threshold_goes_everywhere(folder: Path) -> None:
    yard = write(folder)
    evaluated = yard.evaluate()
    point = evaluated.report.operating
    assert point is not None
    assert evaluated.task.threshold == evaluated.report.task.threshold == point.threshold
    assert point.threshold != 0.5
    release = yard.find_release(yard.release().id)
    assert release.task.threshold == point.threshold
    assert release.evidence.reports[1].operating is not None
    assert {one.gate: one.outcome for one in yard.verdicts(evaluated)} == {
        "accuracy at least 0.999": "fail",
        "agreement at least 0.90": "inconclusive",
        "cost at most 2": "pass",
        "auroc against majority better by at least 0.10": "pass",
        "findings of severity fail at most 0": "pass",
        "latency_p99_ms at most 1,000": "inconclusive",
    }
    assert set(evaluated.report.baselines) == {"majority", "linear", "trees", "last_value"}
    variants = {one.variant: one for one in release.evidence.verdicts if "agreement" in one.gate}
    measured = variants["onnx-fp32"].measured
    assert measured is not None
    assert measured.rows == evaluated.report.rows


def test_the_command_gives_what_programs_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from typer.testing import CliRunner

    from torchyard.cli.main import app

    write(folder)
    done = CliRunner().invoke(app, ["evaluate", "--project", str(folder), "--json"])
    found = json.loads(done.stdout)
    for measured in found["metrics"].values():
        assert measured.keys() == {"value", "low", "high", "n"}
    assert found["metrics"]["auroc"]["n"] == found["rows"]
    for part in ("slices", "groups", "behaviours", "gates"):
        assert isinstance(found[part], list)
    assert found["slices"][0]["metrics"]["auroc"].keys() == {"value", "low", "high", "n"}
    gate = found["gates"][0]
    assert (gate["name"], gate["verdict"], gate["required"]) == (
        "accuracy at least 0.999", "fail", True,
    )  # fmt: skip
    assert gate["limit"] == 0.999
    assert gate["measured"] == found["metrics"]["accuracy"]["value"]
    shown = CliRunner().invoke(app, ["evaluate", "--project", str(folder)]).stdout
    assert "The model beats the majority by" in shown
    assert "is the cheapest on" in shown
    assert "fail, waived by Ada" in " ".join(shown.split())
