"""Alerts: one sentence a person can act on, once for as long as it lasts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from torchyard.evaluate.metrics.kinds import kind_of
from torchyard.monitor.drift import Judgement
from torchyard.monitor.explain import Cause
from torchyard.monitor.quality import told, worse_than
from torchyard.records.live import Alert, FieldDrift, Window
from torchyard.records.measures import Measured
from torchyard.records.schema import Task

ANSWERS = "answers"
QUALITY = "quality"

# A sender's mistake first, then what may be the world itself.
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
    judged: Sequence[JudgedWindow], task: Task, *, quality: Mapping[str, Measured]
) -> tuple[Alert, ...]:
    """What to look at: mistakes of a sender, worse quality, then shifts.

    One alert per field and cause, told by its strongest window, however often it came and went;
    fields that go missing in the same windows are one alert, for they have one cause. A wrong unit,
    missing and unseen values are critical: rows are not what the model was made for. So is a metric
    whose whole interval is worse than the whole interval on the test split. Values that moved, and
    answers that did, are warnings: seasons move them too, and quality shows whether it hurts.

    Args:
        judged: windows in order.
        task: what is predicted.
        quality: the metrics of the release on its test split.
    """
    alerts = [
        *_mistakes(judged),
        *_worse_quality(judged, task, quality),
        *_answers_moved(judged),
        *_fields_with(judged, "values", severity="warning"),
    ]
    return tuple(sorted(alerts, key=lambda alert: alert.severity != "critical"))


def _mistakes(judged: Sequence[JudgedWindow]) -> Iterator[Alert]:
    yield from _fields_with(judged, "unit", severity="critical")
    yield from _gone_missing(judged)
    yield from _fields_with(judged, "unseen", severity="critical")


def _fields_with(
    judged: Sequence[JudgedWindow], cause: Cause, *, severity: Literal["warning", "critical"]
) -> Iterator[Alert]:
    for place, windows in _places(judged, cause):
        strongest = _strongest(windows, place)
        yield _alert(
            judged,
            windows,
            severity=severity,
            subject=strongest.name,
            what=f"`{strongest.name}` moved: {strongest.explanation}",
            advice=_ADVICE[cause],
        )


def _gone_missing(judged: Sequence[JudgedWindow]) -> Iterator[Alert]:
    together: dict[tuple[str, ...], list[tuple[int, list[JudgedWindow]]]] = {}
    for place, windows in _places(judged, "missing"):
        moments = tuple(item.window.first for item in windows)
        together.setdefault(moments, []).append((place, windows))
    for fields in together.values():
        windows = fields[0][1]
        found = [_strongest(windows, place) for place, _ in fields]
        names = ", ".join(f"`{drift.name}`" for drift in found)
        low, high = (pick(drift.missing for drift in found) for pick in (min, max))
        share = f"{high:.0%}" if f"{low:.0%}" == f"{high:.0%}" else f"{low:.0%} to {high:.0%}"
        usual = max(drift.missing_reference for drift in found)
        yield _alert(
            judged,
            windows,
            severity="critical",
            subject=", ".join(drift.name for drift in found),
            what=f"{names} missing in {share} of rows, was at most {usual:.1%}",
            advice=_ADVICE["missing"],
        )


def _answers_moved(judged: Sequence[JudgedWindow]) -> Iterator[Alert]:
    windows = [item for item in judged if item.answers.drift.drifted]
    if windows:
        strongest = max((item.answers.drift for item in windows), key=lambda drift: drift.psi)
        yield _alert(
            judged,
            windows,
            severity="warning",
            subject=ANSWERS,
            what=f"Answers moved: {_whose(strongest.name)}{strongest.explanation}",
            advice=_ANSWERS_ADVICE,
        )


def _whose(name: str) -> str:
    """What of the answers moved, before how it did; nothing for the answer itself."""
    if name in ("class", "value"):
        return ""
    return f"{name}, " if name.endswith("'") else f"{name}'s "


def _worse_quality(
    judged: Sequence[JudgedWindow], task: Task, quality: Mapping[str, Measured]
) -> Iterator[Alert]:
    worse = {
        metric: [item for item in judged if _is_worse(item.window, metric, task, quality)]
        for metric in kind_of(task).live
    }
    windows = [item for item in judged if any(item in found for found in worse.values())]
    if windows:
        worst = [
            _comparison(metric, found, quality[metric]) for metric, found in worse.items() if found
        ]
        yield _alert(
            judged,
            windows,
            severity="critical",
            subject=QUALITY,
            what=f"Quality got worse: {'; '.join(worst)}",
            advice=_QUALITY_ADVICE,
        )


def _is_worse(window: Window, metric: str, task: Task, quality: Mapping[str, Measured]) -> bool:
    now, known = window.quality.get(metric), quality.get(metric)
    if now is None or known is None:
        return False
    return worse_than(current=now, reference=known, metric=metric, task=task)


def _comparison(metric: str, windows: Sequence[JudgedWindow], known: Measured) -> str:
    values = [item.window.quality[metric] for item in windows]
    worst = max(values, key=lambda now: abs(now.value - known.value))
    return f"{metric} {told(worst)} on {worst.rows:,} labelled rows, was {told(known)}"


def _places(
    judged: Sequence[JudgedWindow], cause: Cause
) -> Iterator[tuple[int, list[JudgedWindow]]]:
    """Places of fields that moved for a cause, each with the windows in which it did."""
    for place in range(len(judged[0].fields) if judged else 0):
        windows = [item for item in judged if item.fields[place].cause == cause]
        if windows:
            yield place, windows


def _strongest(windows: Sequence[JudgedWindow], place: int) -> FieldDrift:
    return max((item.fields[place].drift for item in windows), key=lambda drift: drift.psi)


def _alert(
    judged: Sequence[JudgedWindow],
    windows: Sequence[JudgedWindow],
    *,
    severity: Literal["warning", "critical"],
    subject: str,
    what: str,
    advice: str,
) -> Alert:
    first, last = windows[0].window, windows[-1].window
    rows = sum(item.window.rows for item in windows)
    lasting = [item.window for item in judged if item.window.first >= first.first]
    when = f"since {_moment(first)} in {rows:,} rows"
    if len(windows) < len(lasting):
        when = f"in {len(windows)} of {len(lasting)} windows since {_moment(first)}, {rows:,} rows"
    return Alert(
        severity=severity,
        subject=subject,
        message=f"{what}; {when}. {advice}",
        window_first=first.first,
        window_last=last.last,
    )


def _moment(window: Window) -> str:
    """When a window began: the day, and the time of day when the window is shorter than one."""
    first, last = (datetime.fromisoformat(text) for text in (window.first, window.last))
    if (last - first).days >= 1:
        return f"{first:%Y-%m-%d}"
    return f"{first:%Y-%m-%d %H:%M}" + (" UTC" if first.tzinfo == UTC else "")
