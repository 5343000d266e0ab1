"""What is known about data: findings, profiles, splits, versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torchyard.records.schema import FieldKind, Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that some rows broke: how many, five of them, and what it means.

    ``severity`` is ``quarantine`` (those rows are set aside), ``warn`` (kept, reported) or ``fail``
    (the data is refused). ``field`` names one field, or several with commas between. ``rows`` is 0
    for a finding about the whole table. ``examples`` number rows from 1, as the source has them.
    """

    rule: str
    field: str
    severity: Literal["quarantine", "warn", "fail"]
    rows: int
    rows_checked: int
    examples: tuple[str, ...]
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldProfile:
    """The distribution of one field, in a form that two sets of rows can be compared by.

    - Numbers, integers, booleans: ``edges`` (ascending, in the field's ``unit``) cut the line into
      ``len(edges) + 1`` bins, ``counts`` of present values in each; ``quantiles`` are the nine
      deciles from 10 % to 90 %.
    - Timestamps: 24 bins, one per hour of the day; minimum and maximum are seconds since
      1970-01-01.
    - Categories: ``values`` by falling count with their ``counts``, the rest in ``other``. Ids: the
      same, of values that occur more than once.
    - Texts: ``parts`` ``characters``, ``words``, ``non-ASCII`` and ``word`` (the middle word of
      each text in lower case, one per text so that rows stay independent; a part of kind ``text``,
      whose ``other`` are words not listed, not words never seen).
    - Images: ``parts`` ``bytes`` of all, and of a sample that was decoded ``width`` and ``height``
      (pixels), ``mode`` and ``brightness`` (0 to 1).
    - Tensors: the numbers are about all elements; the part ``mean`` is about each row's mean.

    A part is a profile of its own, of the rows it could be taken from.

    Attributes:
        missing: rows without a value: nulls, numbers that are not finite, empty texts and pictures.
        standard_deviation: of the present values (divided by their number); None where it is too
            large to be written.
        zeros: present values that are 0; ``negative`` those below.
        distinct: different present values; None where they were not counted.
        distinct_error: standard error of ``distinct`` as a share of it; 0 where it is exact.
        rank_error: how far a decile may be from its true rank, as a share of the present values,
            in 99 of 100 cases; 0 where it is exact.
        count_error: how many rows a count may be off by: of categories at most and downwards, of
            bins in 99 of 100 cases; 0 where they are exact.
    """

    name: str
    kind: FieldKind
    rows: int
    missing: int
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    standard_deviation: float | None = None
    zeros: int = 0
    negative: int = 0
    distinct: int | None = None
    distinct_error: float = 0.0
    edges: tuple[float, ...] = ()
    quantiles: tuple[float, ...] = ()
    rank_error: float = 0.0
    values: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    other: int = 0
    count_error: int = 0
    parts: tuple[FieldProfile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The distributions of a set of rows, field by field."""

    rows: int
    fields: tuple[FieldProfile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRule:
    """How rows are parted into train, validation and test.

    - ``time``: ``fields`` holds one timestamp; rows before ``validation`` (an ISO time) train, rows
      from ``test`` on test.
    - ``hash``: the digest of ``fields`` (all of them when empty) decides, so a row keeps its part
      when the data grows; ``validation`` and ``test`` are shares as decimals.
    - ``group``: the same, and ``fields`` name an entity whose rows must not be parted.
    - ``stratified``: shares that hold within every class of the label, by rank of the rows' digest.
    - ``given``: ``fields`` holds one category with the values train, validation and test.
    """

    by: Literal["time", "hash", "group", "stratified", "given"]
    fields: tuple[str, ...]
    validation: str
    test: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One part of a dataset version.

    ``classes`` counts its labelled rows by class, in the task's order. ``first`` and ``last`` are
    ISO times for a split by time.
    """

    name: Literal["train", "validation", "test"]
    rows: int
    labelled: int
    classes: tuple[int, ...]
    first: str | None = None
    last: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersion:
    """A dataset at one moment, named by the digest of its accepted rows and its schema.

    ``number`` counts versions of the dataset ``name`` from 1; ``table_version`` is the Lance
    version that holds the rows. ``parent`` is the number of the version that an ``append`` added to
    or a ``delete`` took from. ``created`` is an ISO time in UTC.
    """

    name: str
    digest: str
    number: int
    parent: int | None
    operation: Literal["replace", "append", "delete"]
    table_version: int
    created: str
    author: str
    reason: str
    source: str
    schema: Schema
    label: str | None
    rows: int
    quarantined: int
    findings: tuple[Finding, ...]
    profile: Profile
