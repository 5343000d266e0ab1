"""What must not be sealed: values of personal fields, and fields that no request can carry.

A release leaves the project. Whoever makes its contents takes these things out; here it is checked
that they did.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain

from torchyard.core.errors import BadRecord
from torchyard.records.dataset import FieldProfile, Profile
from torchyard.records.evidence import GroupResult, Report
from torchyard.records.schema import Field
from torchyard.release.contents import Contents

_NO_VALUE = "(missing)"  # what the group of rows without a value is called
_JOINT = ", "  # between the fields, and the values, of an intersection
_REST = re.compile(r"\([\d,]+ smaller intersections\)")


def check_withheld(contents: Contents) -> None:
    """Refuse contents that show what is to be withheld.

    Of a personal field that does not allow ``log`` profiles may say how many rows have it, findings
    may count it, reports may have a group or slice for each value that the schema itself lists, but
    no cluster, and golden requests may hold a stand-in; where the field is optional, they may not
    hold it at all. Examples of a finding that is about rows, and not about fields, may show any
    value, so beside a personal field there may be none.

    Raises:
        BadRecord: the schema has a field that is known only later, or a profile, a finding, a
            report or a golden request shows values of a personal field.
    """
    for field in contents.schema.fields:
        if field.later:
            raise _shown(
                "schema", f"field '{field.name}', which is known later", "fields of a request"
            )
    every = (*contents.dataset.schema.fields, *contents.schema.fields)
    withheld = {field.name: field for field in every if field.is_withheld}
    for where in _shows(contents, withheld):
        raise _shown(where, "values of a personal field", "none, or allow=['log'] on the field")


def _shows(contents: Contents, withheld: Mapping[str, Field]) -> Iterator[str]:
    yield from _in_profile("reference profile", contents.reference, withheld)
    yield from _in_profile("dataset's profile", contents.dataset.profile, withheld)
    for known_field in () if contents.abstention is None else contents.abstention.known:
        if known_field.field in withheld:
            yield f"abstention, field '{known_field.field}'"
    known = set(contents.dataset.schema.names)
    for finding in contents.dataset.findings:
        names = {name.strip() for name in finding.field.split(",")}
        if withheld and finding.examples and (names & withheld.keys() or not names <= known):
            yield f"finding '{finding.field} {finding.rule}'"
    for report in contents.evidence.reports:
        yield from _in_report(report, withheld)
        yield from _in_behaviours(report, withheld)
    optional = {field.name for field in contents.schema.fields if field.optional} & withheld.keys()
    for place, request in enumerate(contents.golden_requests):
        for name in sorted(optional & request.keys()):
            yield f"golden request {place}, field '{name}'"


def _in_report(report: Report, withheld: Mapping[str, Field]) -> Iterator[str]:
    for kind, results in (("group", report.groups), ("slice", report.slices)):
        for result in results:
            if not _is_stated(result, withheld):
                yield f"report on {report.model}, a {kind} of '{result.field}'"
    found = report.weaknesses.found if report.weaknesses is not None else ()
    for condition in chain.from_iterable(one.conditions for one in found):
        field = withheld.get(condition.field)
        if field is None or (field.kind == "boolean" and condition.value is not None):
            continue
        if condition.value not in (_NO_VALUE, *field.values):
            yield f"report on {report.model}, a weak slice of '{condition.field}'"
    for cluster in report.clusters:
        if cluster.field in withheld:
            yield f"report on {report.model}, a cluster of '{cluster.field}'"


def _in_behaviours(report: Report, withheld: Mapping[str, Field]) -> Iterator[str]:
    for result in report.behaviours:
        for example in result.examples:
            shown = chain(example.row.items(), example.changed.items())
            if any(name in withheld and value is not None for name, value in shown):
                yield f"report on {report.model}, a row that fails '{result.name}'"


def _is_stated(part: GroupResult, withheld: Mapping[str, Field]) -> bool:
    """Whether what is withheld has, in the name of a part of the rows, the schema's own values."""
    fields = [withheld.get(name) for name in part.field.split(_JOINT)]
    if not any(fields) or (len(fields) > 1 and _REST.fullmatch(part.value)):
        return True
    values = _JOINT.join(map(_stated, fields))
    return re.fullmatch(values, part.value, re.DOTALL) is not None


def _stated(field: Field | None) -> str:
    """A pattern of what a field's value may be."""
    if field is None:
        return ".*"
    known = ("true", "false") if field.kind == "boolean" else field.group_names
    return f"(?:{'|'.join(map(re.escape, (_NO_VALUE, *known)))})"


def _in_profile(where: str, profile: Profile, withheld: Mapping[str, Field]) -> Iterator[str]:
    for field in profile.fields:
        bare = FieldProfile(
            name=field.name,
            kind=field.kind,
            rows=field.rows,
            missing=field.missing,
            unit=field.unit,
        )
        if field.name in withheld and field != bare:
            yield f"{where}, field '{field.name}'"


def _shown(where: str, found: str, expected: str) -> BadRecord:
    return BadRecord(
        where=where, found=found, expected=expected, remedy="Make the contents again, then seal."
    )
