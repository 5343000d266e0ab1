"""What a release depends on that the one before it did not: packages, hardware, fields."""

from __future__ import annotations

from torchyard.core.digest import short
from torchyard.core.wording import listed
from torchyard.records.reproduction import Changed
from torchyard.records.schema import Schema
from torchyard.records.training import Environment
from torchyard.release import Release
from torchyard.yard.environments import environment_difference
from torchyard.yard.judging import earlier_releases
from torchyard.yard.results import OpenProject, TrainedModel

_SHOWN = 8


def tell_changes(opened: OpenProject, trained: TrainedModel) -> None:
    """Say what changed since the latest release of the model, where there is one."""
    earlier = earlier_releases(opened)
    if earlier:
        for line in changes_since(earlier[-1], opened.project.schema, trained.run.environment):
            opened.progress.note(line)


def changes_since(before: Release, schema: Schema, now: Environment) -> list[str]:
    """One line each for packages, Python, hardware and fields that are not as they were."""
    difference = environment_difference(before.run.environment, now)
    found = {
        "packages": [_told(name, one) for name, one in difference.packages.items()],
        "Python": [] if difference.python is None else [_told("", difference.python)],
        "hardware": [_told(name, one) for name, one in difference.hardware.items()],
        "fields": _fields(before.schema, schema.request),
    }
    since = f"since release {short(before.id)}"
    return [
        f"{since}, other {what}: {listed(told, most=_SHOWN)}"
        for what, told in found.items()
        if told
    ]


def _fields(before: Schema, now: Schema) -> list[str]:
    known = {field.name: field for field in before.fields}
    told = [f"{name} is gone" for name in before.names if name not in now.names]
    for field in now.fields:
        if field.name not in known:
            told.append(f"{field.name} is new")
        elif field != known[field.name]:
            told.append(f"{field.name} is declared otherwise")
    return told


def _told(name: str, changed: Changed) -> str:
    change = f"{changed.recorded or 'none'} -> {changed.now or 'none'}"
    return f"{name} {change}".strip()
