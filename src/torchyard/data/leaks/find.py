"""All leak checks over the rows of a dataset version, in two passes."""

from __future__ import annotations

import dataclasses

from torchyard.data.leaks.alone import ALONE, PredictsAlone
from torchyard.data.leaks.entities import SharedEntities
from torchyard.data.leaks.foresight import EqualsLabel, LateTimes
from torchyard.data.leaks.gaps import TellingGaps
from torchyard.data.leaks.near import NearDuplicates
from torchyard.data.leaks.nowhere import InNoPart
from torchyard.data.leaks.parted import Check, parted
from torchyard.data.leaks.questions import questions_of
from torchyard.data.leaks.trend import TREND, LabelTrend
from torchyard.data.leaks.twins import SameRows
from torchyard.data.rules import Checks
from torchyard.data.split import Splitter
from torchyard.data.strata import Chunks
from torchyard.records.dataset import Finding, SplitRule
from torchyard.records.schema import Schema, Task


def find_leaks(
    chunks: Chunks, splitter: Splitter, schema: Schema, task: Task, rule: SplitRule, checks: Checks
) -> tuple[Finding, ...]:
    """Look for leaks between the parts, and from the label into the fields.

    Args:
        chunks: all accepted rows, with the schema's fields and the label as columns; read twice,
            and once more where a number is predicted.
        splitter: says which part each row belongs to; made from ``rule``.
        schema: the fields; only those that a request carries can leak.
        task: what is predicted.
        rule: how rows are parted.
        checks: ``predicts_alone_at_most``, and whether serious leaks ``fail`` or all ``warn``.

    Returns:
        Findings of severity ``fail`` or ``warn``, the serious ones first. The same rows give the
        same findings in whatever chunks they come. Memory grows by 16 bytes per row and 8 more for
        each ``id`` field that is compared, and by 8 more while keys are sorted (measured in
        ``benchmarks/ten_million.py``: some 50 in all with one such field).

    Raises:
        BadData: a label is none that the task knows.
    """
    questions = questions_of(task, chunks)
    asked: list[Check] = [
        EqualsLabel(schema, task, questions),
        TellingGaps(schema, questions, checks.predicts_alone_at_most),
        PredictsAlone(schema, task, questions, checks.predicts_alone_at_most),
        SameRows(schema),
        NearDuplicates(schema),
        SharedEntities(schema, rule),
        InNoPart(rule),
        LateTimes(schema, rule),
        LabelTrend(schema, questions, rule),
    ]
    for rows in parted(chunks, splitter, schema, task, questions):
        for check in asked:
            check.first(rows)
    twice = [check for check in asked if check.settle()]
    for rows in parted(chunks, splitter, schema, task, questions):
        for check in twice:
            check.second(rows)
    return _ranked([found for check in asked for found in check.findings()], checks)


def _ranked(findings: list[Finding], checks: Checks) -> tuple[Finding, ...]:
    """Serious ones first; of one field's causes the plainest; all as warnings if so declared."""
    causes: dict[str, str] = {}
    for found in sorted(findings, key=lambda found: found.rule == ALONE):
        if found.severity == "fail":
            causes.setdefault(found.field, found.rule)
    kept = [
        found
        for found in findings
        if found.rule not in (ALONE, TREND) or causes.get(found.field, found.rule) == found.rule
    ]
    kept.sort(key=lambda found: found.severity != "fail")
    if checks.leaks == "warn":
        kept = [dataclasses.replace(found, severity="warn") for found in kept]
    return tuple(kept)
