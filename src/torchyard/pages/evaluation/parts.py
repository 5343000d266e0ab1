"""Sections of an evaluation about numbers: quality, simple models, groups, slices, weak spots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torchyard.pages.blocks import (
    Bar,
    Block,
    Bullets,
    Details,
    Intervals,
    Pictures,
    Table,
    Text,
)
from torchyard.pages.calibration import calibration_blocks
from torchyard.pages.numbers import shown, shown_number, title_of
from torchyard.pages.trade_offs import trade_offs
from torchyard.records.calibration import Calibration
from torchyard.records.conditions import told
from torchyard.records.evidence import GroupResult, Report
from torchyard.records.measures import Measured
from torchyard.records.schema import Schema

_MOST_BARS = 25


def _value(measured: Measured | None) -> str:
    return "-" if measured is None else shown_number(measured.value)


def quality(report: Report) -> Iterator[Block]:
    """The main metrics beside the simple models'; all of them, and classes alone, folded."""
    rivals = tuple(report.baselines)
    main = [name for name in report.task.headlines if name in report.metrics]
    rows = tuple(
        (title_of(name), shown(report.metrics[name]),
         *(_value(report.baselines[rival].get(name)) for rival in rivals))
        for name in main
    )  # fmt: skip
    lead = f"'{report.model}' on {report.rows:,} {report.split} rows, beside other models."
    yield Table(lead, ("metric", report.model, *rivals), rows)
    every = tuple(
        (name, shown(one), *(_value(report.baselines[rival].get(name)) for rival in rivals),
         one.method)
        for name, one in report.metrics.items()
    )  # fmt: skip
    header = ("metric", report.model, *rivals, "interval by")
    yield Details("Every metric, and how its interval was made", (Table("", header, every),))
    if report.per_class:
        header = ("class", "rows", "answered with it", "precision", "recall", "F1")
        classes = tuple(
            (one.name, f"{one.rows:,}", f"{one.answered:,}",
             *(shown(one.metrics.get(name)) for name in ("precision", "recall", "f1")))
            for one in report.per_class
        )  # fmt: skip
        yield Details("Each class alone", (Table("", header, classes),))


def rivals(report: Report) -> Iterator[Block]:
    """How much worse than each simple model it is, in its main metric and in every other."""
    name = report.task.headline
    bars = tuple(
        Bar(rival, found[name].value, found[name].low, found[name].high,
            shown(report.baselines.get(rival, {}).get(name)))
        for rival, found in report.against.items()
        if name in found
    )  # fmt: skip
    if bars:
        yield Intervals(
            f"How much worse than each simple model it is in {title_of(name)}: left of the line it "
            "is better. Both answered the same rows, and the same draws of them.",
            f"difference in {title_of(name)}",
            bars,
            0.0,
            "no difference",
        )
    rows = tuple(
        (rival, metric, shown(measured))
        for rival, found in report.against.items()
        for metric, measured in found.items()
    )
    if rows:
        table = Table("Above 0 it is worse.", ("simple model", "metric", "difference"), rows)
        yield Details("Every metric", (table,))


def calibration(report: Report, fitted: Calibration) -> Iterator[Block]:
    """Whether what it promises comes true, and what was done about it."""
    yield from calibration_blocks(fitted, report)


def groups(report: Report) -> Iterator[Block]:
    """Each group of the protected fields, and how differently they are treated."""
    differences = tuple(
        (field, title_of(name), shown(measured))
        for field, found in report.fairness.items()
        for name, measured in found.items()
    )
    if not report.groups:
        yield Text("No field is declared protected, so no groups were compared.")
        return
    yield from _each(report.groups, report, "group")
    if differences:
        yield Table("Largest differences between groups.", ("field", "measure", "value"),
                    differences)  # fmt: skip
    yield from map(Text, trade_offs(report))


def slices(report: Report) -> Iterator[Block]:
    """Each declared slice."""
    if not report.slices:
        yield Text("No slices were declared.")
        return
    yield from _each(report.slices, report, "slice")


def _each(found: Sequence[GroupResult], report: Report, word: str) -> Iterator[Block]:
    """One metric of every part as a picture, all of them as a table, small ones named."""
    name = report.task.headline
    known = [one for one in found if name in one.metrics]
    overall = report.metrics.get(name)
    fields = tuple(dict.fromkeys(one.field for one in known))
    for field in fields:
        own = [one for one in known if one.field == field]
        bars = tuple(
            Bar(one.value, one.metrics[name].value, one.metrics[name].low, one.metrics[name].high,
                f"{one.rows:,} rows")
            for one in own[:_MOST_BARS]
        )  # fmt: skip
        more = f", the first {_MOST_BARS} of {len(own)}" if len(own) > _MOST_BARS else ""
        yield Intervals(
            f"{title_of(name)} by {field}{more}.", title_of(name), bars,
            None if overall is None else overall.value, "all rows",
        )  # fmt: skip
    names = tuple(dict.fromkeys(metric for one in known for metric in one.metrics))
    rows = tuple(
        (f"{one.field} = {one.value}", f"{one.rows:,}",
         *(shown(one.metrics.get(metric)) for metric in names))
        for one in known
    )  # fmt: skip
    if rows:
        table = Table("", (word, "rows", *names), rows)
        yield Details(f"Every metric of every {word}", (table,))
    small = tuple(
        f"{one.field} = {one.value}: {one.small or f'{one.rows:,} rows'}"
        for one in found
        if not one.metrics
    )
    if small:
        yield Details(f"{len(small)} too small to be measured", (Bullets(small),))


def weaknesses(report: Report, schema: Schema) -> Iterator[Block]:
    """The worst slices that a search found, and errors that are alike."""
    search = report.weaknesses
    if search is not None and search.found:
        bars = tuple(
            Bar(told(one, schema), one.measured.value, one.measured.low, one.measured.high,
                f"{one.rows:,} rows; others {shown_number(one.others)}")
            for one in search.found
        )  # fmt: skip
        overall = report.metrics.get(search.metric)
        yield Intervals(
            f"{search.tried:,} slices of at least {search.min_rows:,} rows were tried; these are "
            "worse than all other rows, beyond what trying so many explains. Lower is better.",
            title_of(search.metric), bars, None if overall is None else overall.value, "all rows",
        )  # fmt: skip
    elif search is not None and search.tried:
        yield Text(
            f"{search.tried:,} slices of at least {search.min_rows:,} rows were tried. None is "
            "worse than chance explains."
        )
    for cluster in report.clusters:
        said = ", ".join(cluster.words) or f"{cluster.kind}s that look alike"
        yield Text(
            f"In {cluster.field}: {said}. {cluster.errors:,} of {cluster.rows:,} rows are "
            f"answered wrongly, {shown(cluster.error_rate)}, against "
            f"{shown_number(cluster.others)} of the others."
        )
        if cluster.pictures:
            yield Pictures("", cluster.pictures)
