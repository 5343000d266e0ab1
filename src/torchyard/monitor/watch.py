"""Watching: logs and a release's papers in, a monitor report out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from torchyard.core.errors import NotFound
from torchyard.monitor.alerts import JudgedWindow, raise_alerts
from torchyard.monitor.drift import Limits, compared, judge
from torchyard.monitor.log import read_labels, read_predictions, segments
from torchyard.monitor.quality import labelled_rows, live_quality
from torchyard.monitor.reference import Reference, only_logged
from torchyard.monitor.windows import Cut, Traffic, gather, iso, parse_cut
from torchyard.records.live import MonitorReport, Window

RESAMPLES = 500


def watch(
    *,
    model: str,
    release: Reference,
    predictions: Path,
    labels: Path,
    every: str | int,
    time: str | None = None,
    since: datetime | None = None,
    limits: Limits | None = None,
    seed: int = 0,
) -> MonitorReport:
    """Compare a model's traffic with its release's reference, window by window.

    Rows count whichever release answered them; each window says which did. Fields that are
    not logged (personal ones, pictures, tensors) are not judged. The same logs give the same
    report.

    Args:
        model: the model's name, a folder of both logs.
        release: what the traffic is compared with.
        predictions: the prediction log, ``predictions/<model>/*.jsonl``.
        labels: the label log, ``labels/<model>/*.jsonl``; may be absent.
        every: a window's length (``7d``, ``1h``, ``30m``) or its number of rows.
        time: a timestamp field that windows go by; None for when a row was answered.
        since: rows before it, on that clock, are left out. Answering times are UTC: a time without
            a zone is taken as UTC there.
        limits: from where on a change matters.
        seed: of the intervals' resamples.

    Returns:
        Windows in order. ``unreadable`` counts lines of both logs that do not fit and rows without
        the field that tells the time, not a last line that is still being written.

    Raises:
        NotFound: nothing was logged for this model.
        BadUsage: ``every`` or ``time`` means nothing, or makes too many windows.
        BadData: the reference does not describe the schema's fields.
    """
    reference = only_logged(release)
    cut = parse_cut(reference.schema, every=every, time=time)
    if not segments(predictions / model):
        raise _nothing_logged(model, predictions / model)
    given, unreadable_labels = read_labels(labels / model, reference.task)
    batches = read_predictions(predictions / model, reference.schema, reference.task)
    gathered = gather(batches, cut, reference, labels=given, since=_naive(since))
    judged = [
        _judged(traffic, cut, reference, limits or Limits(), np.random.default_rng([seed, number]))
        for number, traffic in enumerate(gathered.windows)
    ]
    return MonitorReport(
        model=model,
        reference=reference.release,
        rows=sum(traffic.rows for traffic in gathered.windows),
        unreadable=gathered.unreadable + gathered.unplaced + unreadable_labels,
        windows=tuple(item.window for item in judged),
        alerts=raise_alerts(judged, reference.task, quality=reference.report.metrics),
    )


def _judged(
    traffic: Traffic,
    cut: Cut,
    reference: Reference,
    limits: Limits,
    generator: np.random.Generator,
) -> JudgedWindow:
    inputs = compared(reference.inputs, traffic.inputs)
    given = compared(reference.answers, traffic.answers)
    found = judge([*inputs, *given], unseen=traffic.unseen, limits=limits)
    fields = found[: len(inputs)]
    answers = max(found[len(inputs) :], key=lambda item: (item.drift.drifted, item.drift.psi))
    window = Window(
        first=iso(traffic.first, cut),
        last=iso(traffic.last, cut),
        rows=traffic.rows,
        releases=dict(sorted(traffic.releases.items())),
        fields=tuple(field.drift for field in fields),
        answers=answers.drift,
        answered=dict(zip(reference.task.classes, traffic.answered, strict=True)),
        abstained=traffic.abstained,
        labelled=labelled_rows(traffic),
        quality=live_quality(traffic, reference.task, resamples=RESAMPLES, generator=generator),
    )
    return JudgedWindow(window=window, fields=fields, answers=answers)


def _naive(since: datetime | None) -> datetime | None:
    if since is None or since.tzinfo is None:
        return since
    return since.astimezone(UTC).replace(tzinfo=None)


def _nothing_logged(model: str, folder: Path) -> NotFound:
    return NotFound(
        where=f"prediction log of '{model}'",
        found=f"no *.jsonl in {folder}",
        expected="at least one segment",
        remedy="Serve the model and send it rows; answers are logged as they are given.",
    )
