"""What a model card warns of: known failure modes and open questions, read off the evidence."""

from __future__ import annotations

from collections.abc import Iterator

from torchyard.core.wording import listed
from torchyard.records.evidence import GroupResult, Report
from torchyard.records.measures import LESS_IS_BETTER, Measured
from torchyard.records.verdicts import waived_text
from torchyard.release.contents import Contents

FEW_ROWS = 100
_SHOWN = 8


def find_limits(contents: Contents, report: Report) -> tuple[str, ...]:
    """Sentences about where the model is weak, unproven or unmeasured; never empty.

    A slice or group counts as worse only when its whole 95 % interval lies on the bad side of the
    overall value, so that small ones do not look bad by chance.

    Args:
        contents: the release's evidence.
        report: of the variant that serves first.
    """
    found = (
        *_weak_rows(report),
        *_small_groups(report),
        *_open_gates(contents),
        *_waived_before(contents),
        *_set_aside(contents),
        *_missing_variants(contents),
        *_chosen_among_many(contents),
    )
    always = (
        f"Measured on one set of {report.split} rows; quality on later or other rows is what "
        "monitoring is for.",
        "Latency holds for the hardware named above only.",
    )
    return found + always


def _weak_rows(report: Report) -> Iterator[str]:
    weak = [line for group in _parts(report) for line in _worse(group, report)]
    yield from weak[:_SHOWN]
    if len(weak) > _SHOWN:
        yield f"{len(weak) - _SHOWN} more groups or slices are worse than all rows together."


def _parts(report: Report) -> tuple[GroupResult, ...]:
    """Groups and slices; a protected field that is also a slice field counts once."""
    every = (*report.groups, *report.slices)
    return tuple({(one.field, one.value): one for one in every}.values())


def _worse(group: GroupResult, report: Report) -> Iterator[str]:
    for name in report.task.headlines:
        overall, own = report.metrics.get(name), group.metrics.get(name)
        if overall is not None and own is not None and _surely_worse(own, overall.value, name):
            yield (
                f"Where {group.field} is {group.value} ({group.rows:,} rows), {name} is "
                f"{own.value:.4g} against {overall.value:.4g} on all rows."
            )
            return


def _surely_worse(own: Measured, overall: float, name: str) -> bool:
    if own.low is None or own.high is None:
        return False
    return own.low > overall if name in LESS_IS_BETTER else own.high < overall


def _small_groups(report: Report) -> Iterator[str]:
    named = [
        f"{one.field} = {one.value} ({one.small or f'{one.rows} rows'})"
        for one in _parts(report)
        if _is_small(one)
    ]
    if named:
        yield f"Too few {report.split} rows to say much about: {listed(named, most=_SHOWN)}."


def _is_small(group: GroupResult) -> bool:
    """Whether it was too small to measure; reports of earlier versions do not say so."""
    return bool(group.small) or group.rows < FEW_ROWS


def _open_gates(contents: Contents) -> Iterator[str]:
    shipped = (one for one in contents.evidence.verdicts if one.variant in contents.ladder)
    for verdict in shipped:
        if verdict.waiver is not None:
            yield f"'{verdict.variant}' was let out: {waived_text(verdict)}. {verdict.reason}."
        elif verdict.outcome != "pass":
            yield (
                f"Gate '{verdict.gate}' is {verdict.outcome} for '{verdict.variant}': "
                f"{verdict.reason}"
            )


def _waived_before(contents: Contents) -> Iterator[str]:
    for verdict in contents.evidence.waived:
        yield f"In an earlier release, '{verdict.variant}': {waived_text(verdict)}."


def _set_aside(contents: Contents) -> Iterator[str]:
    dataset = contents.dataset
    if dataset.quarantined:
        yield (
            f"{dataset.quarantined:,} rows broke a rule and were set aside: the model has not "
            "seen their like."
        )


def _missing_variants(contents: Contents) -> Iterator[str]:
    for variant in contents.evidence.variants:
        if variant.finding is not None:
            yield f"Variant '{variant.name}' is not there: {variant.finding}"


def _chosen_among_many(contents: Contents) -> Iterator[str]:
    tuned = contents.run.tuned
    if tuned is not None:
        yield (
            f"Its settings were chosen among {tuned.tried:,} tried, by a validation loss of "
            f"{tuned.value:.4f} that such a choice makes look better than it is."
        )
