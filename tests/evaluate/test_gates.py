from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any, Literal

import pytest

from tests.evaluate.samples import LATE, about, task_of, variant
from torchyard.core.errors import BadProject
from torchyard.evaluate.judging.gate_checks import LATENCY, SIZE, check_gate, check_gates
from torchyard.evaluate.judging.gates import judge, passes, refusal
from torchyard.evaluate.metrics.kinds import BINARY, MULTICLASS
from torchyard.records.behaviours import BehaviourResult
from torchyard.records.dataset import Finding
from torchyard.records.evidence import GroupResult, Report, Variant
from torchyard.records.measures import Measured
from torchyard.records.verdicts import Gate, Objective, Verdict, Waiver

TODAY = date(2026, 11, 25)


def part(field: str, value: str, rows: int, **metrics: Measured) -> GroupResult:
    classes = (rows - rows // 4, rows // 4)
    return GroupResult(field=field, value=value, rows=rows, classes=classes, metrics=metrics)


REPORT = Report(
    model="fp32",
    split="test",
    rows=28_112,
    task=LATE,
    classes=(21_112, 7_000),
    metrics={"auroc": about(0.72, rows=28_112), "selection_rate": about(0.2)},
    baselines={},
    fairness={"origin": {"equalized_odds_difference": about(0.05)}, "sex": {}},
    groups=(
        part("origin", "JFK", 9000, auroc=about(0.7)),
        part("origin", "EWR", 9000, auroc=about(0.71)),
        part("sex", "f", 900, auroc=about(0.7)),
        part("sex", "m", 40),
    ),
    slices=(
        part("carrier", "UA", 9000, auroc=about(0.72, rows=9000)),
        part("carrier", "HA", 512, auroc=about(0.55, 0.02, rows=512)),
        part("carrier", "YV", 600, auroc=about(0.56, 0.02, rows=600)),
        part("carrier", "F9", 700, auroc=about(0.61, 0.02, rows=700)),
        part("carrier", "OO", 30, auroc=about(0.2, 0.1, rows=30)),
        part("carrier", "VX", 501),
    ),
    reliability=(),
)


def one(gate: Gate, *, of: Variant | None = None, **options: Any) -> Verdict:
    (verdict,) = judge((gate,), report=REPORT, variant=of or variant(), today=TODAY, **options)
    return verdict


@pytest.mark.parametrize(
    ("limit", "outcome", "reason"),
    [
        (0.70, "pass", "0.7200 [0.7100, 0.7300] clears at least 0.70 by 0.0200 (28,112 rows)"),
        (0.74, "fail", "0.7200 [0.7100, 0.7300] misses at least 0.74 by 0.0200 (28,112 rows)"),
        (
            0.715,
            "inconclusive",
            "0.7200 [0.7100, 0.7300] leaves at least 0.715 open (28,112 rows): "
            "about 230,000 rows would settle it",
        ),
    ],
)
def test_a_metric_against_its_limit(limit: float, outcome: str, reason: str) -> None:
    assert one(Gate(metric="auroc", at_least=limit, required=False)) == Verdict(
        gate=f"auroc at least {limit:.3f}".replace("0.700", "0.70").replace("0.740", "0.74"),
        variant="fp32",
        outcome=outcome,  # type: ignore[arg-type]
        required=False,
        measured=REPORT.metrics["auroc"],
        limit=limit,
        reason=reason,
    )


def test_a_metric_that_is_undefined_is_inconclusive() -> None:
    verdict = one(Gate(metric="precision", at_least=0.5))
    assert verdict.outcome == "inconclusive"
    assert verdict.measured is None
    assert verdict.reason == "precision is undefined on these 28,112 rows"


def test_a_difference_between_groups() -> None:
    verdict = one(Gate(metric="equalized_odds_difference", group="origin", at_most=0.1))
    assert verdict.outcome == "pass"
    assert verdict.gate == "equalized_odds_difference between origin groups at most 0.10"
    assert verdict.reason == "0.0500 [0.0400, 0.0600] clears at most 0.10 by 0.0500 (10,000 rows)"


def test_differences_that_do_not_exist_are_inconclusive_and_say_why() -> None:
    few = one(Gate(metric="equalized_odds_difference", group="sex", at_most=0.1))
    undefined = one(Gate(metric="predictive_parity_difference", group="origin", at_most=0.1))
    assert (few.outcome, undefined.outcome) == ("inconclusive", "inconclusive")
    assert few.reason == (
        "1 of 2 sex groups have 100 rows and 10 of either class; a difference needs two"
    )
    assert undefined.reason == (
        "it is undefined in one of the origin groups, for example with nothing selected"
    )


def test_the_objective_is_judged_as_gates() -> None:
    verdicts = judge(
        (),
        report=REPORT,
        variant=variant(),
        today=TODAY,
        objective=Objective(p99_ms=2, max_size_mb=50),
    )
    assert [(one.gate, one.outcome, one.required, one.reason) for one in verdicts] == [
        (
            "latency_p99_ms at most 2",
            "fail",
            True,
            "3.0000 [2.5000, 3.5000] misses at most 2 by 1.0000 (2,000 calls on one core)",
        ),
        ("size_mb at most 50", "pass", True, "4.0000 clears at most 50 by 46"),
    ]
    assert verdicts[0].measured == Measured(
        value=3.0,
        low=2.5,
        high=3.5,
        rows=2000,
        method="99th percentile of 2,000 calls with one row on one core, order statistics",
    )


def test_no_objective_is_no_verdict() -> None:
    assert judge((), report=REPORT, variant=variant(), today=TODAY, objective=Objective()) == ()


def test_latency_that_was_not_measured_is_inconclusive() -> None:
    verdict = one(Gate(metric="latency_p99_ms", at_most=5.0), of=variant(p99_ms=None))
    assert verdict.outcome == "inconclusive"
    assert verdict.reason == "the latency of one row was not measured: the runtime crashed"


def test_against_the_champion() -> None:
    gate = Gate(metric="auroc", against="champion", drop_at_most=0.005)
    first = one(gate)
    assert (first.outcome, first.reason, first.limit) == ("pass", "no other release serves", 0.005)
    assert one(gate, against={"champion": {}}).reason == "it was not measured against champion"
    assert one(gate, against={"champion": {}}).outcome == "inconclusive"
    better = one(gate, against={"champion": {"auroc": about(-0.003, 0.002)}})
    assert better.outcome == "pass"
    assert better.reason == (
        "-0.0030 [-0.0050, -0.0010] clears at most 0.005 by 0.0080 (10,000 rows)"
    )
    assert one(gate, against={"champion": {"auroc": about(0.01, 0.002)}}).outcome == "fail"


def test_slices_that_miss_are_named_with_their_numbers() -> None:
    verdict = one(Gate(metric="auroc", per_slice="carrier", at_least=0.6, min_rows=500))
    assert verdict.outcome == "fail"
    assert verdict.gate == "auroc per carrier at least 0.60 (slices of 500 rows or more)"
    assert verdict.reason == (
        "2 of 4 slices miss at least 0.60: "
        "HA 0.5500 [0.5245, 0.5755] by 0.0500 (512 rows), "
        "YV 0.5600 [0.5345, 0.5855] by 0.0400 (600 rows); "
        "intervals widened to 98.75 % for 4 slices (Bonferroni); "
        "too few rows or classes to measure: VX"
    )
    assert verdict.measured is not None
    assert verdict.measured.value == 0.55
    assert verdict.measured.method.endswith("widened to 98.75 % for 4 slices (Bonferroni)")


def test_slices_that_are_open_are_named_with_what_would_settle_them() -> None:
    verdict = one(Gate(metric="auroc", per_slice="carrier", at_least=0.6, min_rows=650))
    assert verdict.outcome == "inconclusive"
    assert verdict.reason == (
        "1 of 2 slices leave at least 0.60 open: F9 0.6100 [0.5871, 0.6329] (700 rows); "
        "for F9, about 7,500 rows would settle it; "
        "intervals widened to 97.5 % for 2 slices (Bonferroni)"
    )


def test_slices_that_all_clear_name_the_narrowest() -> None:
    verdict = one(Gate(metric="auroc", per_slice="carrier", at_least=0.5, min_rows=550))
    assert verdict.outcome == "pass"
    assert verdict.reason == (
        "all 3 slices clear at least 0.50, YV 0.5600 [0.5356, 0.5844] (600 rows) the narrowest; "
        "intervals widened to 98.33 % for 3 slices (Bonferroni)"
    )


def test_groups_serve_as_slices_of_a_protected_field() -> None:
    verdict = one(Gate(metric="auroc", per_slice="origin", at_least=0.6))
    assert verdict.reason.startswith("all 2 slices clear at least 0.60, JFK 0.7000")


def test_no_slice_large_enough_is_inconclusive() -> None:
    gate = Gate(metric="auroc", per_slice="carrier", at_least=0.6, min_rows=10_000)
    assert one(gate).outcome == "inconclusive"
    assert one(gate).reason == "auroc was measured in no slice of carrier of 10,000 rows or more"


def test_many_slices_are_not_all_listed() -> None:
    many = tuple(part("carrier", f"C{i}", 500, auroc=about(0.5, 0.01)) for i in range(9))
    gate = Gate(metric="auroc", per_slice="carrier", at_least=0.6)
    (verdict,) = judge((gate,), report=replace(REPORT, slices=many), variant=variant(), today=TODAY)
    assert "9 of 9 slices miss at least 0.60: C0" in verdict.reason
    assert "C4" in verdict.reason
    assert "C5" not in verdict.reason
    assert "and 4 more" in verdict.reason


def test_only_required_gates_refuse_and_inconclusive_is_not_passed() -> None:
    verdicts = judge(
        (
            Gate(metric="auroc", at_least=0.7),
            Gate(metric="auroc", at_least=0.9, required=False),
        ),
        report=REPORT,
        variant=variant(),
        today=TODAY,
    )
    assert passes(verdicts)
    assert refusal(verdicts) == []
    unsettled = judge(
        (Gate(metric="auroc", at_least=0.9), Gate(metric="brier", at_most=0.2)),
        report=REPORT,
        variant=variant(),
        today=TODAY,
    )
    assert not passes(unsettled)
    assert refusal(unsettled) == [
        "fp32: auroc at least 0.90: fail: "
        "0.7200 [0.7100, 0.7300] misses at least 0.90 by 0.1800 (28,112 rows)",
        "fp32: brier at most 0.20: inconclusive: brier is undefined on these 28,112 rows",
    ]


@pytest.mark.parametrize("metric", [*BINARY.metrics, LATENCY, SIZE])
def test_every_metric_can_be_a_gate(metric: str) -> None:
    assert one(Gate(metric=metric, at_most=1.0)).gate == f"{metric} at most 1"


@pytest.mark.parametrize("metric", BINARY.rates)
def test_every_difference_can_be_a_gate(metric: str) -> None:
    assert one(Gate(metric=metric, group="origin", at_most=1.0)).outcome != "fail"


@pytest.mark.parametrize(
    ("gate", "text"),
    [
        (
            Gate(metric="aurok", at_least=0.7),
            "gate aurok: found metric 'aurok'; expected a metric of the report on a binary "
            "task. Did you mean 'auroc'?",
        ),
        (
            Gate(metric="macro_auroc", at_least=0.7),
            "gate macro_auroc: found metric 'macro_auroc', of multiclass and multilabel tasks "
            "only; expected a metric of the report on a binary task. Did you mean 'auroc'?",
        ),
        (
            Gate(metric="auroc"),
            "gate auroc: found 0 limits; expected at_least or at_most, or against='champion' "
            "(or a baseline) with drop_at_most. Give one limit per gate.",
        ),
        (Gate(metric="auroc", at_least=0.1, at_most=0.2), "gate auroc: found 2 limits"),
        (
            Gate(metric="auroc", against="champion", at_least=0.1),
            "gate auroc: found against='champion'",
        ),
        (
            Gate(metric="auroc", group="origin", at_least=0.1),
            "gate auroc: found group='origin'; expected a group with a fairness difference, and "
            "with nothing else. Fairness differences: demographic_parity_difference, ",
        ),
        (
            Gate(metric="equalized_odds_difference", at_most=0.1),
            "gate equalized_odds_difference: found no group",
        ),
        (
            Gate(metric="size_mb", per_slice="carrier", at_most=1.0),
            "gate size_mb: found per_slice; expected at most one of per_slice and against, with "
            "a metric of rows. Metrics of rows: auroc, ",
        ),
        (
            Gate(metric="auroc", per_slice="carrier", against="champion", drop_at_most=0.1),
            "gate auroc: found per_slice and against",
        ),
        (
            Gate(metric="selection_rate", against="champion", drop_at_most=0.1),
            "gate selection_rate, against='champion': found metric 'selection_rate', of which "
            "neither more nor less is better",
        ),
    ],
)
def test_a_gate_that_cannot_be_judged_is_refused(gate: Gate, text: str) -> None:
    with pytest.raises(BadProject) as refused:
        check_gate(gate, LATE)
    assert str(refused.value).startswith(text)
    with pytest.raises(BadProject):
        one(gate)


@pytest.mark.parametrize("metric", [*MULTICLASS.metrics, LATENCY, SIZE])
def test_every_metric_of_many_classes_can_be_a_gate(metric: str) -> None:
    check_gate(Gate(metric=metric, at_most=1.0), task_of(5))


@pytest.mark.parametrize("metric", MULTICLASS.rates)
def test_every_difference_of_many_classes_can_be_a_gate(metric: str) -> None:
    check_gate(Gate(metric=metric, group="origin", at_most=1.0), task_of(5))


@pytest.mark.parametrize("metric", ["auroc", "recall", "equalized_odds_difference"])
def test_a_metric_of_two_classes_is_no_gate_of_many(metric: str) -> None:
    with pytest.raises(BadProject) as refused:
        check_gate(Gate(metric=metric, at_least=0.7), task_of(5))
    assert str(refused.value).startswith(
        f"gate {metric}: found metric '{metric}', of binary tasks only; expected a metric of the "
        "report on a multiclass task. "
    )


def test_a_field_without_groups_is_refused() -> None:
    with pytest.raises(BadProject) as refused:
        one(Gate(metric="equalized_odds_difference", group="orgin", at_most=0.1))
    assert str(refused.value) == (
        "gate equalized_odds_difference, group: found 'orgin', whose groups the report does not "
        "hold; expected a protected field. Did you mean 'origin'?"
    )


def test_a_field_without_slices_is_refused() -> None:
    with pytest.raises(BadProject) as refused:
        one(Gate(metric="auroc", per_slice="carier", at_least=0.1))
    assert str(refused.value) == (
        "gate auroc, per_slice: found 'carier', of which the report holds no slices; "
        "expected a slice field. Did you mean 'carrier'?"
    )


ADA = Waiver(by="Ada", reason="few rows of the new carrier yet", until="2027-01-31")
BAD = Gate(metric="auroc", at_least=0.9, waiver=ADA)


def test_a_waiver_lets_a_gate_through_that_does_not_pass() -> None:
    verdict = one(BAD)
    assert (verdict.outcome, verdict.waiver) == ("fail", ADA)
    assert passes((verdict,))
    assert one(replace(BAD, at_least=0.7)).waiver is None


def test_a_waiver_holds_on_its_last_day_and_no_longer() -> None:
    last = judge((BAD,), report=REPORT, variant=variant(), today=date(2027, 1, 31))
    after = judge((BAD,), report=REPORT, variant=variant(), today=date(2027, 2, 1))
    assert passes(last)
    assert refusal(after) == [
        "fp32: auroc at least 0.90: fail: 0.7200 [0.7100, 0.7300] misses at least 0.90 by 0.1800 "
        "(28,112 rows); the waiver by Ada ended on 2027-01-31"
    ]


def test_a_waiver_for_longer_than_a_year_is_refused() -> None:
    check_gates((BAD,), LATE, today=date(2026, 1, 31))
    check_gates((BAD,), LATE, today=date(2028, 1, 1))  # ended, and so without effect
    with pytest.raises(BadProject) as refused:
        check_gates((BAD,), LATE, today=date(2026, 1, 29))
    assert str(refused.value) == (
        "gate auroc, waiver by Ada: found until='2027-01-31'; expected a day within a year: until "
        "2027-01-30. Waive it for a shorter time, and look at it again then."
    )


def test_agreement_is_of_variants() -> None:
    gate = Gate(metric="agreement", at_least=0.99)
    held = replace(REPORT, agreement=about(0.84, 0.01))
    (bad,) = judge((gate,), report=held, variant=variant(), today=TODAY)
    (open_yet,) = judge((gate,), report=REPORT, variant=None, today=TODAY)
    yardstick = one(gate, of=replace(variant(), servable=False))
    assert (bad.outcome, bad.variant) == ("fail", "fp32")
    assert bad.reason == "0.8400 [0.8300, 0.8500] misses at least 0.99 by 0.1500 (10,000 rows)"
    assert (open_yet.outcome, open_yet.reason) == ("inconclusive", "measured by torchyard optimize")
    assert (yardstick.outcome, yardstick.reason) == ("pass", "it is the module in PyTorch itself")
    assert one(gate).reason == "it was not held against the module in PyTorch"


def test_speed_and_size_are_open_before_there_are_variants() -> None:
    gates = (Gate(metric="latency_p99_ms", at_most=9.0), Gate(metric="size_mb", at_most=9.0))
    found = judge(gates, report=REPORT, variant=None, today=TODAY)
    assert {(one.outcome, one.reason) for one in found} == {
        ("inconclusive", "measured by torchyard optimize")
    }


def test_a_latency_can_be_inconclusive() -> None:
    near = one(Gate(metric="latency_p99_ms", at_most=3.2))
    assert near.outcome == "inconclusive"
    assert near.reason == (
        "3.0000 [2.5000, 3.5000] leaves at most 3.20 open (2,000 calls on one core): about 26,000 "
        "calls would settle it"
    )
    few = variant()
    few = replace(
        few, latency=tuple(replace(one, calls=90, p99_high_ms=None) for one in few.latency)
    )
    bare = one(Gate(metric="latency_p99_ms", at_most=100.0), of=few)
    assert bare.outcome == "inconclusive"
    assert bare.reason == "90 calls on one core bound no 99th percentile: 368 would"


def finding(severity: Literal["quarantine", "warn", "fail"], field: str) -> Finding:
    return Finding(
        rule="missing", field=field, severity=severity, rows=3, rows_checked=9, examples=(),
        meaning="",
    )  # fmt: skip


def test_findings_of_the_data_are_counted_by_severity() -> None:
    known = (finding("warn", "seats"), finding("warn", "built"), finding("quarantine", "dest"))
    gate = Gate(metric="findings", severity="warn", at_most=1.0)
    verdict = one(gate, findings=known)
    assert (verdict.outcome, verdict.gate) == ("fail", "findings of severity warn at most 1")
    assert verdict.reason == ("2.0000 misses at most 1 by 1.0000: seats missing, built missing")
    assert one(gate, findings=known[1:]).outcome == "pass"
    assert one(gate).reason == "the findings of its data are not at hand"


def test_the_failure_rate_of_a_behaviour() -> None:
    typos = BehaviourResult(
        name="typos", kind="invariance", says="", rows=500, failed=40,
        failure_rate=about(0.08, rows=500),
    )  # fmt: skip
    none = replace(typos, name="none", rows=0, failed=0, failure_rate=None)
    tried = replace(REPORT, behaviours=(typos, none))

    def judged(name: str) -> Verdict:
        gate = Gate(metric="failure_rate", behaviour=name, at_most=0.05)
        return judge((gate,), report=tried, variant=variant(), today=TODAY)[0]

    assert judged("typos").outcome == "fail"
    assert judged("typos").gate == "failure_rate of typos at most 0.05"
    assert judged("none").reason == ("behaviour 'none' was not measured: it applies to no row")
    assert judged("other").reason == "behaviour 'other' was not tried"


def test_against_a_baseline() -> None:
    gate = Gate(metric="auroc", against="trees", drop_at_most=-0.005)
    held = replace(REPORT, against={"trees": {"auroc": about(-0.012, 0.004)}})
    (better,) = judge((gate,), report=held, variant=variant(), today=TODAY)
    assert (better.outcome, better.gate) == ("pass", "auroc against trees better by at least 0.005")
    assert one(gate, against={"trees": {"auroc": about(0.0, 0.004)}}).outcome == "fail"
    absent = one(gate)
    assert (absent.outcome, absent.reason) == ("inconclusive", "no baseline 'trees' was trained")


@pytest.mark.parametrize(
    ("gate", "text"),
    [
        (Gate(metric="failure_rate", at_most=0.1), "gate failure_rate: found no behaviour"),
        (
            Gate(metric="auroc", behaviour="typos", at_least=0.1),
            "gate auroc: found behaviour='typos'; expected a behaviour with failure_rate, and with "
            "nothing else. For example ty.gate('failure_rate', behaviour='typos', at_most=0).",
        ),
        (Gate(metric="findings", at_most=1), "gate findings: found no severity"),
        (
            Gate(metric="cost", at_most=1),
            "gate cost: found a task that states no costs; expected costs of either error. Write "
            "threshold=ty.cheapest(false_positive=1, false_negative=5) in the task.",
        ),
    ],
)
def test_what_belongs_to_another_metric_is_refused(gate: Gate, text: str) -> None:
    with pytest.raises(BadProject) as refused:
        check_gate(gate, LATE)
    assert str(refused.value).startswith(text)
