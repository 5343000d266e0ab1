"""The word of a project file for when the model is not to answer, and what may be asked of it."""

from __future__ import annotations

from collections.abc import Sequence

from torchyard.core.errors import BadProject
from torchyard.project.needs import need_numbers, need_texts, need_types
from torchyard.project.references import need_fields
from torchyard.records.abstaining import COVERAGE, SELECTIVE, AbstainRule
from torchyard.records.schema import FieldKind, Schema, Task
from torchyard.records.verdicts import Gate

_WHERE = "ty.Abstain(...)"
_JUDGED: tuple[FieldKind, ...] = (
    "number", "integer", "boolean", "category", "timestamp", "text", "id",
)  # fmt: skip


def Abstain(  # noqa: N802 - reads as the other parts of a project do
    *,
    below: float | None = None,
    wider_than: float | None = None,
    outside_training: bool | Sequence[str] = False,
) -> AbstainRule:
    """When the model is not to answer: each of the conditions that are given is enough.

    Which is the reject option of Chow 1970. What it costs and brings, the share of test rows that
    are still answered and the quality on these, stands in reports and on the card, and gates may
    limit it: ``coverage``, ``selective_accuracy`` and their like.

    Args:
        below: abstain when the calibrated probability of the answer is below it; not of several
            labels a row, nor of a number.
        wider_than: abstain when a number's interval is wider, in the label's unit.
        outside_training: abstain when a field has a number beyond the least and the greatest of
            training, a category that no training row had, or no value though every training row had
            one. True for all fields that the features read, or the names of fields.

    Raises:
        BadProject: nothing is given, or a limit is out of its range.

    Example:
        >>> Abstain(below=0.7, outside_training=["distance"]).outside_training
        ('distance',)
    """
    need_numbers(_WHERE, below=below, wider_than=wider_than)
    if below is not None and not 0 < below < 1:
        raise _misfit(f"below={below}", "a probability between 0 and 1")
    if wider_than is not None and wider_than <= 0:
        raise _misfit(f"wider_than={wider_than}", "a width above 0, in the label's unit")
    fields = outside_training
    if not isinstance(fields, bool):
        fields = need_texts(fields, where=_WHERE, name="outside_training")
    if below is None and wider_than is None and not fields:
        raise _misfit("no condition", "below=, wider_than= or outside_training=")
    return need_types(
        AbstainRule(below=below, wider_than=wider_than, outside_training=fields), where=_WHERE
    )


def check_abstain(rule: object, schema: Schema, task: Task, gates: Sequence[Gate]) -> None:
    """Refuse a rule that is none, that can never hold, or of fields that cannot be judged.

    Raises:
        BadProject: so it is; or a gate limits what abstaining costs, and nothing is declared.
    """
    if rule is None:
        _need_no_gate(gates)
        return
    if not isinstance(rule, AbstainRule):
        raise BadProject(
            where="ty.Project(..., abstain=)",
            found=repr(rule),
            expected="ty.Abstain(...), or nothing",
            remedy="For example abstain=ty.Abstain(outside_training=True).",
        )
    _check_confidence(rule, task)
    if rule.wider_than is not None and not task.is_regression:
        raise _misfit(f"wider_than={rule.wider_than:g}", "below=, as classes have no interval")
    names = () if isinstance(rule.outside_training, bool) else rule.outside_training
    need_fields(schema.request, names, f"{_WHERE}, outside_training", _JUDGED)
    for field in (schema.field(name) for name in names):
        if field.is_withheld:
            raise BadProject(
                where=f"{_WHERE}, outside_training",
                found=f"field '{field.name}', which is personal",
                expected="fields whose values may stand in a release",
                remedy="Leave it out, or allow=['log'] on the field.",
            )


def _check_confidence(rule: AbstainRule, task: Task) -> None:
    if rule.below is None:
        return
    if task.is_regression:
        raise _misfit(f"below={rule.below:g}", "wider_than=, as a number has no probability")
    if task.is_multilabel:
        raise _misfit(
            f"below={rule.below:g}", "outside_training=, as each label has its own probability"
        )
    least = 1 / len(task.classes)
    if task.is_binary:
        least = min(task.threshold, 1 - task.threshold)
    if task.operating is None and rule.below <= least:
        raise _misfit(
            f"below={rule.below:g}, which no answer's probability ever is", f"above {least:.3g}"
        )


def _need_no_gate(gates: Sequence[Gate]) -> None:
    for gate in gates:
        if gate.metric == COVERAGE or gate.metric.startswith(SELECTIVE):
            raise BadProject(
                where=f"gate {gate.metric}",
                found="a model that answers every row",
                expected="abstain=ty.Abstain(...)",
                remedy="Declare when it is not to answer, or leave the gate out.",
            )


def _misfit(found: str, expected: str) -> BadProject:
    return BadProject(
        where=_WHERE,
        found=found,
        expected=expected,
        remedy="For example ty.Abstain(below=0.7, outside_training=True).",
    )
