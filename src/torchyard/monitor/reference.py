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
        answers: the distribution of the answers, as ``data.profile.profile_scores`` makes it.
        report: quality of the variant that is served, on the test split.
    """

    release: str
    schema: Schema
    task: Task
    inputs: Profile
    answers: Profile
    report: Report


def only_logged(reference: Reference) -> Reference:
    """The reference with those fields alone that traffic can be compared in.

    That is without what a prediction log does not hold by design (pictures, tensors, personal and
    ``later`` fields), which would look missing, and without ids, which are new with every row.
    """
    sent = reference.schema.request.fields
    fields = tuple(field for field in sent if field.is_logged and field.kind != "id")
    return replace(reference, schema=Schema(fields=fields))
