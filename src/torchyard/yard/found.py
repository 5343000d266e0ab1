"""Findings as people are told them: alike ones together, severities in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from torchyard.core.wording import listed
from torchyard.records.dataset import Finding

_SHOWN_FIELDS = 20
_SEVERITIES = {"quarantine": "set aside", "warn": "warning", "fail": "refused"}


def alike(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings that differ in nothing but their field, as one on all of these.

    Example:
        >>> about = dict(rule="is not in the schema", severity="warn", rows=9, rows_checked=9,
        ...              examples=(), meaning="Left out.")
        >>> [f.field for f in alike([Finding(field=name, **about) for name in ("a", "b")])]
        ['a, b']
    """
    fields: dict[Finding, list[str]] = {}
    for finding in findings:
        fields.setdefault(dataclasses.replace(finding, field=""), []).append(finding.field)
    return tuple(
        dataclasses.replace(finding, field=listed(names, most=_SHOWN_FIELDS))
        for finding, names in fields.items()
    )


def severity(finding: Finding) -> str:
    """What became of the rows, in two words at most."""
    return _SEVERITIES[finding.severity]


def sentence(finding: Finding) -> str:
    """``monthly_fee: is below 0 EUR, 10 rows``."""
    rows = f", {finding.rows:,} {'row' if finding.rows == 1 else 'rows'}" if finding.rows else ""
    return f"{finding.field}: {finding.rule}{rows}"
