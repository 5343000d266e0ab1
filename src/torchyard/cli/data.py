"""Commands on dataset versions: add, list, look at, compare, check."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import typer

from torchyard.cli.options import HERE, AsJson, ProjectFolder
from torchyard.cli.screen import Drawn, say, show_json, table
from torchyard.core.digest import short
from torchyard.core.record import Json, to_json
from torchyard.records.dataset import DatasetVersion, FieldProfile

data = typer.Typer(help="Dataset versions: add, list, look at, compare.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands to the console command."""
    app.add_typer(data, name="data")


@data.command()
def add(
    source: Annotated[
        str | None, typer.Argument(help="A file or URL; the project's own data when left out.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the version.")] = "",
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Read, validate and keep data as a version. The same content is the same version.

    Example: torchyard data add flights.parquet --reason "October arrived"
    """
    from torchyard.yard import Yard

    version = Yard(project, progress=Drawn()).add_data(source, reason=reason)
    if as_json:
        show_json(_version_json(version))
    else:
        say(f"Version {version.number} ({short(version.digest)}) holds {version.rows:,} rows.")


@data.command()
def log(project: ProjectFolder = HERE, as_json: AsJson = False) -> None:
    """List dataset versions, newest last.

    Example: torchyard data log
    """
    from torchyard.yard import Yard

    versions = Yard(project).dataset().versions()
    if as_json:
        show_json({"versions": [_version_json(version) for version in versions]})
        return
    if not versions:
        say("No versions yet. Add one with: torchyard data add")
        return
    table(
        ("version", "digest", "rows", "set aside", "created", "by", "from", "reason"),
        [
            (
                str(version.number), short(version.digest), f"{version.rows:,}",
                f"{version.quarantined:,}", version.created, version.author, version.source,
                version.reason,
            )
            for version in versions
        ],
        right=("version", "rows", "set aside"),
    )  # fmt: skip


@data.command()
def show(
    version: Annotated[
        str, typer.Argument(help="A number, a digest's start, or latest.")
    ] = "latest",
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Show a version: its findings and the profile of every field.

    Example: torchyard data show 2
    """
    from torchyard.yard import Yard

    found = Yard(project).dataset().version(version)
    if as_json:
        show_json(to_json(found))
        return
    say(f"Version {found.number} ({found.digest}), {found.rows:,} rows from {found.source}")
    for finding in found.findings:
        say(f"  {finding.field} {finding.rule}: {finding.rows:,} rows ({finding.severity}). "
            f"{finding.meaning} {'; '.join(finding.examples)}")  # fmt: skip
    table(
        ("field", "kind", "missing", "least", "median", "most", "most frequent"),
        [
            (
                field.name, field.kind, f"{field.missing / max(field.rows, 1):.1%}",
                _bound(field, field.minimum),
                _number(field.quantiles[4] if field.quantiles else None),
                _bound(field, field.maximum),
                ", ".join(
                    f"{value} {count / max(field.rows, 1):.0%}"
                    for value, count in list(zip(field.values, field.counts, strict=False))[:3]
                ),
            )
            for field in found.profile.fields
        ],
        right=("missing", "least", "median", "most"),
    )  # fmt: skip


@data.command()
def diff(
    before: Annotated[str, typer.Argument(help="A number, a digest's start, or latest.")],
    after: Annotated[str, typer.Argument(help="The version to compare with.")] = "latest",
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Compare two versions: fields, rows, and distributions by size of change.

    Example: torchyard data diff 1 2
    """
    from torchyard.yard import Yard

    found = Yard(project).diff_data(before, after)
    if as_json:
        show_json(to_json(found))
        return
    for words, names in (
        ("added", found.fields_added),
        ("removed", found.fields_removed),
        ("declared differently", found.fields_redeclared),
    ):
        if names:
            say(f"Fields {words}: {', '.join(names)}")
    say(f"Rows added: {found.rows_added:,}; removed: {found.rows_removed:,}")
    if found.changes:
        table(
            ("field", "distance", "missing before", "after"),
            [
                (c.field, f"{c.distance:.3f}", f"{c.missing_before:.1%}", f"{c.missing_after:.1%}")
                for c in found.changes
            ],
            right=("distance", "missing before", "after"),
        )


def _version_json(version: DatasetVersion) -> Json:
    return {
        "version": version.number,
        "digest": version.digest,
        "rows": version.rows,
        "quarantined": version.quarantined,
        "created": version.created,
        "author": version.author,
        "reason": version.reason,
        "source": version.source,
        "findings": to_json(version.findings),
    }


def _bound(field: FieldProfile, value: float | None) -> str:
    if field.kind == "timestamp" and value is not None:
        return str(datetime(1970, 1, 1) + timedelta(seconds=value))
    return _number(value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
