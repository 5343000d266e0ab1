"""A project with the settings that a search chose, and finding the search that fits a project."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from torchyard.core.errors import BadUsage, NotFound
from torchyard.core.record import Json, read_record
from torchyard.core.wording import listed
from torchyard.records.search import Study
from torchyard.records.training import Tuned
from torchyard.yard.results import Featured, OpenProject
from torchyard.yard.ways import decided_by
from torchyard.yard.workspace import LoadedProject, Workspace

STUDY = "study.json"
_MODEL = "model"


def with_chosen(
    opened: OpenProject, settings: Mapping[str, Json], arguments: Mapping[str, Json]
) -> OpenProject:
    """The project with some settings of training, and keyword arguments of its model bound.

    Raises:
        BadProject: settings do not go together, or the model does not take an argument any more.
    """
    changes: dict[str, Any] = dict(settings)
    training = dataclasses.replace(opened.project.training, **changes)
    project = dataclasses.replace(opened.project, training=training)
    loaded = with_arguments(dataclasses.replace(opened.loaded, project=project), arguments)
    return dataclasses.replace(opened, loaded=loaded, arguments=dict(arguments))


def with_arguments(loaded: LoadedProject, arguments: Mapping[str, Json]) -> LoadedProject:
    """The project with keyword arguments of its model bound; as it is where there are none."""
    if not arguments:
        return loaded
    model = partial(loaded.project.model, **arguments)
    return dataclasses.replace(loaded, project=dataclasses.replace(loaded.project, model=model))


def with_tuned(opened: OpenProject, tuned: Tuned | None) -> OpenProject:
    """The project with what a recorded search chose; as it is where there was none."""
    if tuned is None:
        return opened
    settings = {name: value for name, value in tuned.chosen.items() if name != _MODEL}
    chosen = with_chosen(opened, settings, tuned.chosen.get(_MODEL, {}))
    return dataclasses.replace(chosen, tuned=tuned)


def with_latest_study(
    opened: OpenProject, featured: Featured, *, given: Collection[str]
) -> OpenProject:
    """The project with the best trial of the latest search that fits it.

    A search fits whose data, features, split and code are the project's, and the settings that it
    did not change.

    Args:
        opened: the project.
        featured: its data and features.
        given: settings that the caller replaced.

    Raises:
        NotFound: there is no such search, or none of its trials was trained to the end.
        BadUsage: the caller replaced a setting that the search chose.
    """
    studies = sorted(find_studies(opened.workspace), key=lambda one: one.updated)
    if not studies:
        raise _not_found("no search", "Search first: torchyard tune")
    inputs = decided_by(opened, featured)
    fitting = [one for one in studies if not differing(one, inputs)]
    if not fitting:
        latest = studies[-1]
        raise _not_found(
            f"none that fits: the latest one, {latest.key}, differs in "
            f"{listed(differing(latest, inputs))}",
            "Search again for what the project is now: torchyard tune",
        )
    tuned = fitting[-1].tuned
    if tuned is None:
        raise _not_found(
            f"search {fitting[-1].key}, with no trial that was trained to its end",
            "Go on with it: torchyard tune",
        )
    by = f"search {tuned.study} chose"
    refuse_both(given, tuned.chosen, where="--set beside --tuned", by=by)
    return with_tuned(opened, tuned)


def refuse_both(given: Collection[str], searched: Collection[str], *, where: str, by: str) -> None:
    """Refuse a setting that the caller gives and a search chooses.

    Raises:
        BadUsage: there is one.
    """
    both = [name for name in given if name in searched]
    if both:
        raise BadUsage(
            where=where,
            found=f"{listed(both)}, which {by}",
            expected="one of both",
            remedy="Leave --set out for what is searched.",
        )


def find_studies(workspace: Workspace) -> list[Study]:
    """Every search of a project, as far as each has come."""
    paths = sorted(workspace.studies.glob(f"*/{STUDY}"))
    return [read_record(Study, path) for path in paths]


def differing(study: Study, inputs: Mapping[str, Json]) -> list[str]:
    """The names of what is not as it was when a search was made; none when it fits.

    What it searched over does not count: it chose that itself.
    """
    names = [
        name for name in inputs if name != "training" and study.inputs.get(name) != inputs[name]
    ]
    before, now = study.inputs["training"], inputs["training"]
    return names + [
        f"{name} ({before.get(name)!r} then, {now.get(name)!r} now)"
        for name in now
        if name not in study.space.settings and before.get(name) != now.get(name)
    ]


def study_tags(opened: OpenProject) -> dict[str, str]:
    """The labels of a run whose settings a search chose; none where there was none."""
    if opened.tuned is None:
        return {}
    return {"torchyard.study": opened.tuned.study, "torchyard.trial": str(opened.tuned.trial)}


def _not_found(found: str, remedy: str) -> NotFound:
    return NotFound(
        where="--tuned",
        found=found,
        expected="a search of this project's data, features, code and settings",
        remedy=remedy,
    )
