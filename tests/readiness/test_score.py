"""Each of the 28 tests gives each of its answers, on evidence that was made for it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.releases import SCHEMA, TASK, sample_contents
from torchyard.readiness import Known, Monitoring, ReleaseFacts, score
from torchyard.readiness.score import SECTIONS
from torchyard.records.ageing import AgeAt, Staleness
from torchyard.records.evidence import GroupResult
from torchyard.records.live import ChannelEvent, FieldDrift, MonitorReport, Window
from torchyard.records.measures import Measured
from torchyard.records.readiness import Answer
from torchyard.records.reproduction import Changed, EnvironmentDifference, Reproduction
from torchyard.records.schema import Field, Schema
from torchyard.records.training import EXTREMES, Check, Tuned
from torchyard.records.verdicts import Gate, Verdict, Waiver
from torchyard.records.weaknesses import FieldCost, FieldImportance

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
PAGE = Path(__file__).parents[2] / "docs" / "score.md"


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> ReleaseFacts:
    """A release as the sample makes it, about which little else is known."""
    made = sample_contents(tmp_path_factory.mktemp("made"))
    schema = Schema(fields=tuple(f for f in SCHEMA.fields if not f.personal and not f.protected))
    report = replace(
        made.evidence.reports[0], groups=(), fairness={}, slices=(), against={}, importance=()
    )
    return ReleaseFacts(
        id="sha256:1",
        number=1,
        sealed_at=NOW - timedelta(days=2),
        ladder=made.ladder,
        schema=schema,
        task=TASK,
        dataset=replace(made.dataset, created=(NOW - timedelta(days=2, hours=1)).isoformat()),
        features=made.features,
        run=replace(made.run, checks=(), steps=0, tuned=None),
        evidence=replace(made.evidence, reports=(report,), verdicts=()),
        lineage=made.lineage,
        golden=4,
    )


def known(*releases: ReleaseFacts, **more: Any) -> Known:
    schema = more.pop("schema", Schema(fields=(Field(name="distance", kind="number"),)))
    return Known(now=NOW, schema=schema, gates=more.pop("gates", ()),
                 slices=more.pop("slices", ()), releases=releases, **more)  # fmt: skip


def about(value: float, half: float = 0.01) -> Measured:
    return Measured(value=value, low=value - half, high=value + half, rows=9, method="made up")


def judged(gate: str, *, waiver: Waiver | None = None) -> Verdict:
    return Verdict(
        gate=gate, variant="onnx-fp32", outcome="pass", required=True, measured=about(1),
        limit=1.0, reason="", waiver=waiver,
    )  # fmt: skip


def event(
    action: Any, *, at: int = 0, release: str = "sha256:1", weight: float = 1
) -> ChannelEvent:
    return ChannelEvent(
        number=at + 1, at=(NOW + timedelta(minutes=at)).isoformat(), model="demo", action=action,
        release=release, weight=weight, by="somebody", reason="",
    )  # fmt: skip


def seen(*, days: float = 1, quality: float | None = None, release: str = "sha256:1") -> Monitoring:
    drift = FieldDrift(name="distance", psi=0.0, p_value=1.0, missing=0.0, missing_reference=0.0,
                       drifted=False, explanation="")  # fmt: skip
    window = Window(
        first="", last="", rows=50, releases={release: 50}, fields=(drift,), answers=drift,
        answered={}, labelled=0 if quality is None else 50,
        quality={} if quality is None else {"auroc": about(quality)},
    )  # fmt: skip
    report = MonitorReport(
        model="demo", reference=release, rows=50, unreadable=0, windows=(window,), alerts=()
    )
    return Monitoring(report=report, made_at=NOW - timedelta(days=days))


def reproduced(run: str, *, identical: bool) -> Reproduction:
    return Reproduction(
        run=run, identical=identical, first_difference=None, environment=EnvironmentDifference(),
        inputs={}, weights_sha256=Changed(recorded="a", now="a" if identical else "b"),
        metrics={}, trained_in="here",
    )  # fmt: skip


def with_report(facts: ReleaseFacts, **changes: Any) -> ReleaseFacts:
    report = replace(facts.evidence.reports[0], **changes)
    return with_evidence(facts, reports=(report,))


def with_evidence(facts: ReleaseFacts, **changes: Any) -> ReleaseFacts:
    return replace(facts, evidence=replace(facts.evidence, **changes))


def with_run(facts: ReleaseFacts, **changes: Any) -> ReleaseFacts:
    return replace(facts, run=replace(facts.run, **changes))


def second(facts: ReleaseFacts, **changes: Any) -> ReleaseFacts:
    return replace(facts, id="sha256:2", number=2, **changes)


def ranged(facts: ReleaseFacts, **rules: Any) -> ReleaseFacts:
    field = Field(name="distance", kind="number", **rules)
    return replace(facts, schema=Schema(fields=(field,)))


def importance(drop: float) -> FieldImportance:
    return FieldImportance(field="distance", metric="log_loss", drop=about(drop), missing=0.0)


def cost(*, earns: bool) -> FieldCost:
    return FieldCost(field="distance", metric="log_loss", loss=about(0.1), missing=0.0,
                     microseconds=2.0, earns_its_cost=earns)  # fmt: skip


def committed(facts: ReleaseFacts, diff: str | None) -> ReleaseFacts:
    environment = replace(facts.run.environment, git_diff_sha256=diff)
    lineage = replace(facts.lineage, git_commit="0123456789abcdef")
    return replace(with_run(facts, environment=environment), lineage=lineage)


def tuned(tried: int) -> Tuned:
    return Tuned(study="s", trial=3, tried=tried, pruned=0, failed=0, value=0.5, chosen={})


def stale(missed: float | None) -> Staleness:
    return Staleness(
        metric="auroc", field="departs", every_days=30, points=(),
        curve=(AgeAt(age_days=30, models=2, measured=about(0.7)),),
        limits={"auroc at least 0.60": missed},
    )  # fmt: skip


def sliced(facts: ReleaseFacts) -> ReleaseFacts:
    one = GroupResult(field="carrier", value="AA", rows=500, classes=(1, 1), metrics={})
    return with_report(facts, slices=(one,))


PERSONAL = Schema(fields=(Field(name="seat", kind="category", personal=True),))
SLICE_GATE = Gate(metric="auroc", at_least=0.5, per_slice="carrier")
GROUP_GATE = Gate(metric="equalized_odds_difference", at_most=0.1, group="carrier")
LATENCY = judged("latency_p99_ms at most 20")
WAIVER = Waiver(by="A. Person", reason="a reason", until="2027-01-01")
PASSED = Check(name=EXTREMES, outcome="pass", found="3 rows")
FAIR = {"carrier": {"equalized_odds_difference": about(0.05)}}

Case = tuple[str, Answer, Callable[[ReleaseFacts], Known]]
CASES: list[Case] = [
    ("D1", "automatic", lambda f: known(ranged(f, ge=0, le=9))),
    ("D1", "manual", lambda f: known(ranged(f))),
    ("D2", "automatic", lambda f: known(with_report(f, importance=(importance(0.1),)))),
    ("D2", "manual", lambda f: known(with_report(f, importance=(importance(0.0),)))),
    ("D2", "missing", known),
    ("D3", "automatic", lambda f: known(with_evidence(f, costs=(cost(earns=True),)))),
    ("D3", "manual", lambda f: known(with_evidence(f, costs=(cost(earns=False),)))),
    ("D3", "missing", known),
    ("D4", "automatic", lambda f: known(f, schema=PERSONAL)),
    ("D4", "manual", known),
    ("D5", "automatic", lambda f: known(f, schema=PERSONAL)),
    ("D5", "manual", known),
    ("D6", "automatic", lambda f: known(f, second(f, lineage=replace(f.lineage, features="x")))),
    ("D6", "manual", lambda f: known(f, second(
        f, lineage=replace(f.lineage, features="x"), sealed_at=NOW + timedelta(days=30)))),
    ("D6", "missing", lambda f: known(f, second(f))),
    ("D7", "automatic", known),
    ("D7", "automatic", lambda f: known(f, custom=("own",), tests=("test_own.py",))),
    ("D7", "manual", lambda f: known(f, custom=("own",))),
    ("M1", "automatic", lambda f: known(committed(f, None), review="reviewed by A")),
    ("M1", "manual", lambda f: known(committed(f, None))),
    ("M1", "missing", lambda f: known(committed(f, "sha256:2"), review="reviewed by A")),
    ("M1", "missing", known),
    ("M2", "manual", lambda f: known(f, monitoring=(seen(quality=0.7),))),
    ("M2", "missing", lambda f: known(f, monitoring=(seen(),))),
    ("M3", "automatic", lambda f: known(with_run(f, tuned=tuned(20)))),
    ("M3", "manual", lambda f: known(with_run(f, tuned=tuned(3)))),
    ("M3", "missing", known),
    ("M4", "automatic", lambda f: known(with_evidence(f, staleness=stale(None)))),
    ("M4", "missing", known),
    ("M5", "automatic", lambda f: known(against(f, linear=-0.1, trees=-0.05))),
    ("M5", "manual", lambda f: known(against(f, linear=-0.1, trees=0.0))),
    ("M5", "missing", lambda f: known(against(f, linear=-0.1, trees=0.1))),
    ("M5", "missing", known),
    ("M6", "automatic", lambda f: known(sliced(f), slices=("carrier",), gates=(SLICE_GATE,))),
    ("M6", "manual", lambda f: known(sliced(f), slices=("carrier",))),
    ("M6", "manual", lambda f: known(
        sliced(f), slices=("carrier",), gates=(replace(SLICE_GATE, required=False),))),
    ("M6", "missing", known),
    ("M7", "automatic", lambda f: known(with_report(f, fairness=FAIR), gates=(GROUP_GATE,))),
    ("M7", "manual", lambda f: known(with_report(f, fairness=FAIR))),
    ("M7", "missing", known),
    ("I1", "automatic", lambda f: known(f, reproductions=(reproduced(f.run.id, identical=True),))),
    ("I1", "manual", lambda f: known(f, reproductions=(reproduced("other", identical=True),))),
    ("I1", "missing", lambda f: known(f, reproductions=(reproduced(f.run.id, identical=False),))),
    ("I1", "missing", known),
    ("I2", "automatic", lambda f: known(with_run(f, checks=(PASSED,)))),
    ("I2", "manual", lambda f: known(with_run(f, checks=(replace(PASSED, outcome="warn"),)))),
    ("I2", "missing", known),
    ("I3", "automatic", lambda f: known(f, scheduled=".github/workflows/ship.yml")),
    ("I3", "manual", known),
    ("I4", "automatic", lambda f: known(with_evidence(f, verdicts=(judged("auroc"),)))),
    ("I4", "manual", lambda f: known(with_evidence(
        f, verdicts=(judged("auroc"), judged("brier", waiver=WAIVER))))),
    ("I4", "missing", lambda f: known(with_evidence(f, verdicts=(LATENCY,)))),
    ("I5", "automatic", lambda f: known(with_run(f, steps=100))),
    ("I5", "manual", known),
    ("I6", "automatic", lambda f: known(f, champion=f.id, events=(
        event("canary", weight=0.1), event("promote", at=10)))),
    ("I6", "missing", lambda f: known(f, champion=f.id, events=(event("deploy"),))),
    ("I6", "missing", known),
    ("I7", "automatic", lambda f: known(f, events=(event("deploy"), event("rollback", at=5)))),
    ("I7", "manual", lambda f: known(f, second(f), champion="sha256:2")),
    ("I7", "missing", known),
    ("Mo1", "automatic", lambda f: known(f, second(f))),
    ("Mo1", "manual", known),
    ("Mo2", "automatic", lambda f: known(f, monitoring=(seen(),))),
    ("Mo2", "manual", lambda f: known(f, monitoring=(seen(days=30),))),
    ("Mo2", "manual", known),
    ("Mo3", "automatic", lambda f: known(f, monitoring=(seen(),))),
    ("Mo3", "manual", known),
    ("Mo4", "automatic", lambda f: known(with_evidence(f, staleness=stale(20)))),
    ("Mo4", "automatic", lambda f: known(with_evidence(f, staleness=stale(None)))),
    ("Mo4", "manual", lambda f: known(replace(
        with_evidence(f, staleness=stale(None)), sealed_at=NOW - timedelta(days=90)))),
    ("Mo4", "missing", lambda f: known(with_evidence(f, staleness=stale(1)))),
    ("Mo4", "missing", known),
    ("Mo5", "automatic", lambda f: known(with_run(f, checks=(PASSED,)))),
    ("Mo5", "manual", known),
    ("Mo6", "automatic", lambda f: known(
        with_evidence(f, verdicts=(LATENCY,)), second(with_evidence(f, verdicts=(LATENCY,))))),
    ("Mo6", "manual", lambda f: known(with_evidence(f, verdicts=(LATENCY,)))),
    ("Mo6", "missing", known),
    ("Mo7", "automatic", lambda f: known(f, monitoring=(seen(quality=0.7),))),
    ("Mo7", "manual", lambda f: known(f, monitoring=(seen(days=30, quality=0.7),))),
    ("Mo7", "missing", lambda f: known(f, monitoring=(seen(),))),
    ("Mo7", "missing", known),
]  # fmt: skip


def against(facts: ReleaseFacts, **worse: float) -> ReleaseFacts:
    return with_report(facts, against={name: {"auroc": about(by)} for name, by in worse.items()})


@pytest.mark.parametrize(
    ("test", "answer", "make"), CASES, ids=[f"{c[0]}-{c[1]}-{n}" for n, c in enumerate(CASES)]
)
def test_answers(
    test: str, answer: Answer, make: Callable[[ReleaseFacts], Known], facts: ReleaseFacts
) -> None:
    found = next(one for one in score(make(facts)).tests if one.id == test)
    assert found.answer == answer
    assert bool(found.lacks) == bool(found.remedy) == (answer != "automatic")
    assert found.evidence or answer == "missing"


def test_three_releases_that_move_alike_online_and_offline(facts: ReleaseFacts) -> None:
    def made(live: tuple[float, ...]) -> Known:
        releases = [
            replace(
                with_report(facts, metrics={"auroc": about(0.6 + place / 20)}),
                id=f"sha256:{place}", number=place,
            )
            for place in (1, 2, 3)
        ]  # fmt: skip
        watched = [seen(quality=one, release=f"sha256:{n}") for n, one in enumerate(live, start=1)]
        return known(*releases, monitoring=tuple(watched))

    def answer(live: tuple[float, ...]) -> Answer:
        return next(one for one in score(made(live)).tests if one.id == "M2").answer

    assert answer((0.60, 0.63, 0.68)) == "automatic"
    assert answer((0.68, 0.63, 0.60)) == "missing"
    assert answer((0.60, 0.63)) == "manual"


def test_without_a_release_little_can_be_said() -> None:
    found = score(known())
    assert found.score == 0
    assert {one.answer for one in found.tests if one.id not in ("D4",)} == {"missing"}


def test_there_are_28_tests_and_the_score_is_the_smallest_section(facts: ReleaseFacts) -> None:
    found = score(known(with_run(facts, checks=(PASSED,), steps=5), monitoring=(seen(quality=1),)))
    assert [one.id for one in found.tests] == [
        f"{letter}{number}" for letter in ("D", "M", "I", "Mo") for number in range(1, 8)
    ]
    points = {"automatic": 1.0, "manual": 0.5, "missing": 0.0}
    for place, section in enumerate(SECTIONS):
        own = found.tests[7 * place : 7 * place + 7]
        assert found.sections[section] == sum(points[one.answer] for one in own)
    assert found.score == min(found.sections.values())


def test_each_test_can_be_answered_in_the_ways_that_the_page_tells() -> None:
    told = {}
    for line in PAGE.read_text().splitlines():
        match = re.fullmatch(r"\| (\w+) [^|]+\| ([^|]+) \| ([^|]+) \| ([^|]+) \|", line)
        if match and match[1] != "Test":
            answers = zip(("automatic", "manual", "missing"), match.groups()[1:], strict=True)
            told[match[1]] = {answer for answer, text in answers if text.strip() != "-"}
    tried: dict[str, set[str]] = {test: set() for test in told}
    for test, answer, _ in CASES:
        tried[test].add(answer)
    tried["M2"].add("automatic")
    for test, answers_tried in tried.items():  # nothing released: tried once for all of them
        if "nothing was released" in PAGE.read_text().partition(f"| {test} ")[2].split("\n")[0]:
            answers_tried.add("missing")
    assert len(told) == 28
    assert tried == told


def test_known_holds_no_default_that_pretends_evidence() -> None:
    empty = {f.name: f.default for f in dataclasses.fields(Known) if not f.default_factory}
    assert not any(value for value in empty.values() if value is not dataclasses.MISSING)
