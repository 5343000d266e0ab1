"""Declared behaviours, tried on the test rows of a model under judgement."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING

from torchyard.core.record import Json, to_json
from torchyard.records.behaviours import Behaviour
from torchyard.records.evidence import Report
from torchyard.yard.results import Featured, OpenProject
from torchyard.yard.sources import function_source

if TYPE_CHECKING:
    from torchyard.yard.evaluating import Subject

# rows that a behaviour which selects its own is given, for each that it may try
_LOOKED_AT = 20


def with_behaviours(
    report: Report, opened: OpenProject, featured: Featured, subject: Subject
) -> Report:
    """A report with what came of each declared behaviour."""
    from torchyard.behaviours import Trial, try_behaviour

    project = opened.project
    schema, seed = featured.version.schema.request, project.training.seed
    drawn: dict[int, Trial] = {}
    results = []
    for declared in project.behaviours:
        most = _most_rows(declared.behaviour)
        if most not in drawn:
            places = featured.sample("test", most, seed=seed)
            drawn[most] = Trial(
                rows=featured.rows_at("test", places, schema.names),
                ask=partial(subject.answer, featured),
                task=subject.task,
                schema=schema,
                seed=seed,
            )
        results.append(try_behaviour(declared.behaviour, drawn[most], declared.function))
    return dataclasses.replace(report, behaviours=tuple(results))


def behaviour_inputs(opened: OpenProject) -> Json:
    """Every declared behaviour, and the source of its function: what results depend on."""
    return [
        [
            to_json(one.behaviour),
            None if one.function is None else function_source(opened.loaded, one.function),
        ]
        for one in opened.project.behaviours
    ]


def _most_rows(behaviour: Behaviour) -> int:
    most = int(str(behaviour.options["rows"]))
    return most * _LOOKED_AT if behaviour.options.get("from") == "where" else most
