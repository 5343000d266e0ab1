"""Why one answer is what it is: how much each raw field moved it away from the usual answer.

Shapley values by sampling (Castro, Gómez and Tejada 2009; Štrumbelj and Kononenko 2010), computed
by Captum. A field is present with the row's value, or absent with that of a reference row from the
training part. The model is asked as a black box from raw fields to calibrated answer, so look-ups,
texts, pictures and missing values count as they do in serving. For each reference the parts add up
to the answer less the reference's answer; the mean over references does, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.core.errors import BadUsage, NotReady
from torchyard.core.record import Json
from torchyard.records.measures import Measured
from torchyard.records.schema import Schema
from torchyard.yard.evaluating import yardstick
from torchyard.yard.results import Array, Evaluated, OpenProject

if TYPE_CHECKING:
    import torch

    from torchyard.optimize.build import Columns, Runnable

REFERENCES = 64
MOST_ROWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldPart:
    """What one field does to one answer: ``moves`` it up where above 0.

    ``value`` is the field's value in the row, as JSON; empty where it must not be shown, or is a
    picture or a tensor.
    """

    field: str
    value: str
    moves: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """One answer, told by its fields.

    Attributes:
        of: what the numbers are about: a class, whose probability they are, or the label.
        answer: the model's.
        reference: its mean answer to ``references`` rows of the training part.
        references: how many.
        parts: one per field that the features read, the largest first; they add up to ``answer``
            less ``reference``.
    """

    of: str
    answer: float
    reference: float
    references: int
    parts: tuple[FieldPart, ...]


def attribute_rows(
    opened: OpenProject,
    evaluated: Evaluated,
    rows: Sequence[Mapping[str, Json]],
    *,
    references: int = REFERENCES,
) -> tuple[Attribution, ...]:
    """What each field of some rows does to the yardstick's answer.

    Args:
        opened: the project.
        evaluated: its model.
        rows: as a request has them.
        references: rows of the training part, drawn by the project's seed: more make it surer.

    Raises:
        BadUsage: there are no rows, or more than 100.
        BadData: a row does not fit the schema.
        NotReady: Captum is not installed.
    """
    from torchyard.features import columns_from_frame
    from torchyard.serve.decoding.rows import RowDecoder

    if not 1 <= len(rows) <= MOST_ROWS:
        raise BadUsage(
            where="torchyard explain --row",
            found=f"{len(rows):,} rows",
            expected=f"1 to {MOST_ROWS} rows",
            remedy="Give a row as a JSON object, or a list of some.",
        )
    trained, seed = evaluated.trained, opened.project.training.seed
    featured, schema = trained.featured, opened.project.schema.request
    decoder = RowDecoder(schema, max_rows=MOST_ROWS)
    decoded = decoder.decode(json.dumps({"rows": list(rows)}).encode()).rows
    columns = decoder.columns(decoded)
    places = featured.sample("train", references, seed=seed)
    usual = columns_from_frame(
        featured.inputs, featured.rows_at("train", places, featured.inputs.names)
    )
    model = yardstick(opened, trained, calibration=evaluated.calibration, task=evaluated.task)
    names = featured.inputs.names
    return tuple(
        _attribution(
            _Asked(model, {name: columns[name][place : place + 1] for name in names}, usual),
            evaluated, row, seed=seed + place,
        )
        for place, row in enumerate(rows)
    )  # fmt: skip


def row_of_test(evaluated: Evaluated, number: int) -> Mapping[str, Json]:
    """A labelled test row as a request has it, counted from 1.

    Raises:
        BadUsage: there is no row of that number.
    """
    from torchyard.data.rows import request_rows

    featured = evaluated.trained.featured
    count = evaluated.report.rows
    if not 1 <= number <= count:
        raise BadUsage(
            where="torchyard explain --number",
            found=str(number),
            expected=f"a test row, 1 to {count:,}",
            remedy="Rows are counted in the order in which the dataset keeps them.",
        )
    frame = featured.rows_at("test", np.array([number - 1]))
    rows: list[dict[str, Json]] = request_rows(frame, featured.version.schema.request)
    return rows[0]


@dataclass(frozen=True)
class _Asked:
    """One row, reference rows, and the model that answers mixtures of them."""

    model: Runnable
    row: Columns
    usual: Columns

    @property
    def references(self) -> int:
        """How many reference rows there are."""
        return len(next(iter(self.usual.values())))

    def itself(self) -> Array:
        """The answer to the row, ``float64 [outputs]``."""
        answers: Array = self.model.run(self.row).astype(np.float64)[0]
        return answers

    def mixed(self, present: Array, reference: int) -> Array:
        """Answers to the row where present, else the reference: ``bool [mixtures, fields]``."""
        mixed = {}
        for place, (name, value) in enumerate(self.row.items()):
            here = present[:, place]
            column = np.repeat(self.usual[name][reference : reference + 1], len(here), axis=0)
            column[here] = value[0]
            mixed[name] = column
        answers: Array = self.model.run(mixed).astype(np.float64)
        return answers


def _attribution(
    asked: _Asked, evaluated: Evaluated, row: Mapping[str, Json], *, seed: int
) -> Attribution:
    from torchyard.evaluate.importance import mean_of

    answer = asked.itself()
    output = _output(evaluated, answer)
    moved, usual = _shapley(asked, output, seed)
    schema = evaluated.trained.featured.inputs
    method = f"Shapley value sampling over {asked.references} references"
    parts = [
        FieldPart(field=name, value=_shown(schema, row, name), moves=mean_of(one, method=method))
        for name, one in zip(asked.row, moved.T, strict=True)
    ]
    task = evaluated.task
    return Attribution(
        of=task.label if task.is_regression else task.classes[output],
        answer=float(answer[output]),
        reference=float(usual.mean()),
        references=asked.references,
        parts=tuple(sorted(parts, key=lambda one: (-abs(one.moves.value), one.field))),
    )


def _shapley(asked: _Asked, output: int, seed: int) -> tuple[Array, Array]:
    """Parts ``[references, fields]`` by one order of the fields each, and the references' answers.

    One order per reference: a second one would cost as much as a second reference, which varies
    more.
    """
    import torch

    sampling = _captum()
    fields = len(asked.row)
    present = torch.ones(1, fields)
    moved, usual = [], []

    def answer_of(masks: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(asked.mixed(masks.numpy() > 0.5, number)[:, output])

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for number in range(asked.references):
            parts = sampling(answer_of).attribute(
                present, baselines=torch.zeros(1, fields), n_samples=1,
                perturbations_per_eval=fields,
            )  # fmt: skip
            moved.append(parts[0].double().numpy())
            usual.append(float(asked.mixed(np.zeros((1, fields), dtype=bool), number)[0, output]))
    return np.stack(moved), np.array(usual)


def _captum() -> Any:
    try:
        from captum.attr import ShapleyValueSampling
    except ImportError as error:
        raise NotReady(
            where="torchyard explain --row",
            found="no Captum",
            expected="the package captum",
            remedy="Install it: pip install 'torchyard[explain]'",
        ) from error
    return ShapleyValueSampling


def _output(evaluated: Evaluated, answer: Array) -> int:
    """Which output is told: a number's value, the second of two classes, else the likeliest."""
    task = evaluated.task
    if task.is_regression:
        return 0
    return 1 if task.is_binary else int(answer.argmax())


def _shown(schema: Schema, row: Mapping[str, Json], name: str) -> str:
    field = schema.field(name)
    if field.is_withheld or field.kind in ("image", "tensor"):
        return ""
    value = row.get(name)
    return "missing" if value is None else str(value)
