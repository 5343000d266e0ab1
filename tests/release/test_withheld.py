"""Nothing personal is sealed, and nothing that no request can carry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.releases import SCHEMA, sample_contents, sample_release
from torchyard.core.errors import BadRecord
from torchyard.records.abstaining import Abstention, KnownField
from torchyard.records.behaviours import BehaviourExample, BehaviourResult
from torchyard.records.dataset import FieldProfile, Finding, Profile
from torchyard.records.evidence import GroupResult
from torchyard.records.measures import Measured
from torchyard.records.schema import Field, Schema
from torchyard.records.weaknesses import Condition, ErrorCluster, FoundSlice, SliceSearch
from torchyard.release import Contents

SEAT = FieldProfile(
    name="seat", kind="category", rows=9, missing=0, values=("12A",), counts=(9,)
)  # fmt: skip
FINDING = Finding(
    rule="is odd", field="carrier, seat", severity="warn", rows=1, rows_checked=9,
    examples=("row 1: '12A'",), meaning="Odd.",
)  # fmt: skip

Change = Callable[[Contents], Contents]


def in_reference(contents: Contents) -> Contents:
    return replace(contents, reference=Profile(rows=9, fields=(SEAT,)))


def in_dataset(contents: Contents) -> Contents:
    dataset = replace(contents.dataset, profile=Profile(rows=9, fields=(SEAT,)))
    return replace(contents, dataset=dataset)


def in_finding(contents: Contents) -> Contents:
    return replace(contents, dataset=replace(contents.dataset, findings=(FINDING,)))


def in_abstention(contents: Contents) -> Contents:
    known = KnownField(field="seat", missing=True, values=("12A",))
    return replace(contents, abstention=Abstention(known=(known,)))


def in_finding_about_rows(contents: Contents) -> Contents:
    finding = replace(FINDING, field="(row)", rule="is there twice")
    return replace(contents, dataset=replace(contents.dataset, findings=(finding,)))


def in_part(contents: Contents, kind: str, value: str, *, report: int = -1) -> Contents:
    part = GroupResult(field="seat", value=value, rows=9, classes=(4, 5), metrics={})
    reports = list(contents.evidence.reports)
    reports[report] = replace(reports[report], **{kind: (part,)})  # type: ignore[arg-type]
    return replace(contents, evidence=replace(contents.evidence, reports=tuple(reports)))


def in_group(contents: Contents) -> Contents:
    return in_part(contents, "groups", "12A", report=0)


def in_slice(contents: Contents) -> Contents:
    return in_part(contents, "slices", "12A")


def in_weakness(contents: Contents, **condition: Any) -> Contents:
    """A slice of two conditions, the second one on the seat, found in the first report."""
    loss = Measured(value=0.9, low=0.8, high=1.0, rows=9, method="")
    conditions = Condition(field="carrier", value="UA"), Condition(field="seat", **condition)
    found = FoundSlice(conditions=conditions, rows=9, measured=loss, others=0.4, p_value=0.01)
    search = SliceSearch(metric="log_loss", tried=9, min_rows=9, method="", found=(found,))
    return in_first_report(contents, weaknesses=search)


def in_weak_value(contents: Contents) -> Contents:
    return in_weakness(contents, value="12A")


def in_weak_range(contents: Contents) -> Contents:
    return in_weakness(contents, low=12.0)


def in_cluster(contents: Contents) -> Contents:
    rate = Measured(value=0.9, low=0.8, high=1.0, rows=9, method="")
    cluster = ErrorCluster(
        field="seat", kind="text", rows=9, errors=8, error_rate=rate, others=0.1, words=("12a",)
    )
    return in_first_report(contents, clusters=(cluster,))


def in_behaviour(contents: Contents, part: str = "row") -> Contents:
    shown: dict[str, Any] = {"row": {"seat": None}, "changed": {}, part: {"seat": "12A"}}
    result = BehaviourResult(
        name="swap", kind="invariance", says="It holds.", rows=9, failed=1, failure_rate=None,
        examples=(BehaviourExample(before=(0.5, 0.5), after=(0.1, 0.9), **shown),),
    )  # fmt: skip
    return in_first_report(contents, behaviours=(result,))


def in_changed_field(contents: Contents) -> Contents:
    return in_behaviour(contents, "changed")


def in_first_report(contents: Contents, **changes: Any) -> Contents:
    first, *others = contents.evidence.reports
    reports = (replace(first, **changes), *others)
    return replace(contents, evidence=replace(contents.evidence, reports=reports))


def in_request(contents: Contents) -> Contents:
    first, second, *others = contents.golden_requests
    requests = (first, {**second, "seat": "12A"}, *others)
    return replace(contents, golden_requests=requests)


def with_schema(contents: Contents, **changes: Any) -> Contents:
    fields = tuple(
        replace(field, **changes) if field.name == "seat" else field for field in SCHEMA.fields
    )
    schema = Schema(fields=fields)
    return replace(contents, schema=schema, dataset=replace(contents.dataset, schema=schema))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (in_reference, "reference profile, field 'seat'"),
        (in_dataset, "dataset's profile, field 'seat'"),
        (in_finding, "finding 'carrier, seat is odd'"),
        (in_finding_about_rows, "finding '(row) is there twice'"),
        (in_group, "report on torch-fp32, a group of 'seat'"),
        (in_slice, "report on onnx-fp32, a slice of 'seat'"),
        (in_weak_value, "report on torch-fp32, a weak slice of 'seat'"),
        (in_weak_range, "report on torch-fp32, a weak slice of 'seat'"),
        (in_cluster, "report on torch-fp32, a cluster of 'seat'"),
        (in_behaviour, "report on torch-fp32, a row that fails 'swap'"),
        (in_changed_field, "report on torch-fp32, a row that fails 'swap'"),
        (in_request, "golden request 1, field 'seat'"),
        (in_abstention, "abstention, field 'seat'"),
    ],
)
def test_a_shown_personal_value_is_refused_and_an_allowed_one_is_not(
    tmp_path: Path, change: Change, where: str
) -> None:
    with pytest.raises(BadRecord, match="found values of a personal field") as caught:
        sample_release(tmp_path, change=change)
    assert caught.value.where == where
    for changes in ({"personal": False}, {"allow": ("log",)}):
        sample_release(tmp_path, change=lambda c, more=changes: with_schema(change(c), **more))  # type: ignore[misc]


@pytest.mark.parametrize("kind", ["groups", "slices"])
@pytest.mark.parametrize("value", ["window", "(missing)"])
def test_a_report_may_name_the_values_that_the_schema_lists(
    tmp_path: Path, kind: str, value: str
) -> None:
    def listed(contents: Contents) -> Contents:
        return in_part(with_schema(contents, values=("window", "aisle")), kind, value)

    release = sample_release(tmp_path, change=listed)
    assert getattr(release.evidence.reports[-1], kind)[0].value == value
    with pytest.raises(BadRecord, match=r"a (group|slice) of 'seat': found values of a personal"):
        sample_release(tmp_path, change=lambda contents: in_part(listed(contents), kind, "12A"))


@pytest.mark.parametrize("value", ["window", "(missing)"])
def test_a_weak_slice_may_be_of_a_value_that_the_schema_lists(tmp_path: Path, value: str) -> None:
    def listed(contents: Contents) -> Contents:
        return in_weakness(with_schema(contents, values=("window", "aisle")), value=value)

    search = sample_release(tmp_path, change=listed).evidence.reports[0].weaknesses
    assert search is not None
    assert search.found[0].conditions[1].value == value


@pytest.mark.parametrize("value", ["UA, window", "(missing), aisle", "a, b, window"])
def test_intersections_may_hold_the_values_that_the_schema_lists(
    tmp_path: Path, value: str
) -> None:
    def crossed(contents: Contents, value: str = value) -> Contents:
        contents = in_part(with_schema(contents, values=("window", "aisle")), "groups", value)
        report = contents.evidence.reports[-1]
        groups = (replace(report.groups[0], field="carrier, seat"), *report.groups[1:])
        reports = (*contents.evidence.reports[:-1], replace(report, groups=groups))
        return replace(contents, evidence=replace(contents.evidence, reports=reports))

    assert sample_release(tmp_path, change=crossed)
    for shown in ("UA, 12A", "window", "UA", "(1 smaller intersections), 12A"):
        with pytest.raises(BadRecord, match="a group of 'carrier, seat': found values of a"):
            sample_release(tmp_path, change=lambda contents, shown=shown: crossed(contents, shown))  # type: ignore[misc]
    sample_release(
        tmp_path, change=lambda contents: crossed(contents, "(1,200 smaller intersections)")
    )


def test_a_report_may_name_the_bands_of_a_personal_number(tmp_path: Path) -> None:
    def banded(contents: Contents, value: str = "18 to under 65") -> Contents:
        return in_part(with_schema(contents, bands=(18.0, 65.0)), "groups", value)

    sample_release(tmp_path, change=banded)
    with pytest.raises(BadRecord, match="a group of 'seat'"):
        sample_release(tmp_path, change=lambda contents: banded(contents, "42"))


def test_a_report_may_part_rows_by_yes_and_no(tmp_path: Path) -> None:
    def boolean(contents: Contents) -> Contents:
        return in_part(with_schema(contents, kind="boolean"), "groups", "true")

    assert sample_release(tmp_path, change=boolean).evidence.reports[-1].groups[0].value == "true"


def test_a_stand_in_for_what_a_request_must_have_is_allowed(tmp_path: Path) -> None:
    def made(contents: Contents) -> Contents:
        requests = tuple({**row, "seat": "stand-in"} for row in contents.golden_requests)
        return replace(with_schema(contents, optional=False), golden_requests=requests)

    assert sample_release(tmp_path, change=made).golden_requests()[0]["seat"] == "stand-in"


def test_the_schema_of_a_release_is_that_of_requests(tmp_path: Path) -> None:
    arrival = Field(name="arrival", kind="timestamp", later=True)
    contents = sample_contents(tmp_path / "made")
    wide = Schema(fields=(*contents.schema.fields, arrival))
    with pytest.raises(BadRecord, match="found field 'arrival', which is known later"):
        sample_release(tmp_path, change=lambda contents: replace(contents, schema=wide))
    release = sample_release(
        tmp_path, change=lambda c: replace(c, dataset=replace(c.dataset, schema=wide))
    )
    assert release.later == ("arrival",)
    assert "arrival" not in release.schema.names
