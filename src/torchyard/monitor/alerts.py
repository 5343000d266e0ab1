"""Alerts: one sentence a person can act on, once for as long as it lasts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Literal

from torchyard.monitor.drift import Judgement
from torchyard.monitor.explain import Cause
from torchyard.monitor.quality import LIVE_METRICS, worse_than
from torchyard.records.evidence import Measured
from torchyard.records.live import Alert, Window

ANSWERS = "answers"
SEVERAL_FIELDS = 3

_ADVICE: dict[Cause, str] = {
    "unit": "Check the sender's unit.",
    "missing": "Find out why the sender leaves it out.",
    "unseen": "Check whether the sender changed its values; if they are real, train on them.",
    "values": "Compare recent rows with the training data; if the change is real, train on it.",
}
_ANSWERS_ADVICE = "Look at the fields that moved, and at quality once labels arrive."
_QUALITY_ADVICE = "Roll back to an earlier release or train on recent rows."


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedWindow:
    """A window with the causes behind its drift, which alerts give advice by."""

    window: Window
    fields: tuple[Judgement, ...]
    answers: Judgement


def raise_alerts(
    judged: Sequence[JudgedWindow], *, quality: Mapping[str, Measured]
) -> tuple[Alert, ...]:
    """What to look at: critical alerts first, mistakes before shifts, then by when they opened.

    A field's alert opens at the first window that drifted for a cause and closes at the first that
    did not, so a lasting change is one alert, told by its strongest window. It is critical when in
    one of its windows three or more fields drifted, or the answers did. The answers' own alert is
    critical when a field drifted with them. A metric whose whole interval is worse than the whole
    interval on the test split is always critical.

    Args:
        judged: windows in order.
        quality: the metrics of the release on its test split.
    """
    alerts = [*_field_alerts(judged), *_answer_alerts(judged), *_quality_alerts(judged, quality)]
    return tuple(sorted(alerts, key=_urgency))


def _urgency(alert: Alert) -> tuple[bool, bool, str]:
    is_shift = alert.message.endswith(_ADVICE["values"])
    return alert.severity != "critical", is_shift, alert.window_first


def _field_alerts(judged: Sequence[JudgedWindow]) -> Iterator[Alert]:
    for place in range(len(judged[0].fields) if judged else 0):
        for run in _runs(judged, [item.fields[place].cause for item in judged]):
            worst = max((item.fields[place] for item in run), key=lambda found: found.drift.psi)
            critical = any(
                item.answers.drift.drifted or _drifted_fields(item) >= SEVERAL_FIELDS
                for item in run
            )
            yield _alert(
                run,
                severity="critical" if critical else "warning",
                subject=worst.drift.name,
                what=f"`{worst.drift.name}` moved: {worst.drift.explanation}",
                advice=_ADVICE[worst.cause or "values"],
            )


def _answer_alerts(judged: Sequence[JudgedWindow]) -> Iterator[Alert]:
    for run in _runs(judged, [item.answers.drift.drifted for item in judged]):
        worst = max((item.answers.drift for item in run), key=lambda drift: drift.psi)
        yield _alert(
            run,
            severity="critical" if any(_drifted_fields(item) for item in run) else "warning",
            subject=ANSWERS,
            what=f"Answers moved: probability's {worst.explanation}",
            advice=_ANSWERS_ADVICE,
        )


def _quality_alerts(
    judged: Sequence[JudgedWindow], quality: Mapping[str, Measured]
) -> Iterator[Alert]:
    for metric in LIVE_METRICS:
        known = quality.get(metric)
        live = [item.window.quality.get(metric) for item in judged]
        worse = [
            now is not None
            and known is not None
            and worse_than(current=now, reference=known, metric=metric)
            for now in live
        ]
        for run in _runs(judged, worse):
            yield _quality_alert(run, metric, quality[metric])


def _quality_alert(run: Sequence[JudgedWindow], metric: str, known: Measured) -> Alert:
    values = [item.window.quality[metric] for item in run]
    worst = max(values, key=lambda now: abs(now.value - known.value))
    return _alert(
        run,
        severity="critical",
        subject=metric,
        what=f"{metric} got worse: {_interval(worst)} on {worst.rows:,} labelled rows, "
        f"was {_interval(known)} on the test split",
        advice=_QUALITY_ADVICE,
    )


def _drifted_fields(item: JudgedWindow) -> int:
    return sum(found.drift.drifted for found in item.fields)


def _runs(
    judged: Sequence[JudgedWindow], reasons: Sequence[Cause | bool | None]
) -> Iterator[Sequence[JudgedWindow]]:
    """The longest stretches of consecutive windows with the same reason, where there is one."""
    for reason, run in groupby(zip(reasons, judged, strict=True), key=itemgetter(0)):
        if reason:
            yield [item for _, item in run]


def _alert(
    run: Sequence[JudgedWindow],
    *,
    severity: Literal["warning", "critical"],
    subject: str,
    what: str,
    advice: str,
) -> Alert:
    first, last = run[0].window, run[-1].window
    rows = sum(item.window.rows for item in run)
    return Alert(
        severity=severity,
        subject=subject,
        message=f"{what}; since {_moment(first)} in {rows:,} rows. {advice}",
        window_first=first.first,
        window_last=last.last,
    )


def _moment(window: Window) -> str:
    """When a window began: the day, and the time of day when the window is shorter than one."""
    first, last = (datetime.fromisoformat(text) for text in (window.first, window.last))
    if (last - first).days >= 1:
        return f"{first:%Y-%m-%d}"
    return f"{first:%Y-%m-%d %H:%M}" + (" UTC" if first.tzinfo == UTC else "")


def _interval(measured: Measured) -> str:
    return f"{measured.value:.3f} ({measured.low:.3f} to {measured.high:.3f})"
