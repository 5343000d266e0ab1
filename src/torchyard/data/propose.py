"""A schema for rows that have none: inferred from one half, confirmed on the other.

A rule that was read off some rows holds for them whatever it is; only other rows can say whether it
is one. So each pair of neighbouring rows is parted at random, fields and rules are inferred from
the first half, and every rule is then tried on the second: what fails there is widened or dropped,
with a note. The idea of a first schema from data is that of TensorFlow Data Validation (Breck et
al., "Data validation for machine learning", MLSys 2019).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from torchyard.core.errors import BadData, nearest
from torchyard.data.checking.conditions import Condition, conditions
from torchyard.data.checking.unique import Seen
from torchyard.data.proposing.code import schema_code
from torchyard.data.proposing.evidence import Evidence, without_missing
from torchyard.data.proposing.hints import hints, label_hint, leak_hints, personal_word
from torchyard.data.proposing.infer import (
    are_marked_numbers,
    infer_field,
    may_be_unique,
    still_holds,
)
from torchyard.data.proposing.privacy import withheld
from torchyard.data.proposing.repair import Broken, repair
from torchyard.data.reading.parts import PART_COLUMN, part_name
from torchyard.data.reading.textual import read_as_times
from torchyard.data.source import Source
from torchyard.records.schema import FIELD_NAME, Field, Schema, may_be_named

_SAMPLE_ROWS = 20_000
_FEW_ROWS = 100
_UNNAMEABLE = "cannot be the name of a field: rename the column where the data is read; left out"
_TYPES = {
    "number": pl.Float64(), "integer": pl.Int64(), "category": pl.String(), "text": pl.String(),
    "id": pl.String(),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a person should know of a proposed field, or of a column without one.

    ``field`` is empty where it is about all of them.
    """

    field: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A schema to start from.

    Every rule of it holds for all rows of the source, but for infinite numbers. ``code`` is Python
    that declares it. Fields that look personal are declared so, and neither their rules nor the
    notes tell values of theirs. Columns that cannot be fields are left out, with a note.
    """

    source: str
    rows: int
    inferred_rows: int
    confirmed_rows: int
    label: str | None
    schema: Schema
    code: str
    notes: tuple[Note, ...]


def propose(source: Source, *, seed: int = 0, label: str | None = None) -> Proposal:
    """Propose a schema.

    The rows are read twice; memory is bounded by a chunk, 40,000 rows of a sample, and 30 bytes per
    row for each field that may be unique.

    Args:
        source: the rows, opened without a schema.
        seed: parts the rows.
        label: the column that is to be predicted: it becomes no field, and fields that give it away
            are noted.

    Raises:
        BadData: there are fewer than two rows, no such label or one of a name that none can have,
            or no column fits any kind of field.

    Example:
        >>> from pathlib import Path
        >>> from torchyard.data.source import open_source
        >>> ages, cities = [n % 80 for n in range(400)], ["Oslo", "Rome"] * 200
        >>> rows = pl.DataFrame({"age": ages, "city": cities})
        >>> print(propose(open_source(rows, folder=Path())).code)
        import torchyard as ty
        <BLANKLINE>
        schema = ty.Schema(
            age=ty.integer(ge=0, le=90),
            city=ty.category(["Oslo", "Rome"]),
        )
    """
    first = _gather(source, seed, label)
    fields, notes = _infer(first.evidence)
    second = _confirm(source, seed, fields, label)
    settled = _settle_all(fields, first, second, notes)
    if not settled:
        raise _refuse_all(source, notes | {name: [_UNNAMEABLE] for name in first.unnameable})
    if label is not None:
        names = [field.name for field in settled]
        for name, text in leak_hints(first.frame(), second.frame(), names, label).items():
            notes[name].append(text)
    schema = Schema(fields=tuple(settled))
    said = [Note(field=name, text=text) for name, texts in notes.items() for text in texts]
    return Proposal(
        source=source.name,
        rows=first.rows + second.rows,
        inferred_rows=first.rows,
        confirmed_rows=second.rows,
        label=label,
        schema=schema,
        code=schema_code(schema),
        notes=(*_about_all(first, second, label), *said),
    )


class _Half:
    """What was seen of one half of the rows."""

    def __init__(self, schema: pl.Schema, label: str | None) -> None:
        self.evidence = {
            name: Evidence(dtype)
            for name, dtype in schema.items()
            if name != label and may_be_named(name)
        }
        self._label = label
        self.unnameable = [name for name in schema if not may_be_named(name)]
        self.broken: dict[str, list[Broken]] = {}
        self.repeated: dict[str, int] = {}
        self.rows = 0
        self._sample: list[pl.DataFrame] = []

    def see(self, frame: pl.DataFrame) -> None:
        for name, evidence in self.evidence.items():
            evidence.see(frame[name])
        kept = min(self.rows, _SAMPLE_ROWS)
        self.rows += frame.height
        simple = [
            name
            for name, dtype in frame.schema.items()
            if name == self._label
            or (may_be_named(name) and not (dtype.is_nested() or dtype == pl.Binary))
        ]
        self._sample.append(frame.select(simple).head(_SAMPLE_ROWS - kept))

    def frame(self) -> pl.DataFrame:
        """Its first rows, without pictures and tensors but for the label."""
        return pl.concat(self._sample)


def _halves(source: Source, seed: int) -> Iterator[tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]]:
    """Each chunk whole, and its rows of either half: one of every two neighbours, at random.

    Source of the mixing: Steele et al., "Fast splittable pseudorandom number generators" (2014).
    """
    before = 0
    for chunk in source.chunks():
        numbers = np.arange(before, before + chunk.height, dtype=np.uint64)
        mixed = (numbers >> np.uint64(1)) + np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        odd = ((mixed ^ (mixed >> np.uint64(31))) ^ numbers) & np.uint64(1)
        second = pl.Series(odd == 1)
        yield chunk, chunk.filter(~second), chunk.filter(second)
        before += chunk.height


def _gather(source: Source, seed: int, label: str | None) -> _Half:
    half: _Half | None = None
    total = 0
    for chunk, mine, _ in _halves(source, seed):
        if half is None:
            if label is not None:
                _check_label(label, chunk.columns, source.name)
            half = _Half(chunk.schema, label)
        half.see(mine)
        total += chunk.height
    if half is None or total < 2:
        raise BadData(
            where=source.name,
            found=f"{total} rows",
            expected="at least two: one to infer from, one to confirm with",
            remedy="Add rows.",
        )
    return half


def _check_label(label: str, columns: list[str], source: str) -> None:
    if label not in columns:
        raise BadData(
            where=f"{source}, column '{label}'",
            found="no such column",
            expected="the column to be predicted",
            remedy=nearest(label, columns),
        )
    if not may_be_named(label):
        raise BadData(
            where=f"{source}, column {label!r}",
            found="a name that no label can have",
            expected=FIELD_NAME,
            remedy="Rename the column where the data is read.",
        )


def _infer(evidence: dict[str, Evidence]) -> tuple[dict[str, Field], dict[str, list[str]]]:
    fields: dict[str, Field] = {}
    notes: dict[str, list[str]] = {}
    for name, seen in evidence.items():
        field, notes[name] = infer_field(name, seen)
        if field is not None:
            field = replace(field, unique=may_be_unique(field, seen))
            fields[name] = field if personal_word(field, seen) is None else withheld(field)
    has_pictures = any(seen.dtype == pl.Binary for seen in evidence.values())
    for name, field in fields.items():
        if field.kind == "image" and evidence[name].dtype == pl.String and has_pictures:
            fields[name] = Field(name=name, kind="id", optional=field.optional, unique=True)
            notes[name] = ["where the picture lay"]
    return fields, notes


def _confirm(source: Source, seed: int, fields: dict[str, Field], label: str | None) -> _Half:
    rules = {n: conditions(Schema(fields=(f,))) for n, f in fields.items()}
    seen = {name: Seen() for name, field in fields.items() if field.unique}
    half: _Half | None = None
    for chunk, _, other in _halves(source, seed):
        if half is None:
            half = _Half(chunk.schema, label)
        half.see(other)
        for name, tried in rules.items():
            half.broken.setdefault(name, [])
            half.broken[name] += _broken(other, fields[name], tried)
        for name, keys in seen.items():
            present = without_missing(chunk[name]).drop_nulls().to_frame()
            repeats, _ = keys.add(present, [name])
            half.repeated[name] = half.repeated.get(name, 0) + int(repeats.sum())
    assert half is not None
    return half


def _broken(frame: pl.DataFrame, field: Field, rules: list[Condition]) -> Iterator[Broken]:
    """Rules that some rows break, with the first value that does."""
    column = without_missing(frame[field.name])
    if field.kind in _TYPES:
        column = column.cast(_TYPES[field.kind], strict=False)
    elif field.kind == "timestamp":
        is_text = column.dtype == pl.String
        column = read_as_times(column) if is_text else column.cast(pl.Datetime("us"))
    elif field.kind not in ("boolean", "image"):
        return
    typed = column.to_frame()
    for rule in rules:
        if not isinstance(rule.broken, pl.Expr):
            continue
        rows = typed.select(rule.broken.fill_null(False).alias("broken"))["broken"]
        if rows.any():
            # physical: a time may lie where Python has none
            example = typed[field.name].to_physical().filter(rows)[0]
            yield Broken(rule.rule, int(rows.sum()), example)


def _settle_all(
    fields: dict[str, Field], first: _Half, second: _Half, notes: dict[str, list[str]]
) -> list[Field]:
    """The fields after the second half has been heard; notes are added."""
    settled = []
    for name, evidence in first.evidence.items():
        both = evidence.merged(second.evidence[name])
        before = fields.get(name)
        field, said = _settle(name, before, both, second)
        if field is not None and personal_word(field, both) is not None:
            # what was said before it looked personal may show values
            was_known = before is not None and before.personal
            said = said if was_known else []
            field = withheld(field)
        notes[name] += said
        if field is not None:
            settled.append(field)
            notes[name] += hints(field, both)
    return settled


def _settle(
    name: str, field: Field | None, both: Evidence, second: _Half
) -> tuple[Field | None, list[str]]:
    other = second.evidence[name]
    if are_marked_numbers(both):
        return infer_field(name, both)[0], []
    if field is None or not still_holds(field, other):
        settled, said = infer_field(name, both)
        if settled is None:
            return None, [] if field is None else said
        was = "no value" if field is None else f"a {field.kind}"
        note = (
            f"one half of the rows looks like {was}, the other does not: declared as {settled.kind}"
        )
        return replace(settled, ge=None, le=None, pattern=None, values=()), [note, *said]
    return repair(field, second.broken.get(name, []), second.repeated.get(name, 0), both, other)


def _refuse_all(source: Source, notes: dict[str, list[str]]) -> BadData:
    return BadData(
        where=source.name,
        found=f"the columns {', '.join(notes)}, none of which fits a kind of field",
        expected="at least one column of numbers, texts, times, pictures or tensors",
        remedy="; ".join(f"{name}: {'; '.join(texts)}" for name, texts in notes.items()),
    )


def _about_all(first: _Half, second: _Half, label: str | None) -> Iterator[Note]:
    if first.rows + second.rows < _FEW_ROWS:
        yield Note(field="", text=f"only {first.rows + second.rows} rows: the rules are weak")
    if label is not None:
        yield Note(field=label, text=label_hint(first.frame()[label]))
    for name in first.unnameable:
        yield Note(field=name, text=_UNNAMEABLE)
    part = second.evidence.get(PART_COLUMN)
    values = part.counts if part is not None else None
    if values and all(part_name(str(value)) == value for value in values):
        text = f"names the split of each row: use ty.split_by_column('{PART_COLUMN}')"
        yield Note(field=PART_COLUMN, text=text)
