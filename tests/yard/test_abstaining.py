"""A project that abstains, and one of a bounded number: what is counted is what is served."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.yard.explained import PROJECT, make_yard
from torchyard.core.errors import Refused
from torchyard.data.rows import request_rows
from torchyard.records.abstaining import Abstention, KnownField
from torchyard.records.verdicts import Objective
from torchyard.release import Release, open_release
from torchyard.runtimes import open_model
from torchyard.serve.engine import Engine, open_engine
from torchyard.serve.soundness import outside_domain
from torchyard.yard import Yard
from torchyard.yard.datasets import training_data
from torchyard.yard.featuring import fit_features
from torchyard.yard.proof import golden_requests
from torchyard.yard.stages import Silent

# MLflow warns of its own libraries; a release takes some seconds
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

GATES = 'gates=[ty.gate("coverage", at_least=0.3), ty.gate("selective_accuracy", at_least=0.5)]'
ABSTAIN = "abstain=ty.Abstain(below=0.7, outside_training=True)"
QUIET = f"{ABSTAIN}, objective=ty.Objective(p99_ms=5000), {GATES},"
AS_NUMBER = (
    ('"y": score > draw.logistic(size=day.size)', '"y": score + draw.normal(size=day.size)'),
    ('ty.binary_classification("y")', 'ty.regression("y", unit="m", ge={ge})'),
)


def sealed(yard: Yard) -> Release:
    yard.ship()
    (folder,) = yard.workspace.releases.iterdir()
    return open_release(folder, trusted=yard.workspace.trusted)


def served(engine: Engine, yard: Yard) -> Any:
    """What the release answers to the test rows, as requests."""
    opened = yard.open()
    featured = fit_features(opened, training_data(opened))
    rows = request_rows(featured.rows("test"), engine.schema)
    body = json.dumps({"rows": rows}).encode()
    return engine.score(engine.decoder.decode(body).rows)


def test_what_is_counted_on_test_rows_is_what_is_served(tmp_path: Path) -> None:
    yard = make_yard(tmp_path, daily=6, more=QUIET)
    release = sealed(yard)
    rule = release.abstention
    assert isinstance(rule, Abstention)
    assert rule.below == 0.7
    assert release.objective == Objective(p99_ms=5000)
    known = {one.field: one for one in rule.known}
    assert list(known) == ["use", "other", "idle", "kind"]
    assert known["kind"] == KnownField(field="kind", missing=False, values=("a", "b"))
    assert known["idle"].missing

    report = next(
        one for one in release.evidence.reports if one.model == release.manifest.ladder[0]
    )
    assert report.selective is not None
    judged = served(open_engine(release, max_rows=10_000), yard)
    reasons = [None if why is None else why.code for why in judged.abstained]
    counted = {why: reasons.count(why) for why in sorted({one for one in reasons if one})}
    assert counted == report.selective.abstained
    assert counted["unsure"] > 0
    assert report.selective.coverage.value == pytest.approx(reasons.count(None) / report.rows)
    better = report.selective.answered["accuracy"].value
    assert better > report.selective.everything["accuracy"].value
    verdicts = [one for one in release.evidence.verdicts if "coverage" in one.gate]
    assert {one.outcome for one in verdicts} == {"pass"}


def of_numbers(folder: Path, *, ge: float) -> None:
    code = PROJECT.format(drift=0.0, daily=6, more="")
    for old, new in AS_NUMBER:
        assert old in code
        code = code.replace(old, new.format(ge=ge))
    folder.mkdir(exist_ok=True)
    (folder / "project.py").write_text(code)


class _Heard(Silent):
    """Progress that keeps its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_values_outside_of_the_domain_are_counted_and_in_no_golden_answer(tmp_path: Path) -> None:
    heard = _Heard()
    of_numbers(tmp_path, ge=-8.0)
    yard = Yard(tmp_path, progress=heard)
    release = sealed(yard)
    counted = release.evidence.reports[0].outside_domain
    assert counted is not None
    assert counted.rows == release.evidence.reports[0].rows
    told = [line for line in heard.notes if "with a value that the task does not allow" in line]
    assert bool(told) == (counted.value > 0)
    answers = np.array(release.golden_answers())
    assert not outside_domain(release.task, answers).any()
    open_engine(release, max_rows=100)

    opened = yard.open()
    stricter = replace(opened.project.task, ge=1e6)
    loaded = replace(opened.loaded, project=replace(opened.project, task=stricter))
    featured = fit_features(opened, training_data(opened))
    model = open_model(release.variant_path(release.manifest.ladder[0]))
    with pytest.raises(
        Refused, match=r"found none that is at least 1e\+06 m; expected values that"
    ):
        golden_requests(replace(opened, loaded=loaded), model, featured)
