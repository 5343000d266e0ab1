"""The page of an evaluation: of every kind of task, in plain words first, from records alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.releases import SCHEMA, sample_report
from torchyard.evaluate import Sample, evaluate
from torchyard.pages import render_html, render_markdown
from torchyard.pages.evaluation import Evaluation, evaluation_page
from torchyard.pages.evaluation.plain import against_simple, readiness
from torchyard.records.ageing import AgeAt, Staleness
from torchyard.records.behaviours import BehaviourExample, BehaviourResult
from torchyard.records.calibration import AS_TRAINED
from torchyard.records.evidence import Report
from torchyard.records.measures import Measured
from torchyard.records.schema import Task
from torchyard.records.verdicts import Outcome, Verdict, Waiver
from torchyard.records.weaknesses import (
    Condition,
    ErrorCluster,
    FieldImportance,
    FoundSlice,
    SliceSearch,
)

ROWS = 300
NASTY = "<script>alert(1)</script>"
TASKS = {
    "binary": Task(kind="binary_classification", label="late", classes=("on time", "late")),
    "multiclass": Task(kind="multiclass_classification", label="kind", classes=("a", "b", "c")),
    "multilabel": Task(kind="multilabel_classification", label="tags", classes=("a", "b", "c")),
    "regression": Task(kind="regression", label="delay", classes=(), unit="minutes"),
}
FIRST = {
    "binary": "a coin does in 50",
    "multiclass": "It answers",
    "multilabel": "Of the labels that it gives",
    "regression": "minutes off on average",
}


def about(value: float, half: float = 0.01) -> Measured:
    return Measured(value=value, low=value - half, high=value + half, rows=ROWS, method="made up")


def report_of(task: Task) -> Report:
    draw = np.random.default_rng(0)
    truth: Any
    if task.is_regression:
        truth = draw.normal(size=ROWS)
        value = truth + draw.normal(size=ROWS) / 4
        outputs = np.stack([value, value - 1, value + 1], axis=1)
    elif task.is_multilabel:
        outputs = draw.random((ROWS, 3))
        truth = draw.random((ROWS, 3)) < outputs
    else:
        outputs = draw.dirichlet(np.ones(len(task.classes)), ROWS)
        drawn = (outputs.cumsum(axis=1) > draw.random((ROWS, 1))).argmax(axis=1)
        truth = drawn.astype(bool) if task.is_binary else drawn
    sample = Sample(task=task, truth=truth, outputs=outputs)
    return evaluate(
        sample, model="torch-fp32", split="test", groups={},
        slices={"half": np.where(np.arange(ROWS) % 2 == 0, "even", "odd")},
        baselines={}, resamples=40,
    )  # fmt: skip


def verdict(outcome: Outcome, *, waiver: Waiver | None = None, measured: bool = True) -> Verdict:
    return Verdict(
        gate="auroc at least 0.7", variant="torch-fp32", outcome=outcome, required=True,
        measured=about(0.7) if measured else None, limit=0.7, reason=NASTY, waiver=waiver,
    )  # fmt: skip


def paper(report: Report, *verdicts: Verdict, staleness: Staleness | None = None) -> Evaluation:
    return Evaluation(
        name="flight-delay", description=NASTY, schema=SCHEMA, report=report,
        calibration=AS_TRAINED, verdicts=verdicts, staleness=staleness,
    )  # fmt: skip


@pytest.mark.parametrize("kind", TASKS)
def test_a_page_of_every_kind_of_task(kind: str) -> None:
    page = evaluation_page(paper(report_of(TASKS[kind]), verdict("pass")))
    for text in (render_html(page), render_markdown(page)):
        assert FIRST[kind] in text
        assert "Every required gate passes, 1 in all." in text
        assert "even" in text
        assert NASTY not in text
    assert page.sections[0].title == "In plain words"


def full() -> Report:
    found = FoundSlice(
        conditions=(Condition(field="carrier", value="UA"),), rows=60, measured=about(0.9),
        others=0.4, p_value=1e-6,
    )  # fmt: skip
    behaviour = BehaviourResult(
        name="far", kind="direction", says="Farther is never later", rows=100, failed=3,
        failure_rate=about(0.03),
        examples=(BehaviourExample(row={"distance": 1.0, "seat": None}, changed={"distance": NASTY},
                                   before=(0.6, 0.4), after=(0.2, 0.8)),),
    )  # fmt: skip
    cluster = ErrorCluster(
        field="photo", kind="image", rows=50, errors=30, error_rate=about(0.6), others=0.1,
        pictures=("aGVsbG8=",),
    )  # fmt: skip
    search = SliceSearch(metric="log_loss", tried=900, min_rows=10, method="", found=(found,))
    return replace(
        sample_report("torch-fp32"),
        against={"linear": {"auroc": about(-0.07)}, "majority": {"auroc": about(-0.3)}},
        weaknesses=search,
        behaviours=(behaviour,),
        clusters=(cluster,),
        importance=(
            FieldImportance(field="distance", metric="log_loss", drop=about(0.1), missing=0.01),
        ),
    )


def test_everything_that_was_found_is_told() -> None:
    staleness = Staleness(
        metric="auroc", field="departs", every_days=30, points=(),
        curve=(AgeAt(age_days=15, models=2, measured=about(0.7)),
               AgeAt(age_days=45, models=1, measured=about(0.6))),
        limits={"auroc at least 0.65": 45.0, "auroc at least 0.1": None},
    )  # fmt: skip
    text = render_markdown(evaluation_page(paper(full(), verdict("fail"), staleness=staleness)))
    for said in (
        "It is weakest where carrier = 'UA' (60 rows): log loss 0.9 there, 0.4 elsewhere.",
        "0 of 1 behaviours hold in every row that was tried; 'Farther is never later' fails in 3 "
        "of 100.",
        "The best of the simple models, 'linear', has AUROC 0.74: the model is better by 0.07",
        "0 of 1 required gates pass, 1 missed: it is not let out as it is.",
        "distance = ",
        "late 0.400",
        "1 pictures, on the HTML page",
        "'auroc at least 0.65' would be missed from an age of 45 days on.",
        "'auroc at least 0.1' was missed at no age that was measured.",
    ):
        assert said in text
    assert "<script>" not in render_html(evaluation_page(paper(full())))


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ([], "The project requires nothing of it: no gate is declared."),
        (["pass", "pass"], "Every required gate passes, 2 in all."),
        (["pass", "fail"], "1 of 2 required gates pass, 1 missed: it is not let out as it is."),
        (["inconclusive"], "0 of 1 required gates pass, 1 not settled by so few rows."),
    ],
)
def test_whether_it_is_let_out_in_one_sentence(verdicts: list[Outcome], said: str) -> None:
    assert readiness([verdict(one) for one in verdicts]) == said


def test_what_is_waived_or_not_measured_yet_is_said_so() -> None:
    waiver = Waiver(by="A", reason="b", until="2027-01-01")
    waived = [verdict("pass"), verdict("fail", waiver=waiver)]
    assert readiness(waived) == "1 of 2 required gates pass; 1 are waived."
    unmeasured = verdict("inconclusive", measured=False)
    assert readiness([unmeasured]) == "0 of 1 required gates pass, 1 not measured yet."


@pytest.mark.parametrize(
    ("worse", "said"),
    [(0.1, "is worse by 0.1 (0.09 to 0.11)."), (0.0, "cannot be told from it."),
     (-0.1, "is better by 0.1 (0.09 to 0.11).")],
)  # fmt: skip
def test_the_best_simple_model_is_the_one_to_beat(worse: float, said: str) -> None:
    report = replace(full(), against={"majority": {"auroc": about(-0.4)},
                                      "linear": {"auroc": about(worse)}})  # fmt: skip
    assert against_simple(report).startswith("The best of the simple models, 'linear'")
    assert against_simple(report).endswith(said)
    assert against_simple(replace(report, against={})) == ""
