"""What a small model looks at, what its fields cost, and why its answers are what they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.yard.explained import make_yard
from torchyard.cli.main import run
from torchyard.core.errors import BadData, BadProject, BadUsage
from torchyard.project import Features, cross, log, lookup, standardize
from torchyard.records.evidence import Report
from torchyard.yard import Yard
from torchyard.yard.attributing import Attribution
from torchyard.yard.field_costs import features_without, kept_costs


@pytest.fixture(scope="module", name="yard")
def _yard(tmp_path_factory: pytest.TempPathFactory) -> Yard:
    return make_yard(tmp_path_factory.mktemp("explained"), daily=6)


@pytest.fixture(scope="module", name="report")
def _report(yard: Yard) -> Report:
    return yard.evaluate().report


@pytest.mark.slow
def test_the_fields_that_decide_the_label_are_what_the_model_looks_at(report: Report) -> None:
    found = {one.field: one for one in report.importance}
    assert [one.field for one in report.importance][:2] == ["use", "kind"]
    assert set(found) == {"use", "other", "idle", "kind"}
    for name in ("use", "kind"):
        assert (found[name].drop.low or 0) > 0
    assert (found["idle"].drop.low or 0) <= 0 <= (found["idle"].drop.high or 0) + 0.02
    assert {one.metric for one in report.importance} == {"log_loss"}
    assert found["idle"].missing == pytest.approx(0.2, abs=0.06)
    assert found["use"].missing == 0.0


pytestmark = pytest.mark.filterwarnings("ignore")


def told(one: Attribution) -> dict[str, float]:
    return {part.field: part.moves.value for part in one.parts}


@pytest.mark.slow
def test_what_fields_did_adds_up_to_the_answer(yard: Yard) -> None:
    evaluated = yard.evaluate()
    for number in (1, 7):
        (found,) = yard.explain(number)
        assert found.of == "y"
        assert found.answer == pytest.approx(evaluated.outputs[number - 1, 1], abs=1e-6)
        parts = [part.moves for part in found.parts]
        assert found.reference + sum(one.value for one in parts) == pytest.approx(
            found.answer, abs=1e-5
        )
        assert all((one.low or 0) <= one.value <= (one.high or 0) for one in parts)
        assert (found,) == yard.explain(number)


@pytest.mark.slow
def test_a_strong_value_moves_the_answer_and_an_idle_one_does_not(yard: Yard) -> None:
    row = {"at": "2024-11-01T00:00:00", "use": 2.5, "other": 0.0, "kind": "a"}
    high, low = yard.explain([row, {**row, "use": -2.5}])
    assert high.parts[0].field == low.parts[0].field == "use"
    assert told(high)["use"] > 0.2 > -0.2 > told(low)["use"]
    assert abs(told(high)["idle"]) < 0.05
    shown = {part.field: part.value for part in high.parts}
    assert shown == {"use": "2.5", "other": "0.0", "idle": "missing", "kind": "a"}


@pytest.mark.slow
def test_rows_that_cannot_be_explained_are_refused(yard: Yard) -> None:
    with pytest.raises(BadUsage, match="1 to 100 rows"):
        yard.explain([])
    with pytest.raises(BadUsage, match="a test row, 1 to"):
        yard.explain(10**6)
    with pytest.raises(BadData, match="use"):
        yard.explain([{"at": "2024-11-01T00:00:00"}])


@pytest.mark.slow
def test_a_field_that_decides_earns_its_cost_and_the_release_carries_it(yard: Yard) -> None:
    evaluated, opened = yard.evaluate(), yard.open()
    assert kept_costs(opened, evaluated) == ()
    found = {one.field: one for one in yard.costs()}
    assert kept_costs(opened, evaluated) == yard.costs()
    for name in ("use", "kind"):
        assert found[name].earns_its_cost
        assert (found[name].loss.low or 0) > 0
    assert not found["idle"].earns_its_cost
    assert found["idle"].missing == pytest.approx(0.2, abs=0.06)
    released = yard.ship()
    assert yard.find_release(released.id).evidence.costs == yard.costs()
    card = yard.card()
    assert "What fields cost" in card
    assert "What the model looks at" in card


def test_costs_of_weights_that_were_given_are_refused(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from torchyard.yard.field_costs import cost_fields

    opened = SimpleNamespace(project=SimpleNamespace(weights="net.safetensors"))
    with pytest.raises(BadProject, match="whose weights are given"):
        cost_fields(opened, SimpleNamespace())  # type: ignore[arg-type]


def test_features_without_a_field_lose_what_reads_it_alone() -> None:
    features = Features(
        numbers=standardize(log("fare"), "distance"), carrier=lookup("carrier"),
        both=cross(lookup("carrier"), lookup("origin")),
    )  # fmt: skip
    rest = features_without(features, "fare")
    assert rest is not None
    assert [one.fields for one in rest] == [("distance",), ("carrier",), ("carrier", "origin")]
    assert features_without(features, "carrier") is None
    plain = features_without(Features(a=standardize("x"), b=lookup("y")), "x")
    assert plain is not None
    assert [one.output for one in plain] == ["b"]
    assert features_without(Features(a=standardize("x")), "x") is None


@pytest.mark.slow
def test_the_command_prints_the_table_and_json(
    yard: Yard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--project", str(yard.workspace.folder)]
    assert run(["explain", *place]) == 0
    printed = capsys.readouterr().out
    assert "How much worse log_loss gets" in printed
    assert printed.index("use") < printed.index("idle")
    assert run(["explain", "--json", *place]) == 0
    assert len(json.loads(capsys.readouterr().out)["importance"]) == 4
    file = tmp_path / "row.json"
    file.write_text(json.dumps({"at": "2024-11-01T00:00:00", "use": 1, "other": 0, "kind": "b"}))
    assert run(["explain", "--row", str(file), *place]) == 0
    assert "What each field did" in capsys.readouterr().out
    assert run(["explain", "--number", "2", "--json", *place]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["answers"]
    assert np.isclose(
        answer["reference"] + sum(one["moves"]["value"] for one in answer["parts"]),
        answer["answer"], atol=1e-5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--drop-one", "--number", "1"], "several of"),
        (["--row", "none.json"], "a JSON file"),
    ],
)
def test_wrong_usage_is_told(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_yard(tmp_path)
    assert run(["explain", *words, "--project", str(tmp_path)]) == 2
    assert told in capsys.readouterr().err
