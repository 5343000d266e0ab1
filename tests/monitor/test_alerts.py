"""Alerts: once while it lasts, named, dated, with advice, and as severe as it is."""

from __future__ import annotations

from collections.abc import Sequence

from tests.monitor.traffic import TASK
from torchyard.monitor.alerts import JudgedWindow, raise_alerts
from torchyard.monitor.drift import Judgement
from torchyard.monitor.explain import Cause
from torchyard.records.live import FieldDrift, Window
from torchyard.records.measures import Measured

Causes = dict[str, Cause | None]
NAMES = ("wind_speed", "origin", "stops", "probability")


def judgement(name: str, cause: Cause | None, psi: float) -> Judgement:
    drift = FieldDrift(
        name=name,
        psi=psi if cause else 0.0,
        p_value=0.0 if cause else 1.0,
        missing=0.0,
        missing_reference=0.0,
        drifted=cause is not None,
        explanation=f"changed by {psi}" if cause else "no clear change",
    )
    return Judgement(drift=drift, cause=cause)


def windows(*per_day: Causes, quality: Sequence[dict[str, Measured]] = ()) -> list[JudgedWindow]:
    """One window a day from 2013-12-22 on, with the causes of its drift by name."""
    made = []
    for number, causes in enumerate(per_day):
        *fields, answers = (judgement(name, causes.get(name), psi=1.0 + number) for name in NAMES)
        day = f"2013-12-{22 + number}"
        window = Window(
            first=f"{day}T05:30:00",
            last=f"{day}T22:00:00",
            rows=1_000,
            releases={},
            fields=tuple(item.drift for item in fields),
            answers=answers.drift,
            answered={"on time": 500, "late": 500},
            labelled=0,
            quality=quality[number] if quality else {},
        )
        made.append(JudgedWindow(window=window, fields=tuple(fields), answers=answers))
    return made


def sure(value: float) -> Measured:
    return Measured(
        value=value, low=value - 0.01, high=value + 0.01, rows=2_500, method="bootstrap"
    )


def test_no_drift_no_alert() -> None:
    assert raise_alerts(windows({}, {}), TASK, quality={}) == ()
    assert raise_alerts([], TASK, quality={"auroc": sure(0.7)}) == ()


def test_a_lasting_change_is_one_alert_by_its_strongest_window() -> None:
    (alert,) = raise_alerts(
        windows({}, {"wind_speed": "unit"}, {"wind_speed": "unit"}), TASK, quality={}
    )
    assert (alert.severity, alert.subject) == ("critical", "wind_speed")
    assert alert.message == (
        "`wind_speed` moved: changed by 3.0; since 2013-12-23 05:30 in 2,000 rows. "
        "Check the sender's unit."
    )
    assert (alert.window_first, alert.window_last) == ("2013-12-23T05:30:00", "2013-12-24T22:00:00")


def test_what_comes_and_goes_is_one_alert() -> None:
    (alert,) = raise_alerts(
        windows({"origin": "unseen"}, {}, {"origin": "unseen"}, {}), TASK, quality={}
    )
    assert "; in 2 of 4 windows since 2013-12-22 05:30, 2,000 rows. Check" in alert.message
    assert (alert.window_first[:10], alert.window_last[:10]) == ("2013-12-22", "2013-12-24")


def test_another_cause_is_another_alert_and_mistakes_come_first() -> None:
    found = raise_alerts(
        windows({"wind_speed": "values"}, {"wind_speed": "unit"}), TASK, quality={}
    )
    assert [alert.severity for alert in found] == ["critical", "warning"]
    assert [alert.message.partition("rows. ")[2] for alert in found] == [
        "Check the sender's unit.",
        "Compare recent rows with the training data; if the change is real, train on it.",
    ]


def test_fields_that_go_missing_together_are_one_alert() -> None:
    gone: Causes = {"wind_speed": "missing", "origin": "missing"}
    together, alone = raise_alerts(windows(gone, {"stops": "missing"}), TASK, quality={})
    assert together.subject == "wind_speed, origin"
    assert together.message == (
        "`wind_speed`, `origin` missing in 0% of rows, was at most 0.0%; in 1 of 2 windows since "
        "2013-12-22 05:30, 1,000 rows. Find out why the sender leaves it out."
    )
    assert alone.subject == "stops"


def test_unseen_values_are_critical_with_their_own_advice() -> None:
    (unseen,) = raise_alerts(windows({"origin": "unseen"}), TASK, quality={})
    assert unseen.severity == "critical"
    assert unseen.message.endswith(
        "Check whether the sender changed its values; if they are real, train on them."
    )


def test_shifts_warn_however_many_fields_move() -> None:
    moved: Causes = {name: "values" for name in NAMES}
    found = raise_alerts(windows(moved), TASK, quality={})
    assert [alert.subject for alert in found] == ["answers", "wind_speed", "origin", "stops"]
    assert {alert.severity for alert in found} == {"warning"}
    assert found[0].message == (
        "Answers moved: probability's changed by 1.0; since 2013-12-22 05:30 in 1,000 rows. "
        "Look at the fields that moved, and at quality once labels arrive."
    )


def test_worse_quality_is_one_critical_alert_before_warnings() -> None:
    before = {"auroc": sure(0.7), "brier": sure(0.2)}
    days = windows({"origin": "values"}, {}, {}, quality=[
        before, {"auroc": sure(0.6), "brier": sure(0.2)}, {"auroc": sure(0.65), "brier": sure(0.3)},
    ])  # fmt: skip
    found = raise_alerts(days, TASK, quality=before)
    assert [alert.subject for alert in found] == ["quality", "origin"]
    assert found[0].severity == "critical"
    assert found[0].message == (
        "Quality got worse: auroc 0.6 (0.59 to 0.61) on 2,500 labelled rows, was 0.7 (0.69 to "
        "0.71); brier 0.3 (0.29 to 0.31) on 2,500 labelled rows, was 0.2 (0.19 to 0.21); since "
        "2013-12-23 05:30 in 2,000 rows. "
        "Roll back to an earlier release or train on recent rows."
    )


def test_a_metric_the_release_has_not_is_not_judged() -> None:
    days = windows({}, quality=[{"auroc": sure(0.1)}])
    assert raise_alerts(days, TASK, quality={}) == ()
