"""Commands on dataset versions: add, check, list, look at, compare, delete from, name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from torchyard.cli import propose
from torchyard.cli.described import show_difference, show_profile
from torchyard.cli.findings import cell, show_findings, show_row
from torchyard.cli.options import HERE, AsJson, ProjectFolder
from torchyard.cli.screen import Drawn, say, show_json, working
from torchyard.core.digest import short
from torchyard.core.errors import BadProject, BadUsage
from torchyard.core.record import Json, to_json
from torchyard.records.dataset import DatasetVersion, Finding

DEFAULT = "data"
REF_HELP = "A number, a tag, a digest's start, or latest; NAME@ before it for another dataset."
Ref = Annotated[str, typer.Argument(help=REF_HELP)]
Name = Annotated[str, typer.Option(help="Which dataset, when the project keeps several.")]

data = typer.Typer(
    help="Dataset versions: add, check, list, look at, compare, delete from.",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add these commands to the console command."""
    propose.register(data)
    app.add_typer(data, name="data")


@data.command()
def add(
    source: Annotated[
        str | None,
        typer.Argument(help="A file, folder or URL; the project's own data when left out."),
    ] = None,
    name: Name = DEFAULT,
    append: Annotated[
        bool, typer.Option("--append", help="Keep the latest version's rows too, before these.")
    ] = False,
    infer: Annotated[
        bool, typer.Option("--infer", help="Propose a schema for it; no project is needed.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; kept with the version.")] = "",
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Read, validate and keep data as a version. The same content is the same version.

    Example: torchyard data add flights.parquet --reason "October arrived"
    """
    from torchyard.yard import Yard

    if infer and source is None:
        raise BadUsage(
            where="data add --infer",
            found="no source",
            expected="a file, folder or URL to propose a schema for",
            remedy="For example: torchyard data add flights.csv --infer",
        )
    try:
        yard = Yard(project, progress=Drawn(), data_only=infer)
    except BadProject as error:
        raise _or_infer(error, source) from error
    version = yard.add_data(
        _from_here(source), reason=reason, name=name, append=append, infer=infer
    )
    if as_json:
        show_json(_version_json(version))
    else:
        say(f"{_called(version)} holds {version.rows:,} rows.")
        say(f"Look at it with: torchyard data show{_ref(version)}")
        if version.quarantined:
            say(f"{version.quarantined:,} rows were set aside; look at them with: "
                f"torchyard data quarantine{_ref(version)}")  # fmt: skip


@data.command()
def validate(
    source: Annotated[
        str | None,
        typer.Argument(help="A file, folder or URL; the project's own data when left out."),
    ] = None,
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Hold data against the schema and the checks; keep nothing.

    Ends with 1 when a required rule is broken.

    Example: torchyard data validate october.csv
    """
    from torchyard.yard import Yard

    yard = Yard(project)
    with working("Reading and checking data"):
        found = yard.validate_data(_from_here(source))
    if as_json:
        show_json({
            "rows": found.rows, "accepted": found.accepted, "quarantined": found.quarantined,
            "findings": [_finding_json(finding) for finding in found.findings],
        })  # fmt: skip
    else:
        say(f"{found.rows:,} rows: {found.accepted:,} fit, {found.quarantined:,} do not.")
        show_findings(found.findings)
        if found.ok:
            say(f"Keep it with: torchyard data add{f' {source}' if source else ''}")
    if not found.ok:
        raise typer.Exit(1)


@data.command()
def log(name: Name = DEFAULT, project: ProjectFolder = HERE, as_json: AsJson = False) -> None:
    """List a dataset's versions, newest last.

    Example: torchyard data log
    """
    from torchyard.yard import Yard

    yard = Yard(project, data_only=True)
    dataset = yard.dataset(name)
    versions, tags = dataset.versions(), _by_version(dataset.tags())
    if as_json:
        show_json({"versions": [
            {**_version_json(version), "tags": tags.get(version.number, [])}
            for version in versions
        ]})  # fmt: skip
        return
    if not versions:
        others = yard.dataset_names()
        say(f"No versions of {name} yet. "
            + (f"Look at another dataset with: torchyard data log --name {others[0]}" if others
               else "Add one with: torchyard data add"))  # fmt: skip
        return
    latest = dataset.version().number
    for version in versions:
        called = ["latest"] * (version.number == latest) + tags.get(version.number, [])
        _show_entry(version, called)


@data.command()
def show(
    version: Ref = "latest",
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Show a version: its findings and the profile of every field.

    Example: torchyard data show 2
    """
    from torchyard.yard import Yard

    dataset, found = Yard(project, data_only=True).find_data(version)
    if as_json:
        tags = _by_version(dataset.tags()).get(found.number, [])
        show_json({**to_json(found), **_version_json(found), "tags": tags})
        return
    label = f"; the label is {found.label}" if found.label else ""
    say(f"{_called(found)}: {found.rows:,} rows from {found.source}{label}")
    say(found.digest)
    show_findings(found.findings)
    show_profile(found.profile)


@data.command()
def quarantine(
    version: Ref = "latest",
    rows: Annotated[int, typer.Option(min=1, help="How many rows to show.")] = 20,
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Show the rows that a version set aside, and which rules each one broke.

    They are shown whole, personal values too: these are the rows to mend.

    Example: torchyard data quarantine 2
    """
    from torchyard.yard import Yard

    dataset, found = Yard(project, data_only=True).find_data(version)
    aside = dataset.quarantined(found, rows=rows)
    broke = aside.columns[-1] if aside.width else ""
    path = dataset.quarantine_path(found)
    if as_json:
        show_json({
            "version": found.number, "quarantined": found.quarantined,
            "file": str(path) if found.quarantined else None,
            "rows": [
                {name: cell(row[name]) for name in (broke, *aside.columns[:-1])}
                for row in aside.iter_rows(named=True)
            ],
        })  # fmt: skip
        return
    say(f"{_called(found)} set {found.quarantined:,} rows aside.")
    for row in aside.iter_rows(named=True):
        show_row(row, broke=broke)
    if found.quarantined:
        say(f"All of them: {path}")


@data.command()
def delete(
    where: Annotated[str, typer.Option(help="An SQL condition on one row, over the fields.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the version.")],
    name: Name = DEFAULT,
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Keep the latest version without some rows as a new one; earlier versions keep them.

    Example: torchyard data delete --where "age < 18" --reason "no consent"
    """
    from torchyard.yard import Yard

    yard = Yard(project, data_only=True)
    before = yard.dataset(name).version()
    version = yard.delete_data(where, reason=reason, name=name)
    deleted = before.rows - version.rows
    if as_json:
        show_json({**_version_json(version), "deleted": deleted})
    else:
        say(f"{_called(version)} holds {version.rows:,} rows: {deleted:,} are gone. "
            f"Version {before.number} keeps them.")  # fmt: skip


@data.command()
def tag(
    version: Annotated[str, typer.Argument(help=REF_HELP)],
    tag: Annotated[str, typer.Argument(help="The name to give it.")],
    move: Annotated[
        bool, typer.Option("--move", help="Take the name from the version that has it.")
    ] = False,
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Give a version a name that stays.

    Example: torchyard data tag latest paper
    """
    from torchyard.yard import Yard

    dataset, found = Yard(project, data_only=True).find_data(version)
    dataset.tag(found, tag, move=move)
    if as_json:
        show_json({"version": found.number, "digest": found.digest, "tag": tag})
    else:
        say(f"{_called(found)} is tagged {tag}.")


@data.command()
def diff(
    before: Annotated[str, typer.Argument(help=REF_HELP)],
    after: Annotated[
        str | None,
        typer.Argument(help="The version to compare with; the latest of the same dataset."),
    ] = None,
    key: Annotated[
        str,
        typer.Option(
            help="Fields that name a row, with commas between; a unique field when left out."
        ),
    ] = "",
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Compare two versions: fields, rows, rows by key, and distributions by size of change.

    Example: torchyard data diff 1 2 --key customer,day
    """
    from torchyard.yard import Yard

    names = [name.strip() for name in key.split(",") if name.strip()]
    yard, latest = Yard(project, data_only=True), f"{before.rpartition('@')[0] or DEFAULT}@latest"
    with working("Comparing"):
        found = yard.diff_data(before, after or latest, key=names)
    if as_json:
        show_json(to_json(found))
    else:
        show_difference(found)


def _from_here(source: str | None) -> str | None:
    """A file that is here, whatever folder the project is in; other words are the project's."""
    if source is None or not Path(source).exists():
        return source
    return str(Path(source).resolve())


def _version_json(version: DatasetVersion) -> dict[str, Json]:
    return {
        "name": version.name,
        "version": version.number,
        "digest": version.digest,
        "rows": version.rows,
        "quarantined": version.quarantined,
        "operation": version.operation,
        "parent": version.parent,
        "created": version.created,
        "author": version.author,
        "reason": version.reason,
        "source": version.source,
        "findings": [_finding_json(finding) for finding in version.findings],
    }


def _finding_json(finding: Finding) -> Json:
    return {
        "rule": finding.rule,
        "field": finding.field,
        "count": finding.rows,
        "examples": list(finding.examples),
        "severity": finding.severity,
        "meaning": finding.meaning,
    }


def _show_entry(version: DatasetVersion, called: Sequence[str]) -> None:
    """A version in the log: how many rows when and by whom, then where from and why."""
    made = version.operation + (f" on {version.parent}" if version.parent else "")
    aside = f", {version.quarantined:,} set aside" if version.quarantined else ""
    when = version.created[:16].replace("T", " ")
    say(f"{short(version.digest)}  {version.rows:,} rows{aside}  {when} UTC by {version.author}"
        + (f"  [{', '.join(called)}]" if called else ""),
        first=f"{version.number:>3}  ")  # fmt: skip
    say(f"{made}: {version.source}", first=" " * 5)
    if version.reason:
        say(f"because: {version.reason}", first=" " * 5)


def _or_infer(error: BadProject, source: str | None) -> BadProject:
    """A refusal of data without a project, which says how to do without one."""
    return BadProject(
        where=error.where, found=error.found, expected=error.expected,
        remedy=f"{error.remedy}. To keep data without one: "
        f"torchyard data add {source or 'FILE'} --infer",
    )  # fmt: skip


def _ref(version: DatasetVersion) -> str:
    """How a command is told that it is about the latest version of this dataset."""
    return "" if version.name == DEFAULT else f" {version.name}@latest"


def _called(version: DatasetVersion) -> str:
    of = "" if version.name == DEFAULT else f" of {version.name}"
    return f"Version {version.number}{of} ({short(version.digest)})"


def _by_version(tags: dict[str, int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for name, number in sorted(tags.items()):
        found.setdefault(number, []).append(name)
    return found
