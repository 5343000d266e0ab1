"""Alerts: once while it lasts, named, dated, with advice, and as severe as it is."""

from __future__ import annotations

from collections.abc import Sequence

from torchyard.monitor.alerts import JudgedWindow, raise_alerts
from torchyard.monitor.drift import Judgement
from torchyard.monitor.explain import Cause
from torchyard.records.evidence import Measured
from torchyard.records.live import FieldDrift, Window

Causes = dict[str, Cause | None]
NAMES = ("wind_speed", "origin", "stops", "answers")


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
            positive_rate=0.5,
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
    assert raise_alerts(windows({}, {}), quality={}) == ()
    assert raise_alerts([], quality={"auroc": sure(0.7)}) == ()


def test_a_lasting_change_is_one_alert_by_its_strongest_window() -> None:
    (alert,) = raise_alerts(
        windows({}, {"wind_speed": "unit"}, {"wind_speed": "unit"}, {}), quality={}
    )
    assert (alert.severity, alert.subject) == ("warning", "wind_speed")
    assert alert.message == (
        "`wind_speed` moved: changed by 3.0; since 2013-12-23 05:30 in 2,000 rows. "
        "Check the sender's unit."
    )
    assert (alert.window_first, alert.window_last) == ("2013-12-23T05:30:00", "2013-12-24T22:00:00")


def test_an_alert_closes_and_opens_again() -> None:
    found = raise_alerts(
        windows({"origin": "unseen"}, {}, {"origin": "unseen"}, {"origin": "unseen"}), quality={}
    )
    assert [alert.window_first[:10] for alert in found] == ["2013-12-22", "2013-12-24"]


def test_another_cause_is_another_alert() -> None:
    found = raise_alerts(windows({"wind_speed": "values"}, {"wind_speed": "unit"}), quality={})
    assert [alert.message.partition("rows. ")[2] for alert in found] == [
        "Check the sender's unit.",
        "Compare recent rows with the training data; if the change is real, train on it.",
    ]


def test_advice_fits_the_cause() -> None:
    (missing,) = raise_alerts(windows({"origin": "missing"}), quality={})
    assert missing.message.endswith("Find out why the sender leaves it out.")
    (unseen,) = raise_alerts(windows({"origin": "unseen"}), quality={})
    assert unseen.message.endswith(
        "Check whether the sender changed its values; if they are real, train on them."
    )


def test_several_fields_at_once_are_critical() -> None:
    two: Causes = {"wind_speed": "values", "origin": "values"}
    three: Causes = {**two, "stops": "values"}
    assert {alert.severity for alert in raise_alerts(windows(two), quality={})} == {"warning"}
    found = raise_alerts(windows(two, three), quality={})
    assert [alert.severity for alert in found] == ["critical"] * 3


def test_answers_alone_warn_and_with_a_field_are_critical() -> None:
    (alert,) = raise_alerts(windows({"answers": "values"}), quality={})
    assert (alert.severity, alert.subject) == ("warning", "answers")
    assert alert.message == (
        "Answers moved: probability's changed by 1.0; since 2013-12-22 05:30 in 1,000 rows. "
        "Look at the fields that moved, and at quality once labels arrive."
    )
    found = raise_alerts(windows({"answers": "values", "origin": "values"}), quality={})
    assert [alert.severity for alert in found] == ["critical", "critical"]


def test_worse_quality_is_critical_and_comes_before_warnings() -> None:
    days = windows({"origin": "values"}, {}, quality=[{"auroc": sure(0.7)}, {"auroc": sure(0.6)}])
    found = raise_alerts(days, quality={"auroc": sure(0.7), "brier": sure(0.2)})
    assert [alert.subject for alert in found] == ["auroc", "origin"]
    assert found[0].severity == "critical"
    assert found[0].message == (
        "auroc got worse: 0.600 (0.590 to 0.610) on 2,500 labelled rows, was 0.700 (0.690 to 0.710)"
        " on the test split; since 2013-12-23 05:30 in 1,000 rows. "
        "Roll back to an earlier release or train on recent rows."
    )


def test_a_metric_the_release_has_not_is_not_judged() -> None:
    days = windows({}, quality=[{"auroc": sure(0.1)}])
    assert raise_alerts(days, quality={}) == ()
