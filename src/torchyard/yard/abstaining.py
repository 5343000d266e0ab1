"""When a project's model does not answer: learnt from training rows, counted on test rows.

The code that judges is serving's own, so what is counted here is what will happen there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torchyard.records.abstaining import Abstention
from torchyard.records.evidence import Report
from torchyard.records.schema import Schema
from torchyard.yard.results import Featured, OpenProject

if TYPE_CHECKING:
    from torchyard.evaluate import Sample
    from torchyard.serve.abstaining import Abstained
    from torchyard.yard.evaluating import Subject


def learn_abstention(opened: OpenProject, featured: Featured) -> Abstention | None:
    """The project's rule with what the training rows have in its fields; None without a rule."""
    from torchyard.features import columns_from_frame
    from torchyard.features.known import judged_fields, learn_known

    rule = opened.project.abstain
    if rule is None:
        return None
    wanted: tuple[str, ...] = ()
    if rule.outside_training is True:
        wanted = featured.inputs.names
    elif rule.outside_training:
        wanted = rule.outside_training
    request = opened.project.schema.request
    read = judged_fields(Schema(fields=tuple(one for one in request.fields if one.name in wanted)))
    chunks = featured.chunks("train", read.names) if read.fields else ()
    known = learn_known(read, (columns_from_frame(read, rows) for rows in chunks))
    return Abstention(below=rule.below, wider_than=rule.wider_than, known=known)


def with_honesty(
    report: Report, sample: Sample, opened: OpenProject, featured: Featured, subject: Subject
) -> Report:
    """The report with what abstaining comes to, and how many values the task does not allow."""
    from torchyard.evaluate import measure_selective, outside_share
    from torchyard.serve.soundness import has_domain, outside_domain

    if has_domain(subject.task):
        outside = outside_domain(subject.task, subject.outputs).tolist()
        report = replace(report, outside_domain=outside_share(outside))
        if any(outside):
            opened.progress.note(
                f"warning: {subject.name} answers {sum(outside):,} of {len(outside):,} test rows "
                "with a value that the task does not allow; served, they would fail"
            )
    if subject.abstention is None:
        return report
    reasons = _reasons(featured, subject, subject.abstention)
    seed = opened.project.training.seed
    return replace(report, selective=measure_selective(sample, reasons, seed=seed))


def _reasons(featured: Featured, subject: Subject, abstention: Abstention) -> list[str | None]:
    """Why each test row is not answered, None where it is."""
    from torchyard.features import columns_from_frame
    from torchyard.serve.abstaining import Abstainer

    schema = featured.version.schema
    read = Schema(fields=tuple(schema.field(one.field) for one in abstention.known))
    abstainer = Abstainer(abstention, read, subject.task)
    judged: list[Abstained | None] = []
    if not read.fields:
        judged = abstainer.judge({}, subject.outputs)
    for rows in featured.chunks("test", read.names) if read.fields else ():
        answers = subject.outputs[len(judged) : len(judged) + rows.height]
        judged += abstainer.judge(columns_from_frame(read, rows), answers)
    return [None if why is None else why.code for why in judged]
