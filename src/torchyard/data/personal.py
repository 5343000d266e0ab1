"""What may be published of a dataset version: its papers without the values of personal fields.

A version's own papers stay in the project as they are; a release carries what is made here.
"""

from __future__ import annotations

from dataclasses import replace

from torchyard.records.dataset import DatasetVersion, FieldProfile, Finding, Profile
from torchyard.records.schema import Schema


def publishable(version: DatasetVersion) -> DatasetVersion:
    """A version's record, its profile and findings without values of personal fields.

    Fields that may be logged (``allow=["log"]``) keep theirs.
    """
    return replace(
        version,
        findings=tuple(_finding(item, version.schema) for item in version.findings),
        profile=publishable_profile(version.profile, version.schema),
    )


def publishable_profile(profile: Profile, schema: Schema) -> Profile:
    """A profile that says of personal fields only how many rows have them.

    Example:
        >>> from torchyard.records.schema import Field
        >>> seat = FieldProfile(name="seat", kind="category", rows=3, missing=1, values=("12A",),
        ...                     counts=(2,))
        >>> schema = Schema(fields=(Field(name="seat", kind="category", personal=True),))
        >>> publishable_profile(Profile(rows=3, fields=(seat,)), schema).fields[0].values
        ()
    """
    withheld = _withheld(schema)
    return replace(
        profile,
        fields=tuple(
            FieldProfile(
                name=item.name, kind=item.kind, rows=item.rows, missing=item.missing, unit=item.unit
            )
            if item.name in withheld
            else item
            for item in profile.fields
        ),
    )


def _finding(finding: Finding, schema: Schema) -> Finding:
    withheld, names = _withheld(schema), {name.strip() for name in finding.field.split(",")}
    # Examples of a finding that is about no field, but about rows, may show any of their values.
    is_about_rows = not names <= set(schema.names)
    may_show = bool(withheld) and (is_about_rows or bool(names & withheld))
    return replace(finding, examples=()) if may_show else finding


def _withheld(schema: Schema) -> set[str]:
    return {field.name for field in schema.fields if field.is_withheld}
