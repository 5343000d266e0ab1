"""What traffic is compared with: the papers of one release."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torchyard.records.dataset import Profile
from torchyard.records.evidence import Report
from torchyard.records.schema import Schema, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What of a release's papers its traffic is compared with.

    Attributes:
        release: the release's id.
        schema: the raw fields of a row.
        task: what is predicted.
        inputs: distributions of (at least) the schema's fields.
        answers: the distribution of the calibrated probabilities of the second class, one field
            named ``probability``.
        report: quality of the variant that is served, on the test split.
    """

    release: str
    schema: Schema
    task: Task
    inputs: Profile
    answers: Profile
    report: Report


def only_logged(reference: Reference) -> Reference:
    """The reference with those fields alone that reach a prediction log."""
    fields = tuple(field for field in reference.schema.fields if field.is_logged)
    return replace(reference, schema=Schema(fields=fields))
