"""Near duplicates: texts with few edits and pictures encoded anew, on both sides of a split.

Work and memory are bounded: of each part a sample of rows is looked at, chosen by digest, and a row
is compared with a few others per bucket. Where training rows were sampled, shares are scaled up by
the sampled fraction. Rows that are equal in every request field are ``twins``' to report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from torchyard.data.fingerprint import Digests, Flags
from torchyard.data.leaks.overlap import FEWEST, judge
from torchyard.data.leaks.parted import (
    EXAMPLES,
    TEST,
    TRAIN,
    VALIDATION,
    Integers,
    Numbers,
    Parted,
    present,
    shown_value,
)
from torchyard.data.leaks.sample import SmallestDigests
from torchyard.data.leaks.sketch import (
    SHINGLE,
    picture_bands,
    picture_hash,
    resemblance,
    text_bands,
    text_sketches,
)
from torchyard.data.split import NAMES
from torchyard.records.dataset import Finding
from torchyard.records.schema import Field, Schema

ALIKE = 0.8
BITS_APART = 3
SHORTEST = 20
_LONGEST = 1000
_PROBABLY = 0.6
_PER_BUCKET = 8


Alike = Callable[[Integers, Integers], Flags]
"""Whether the rows at two lists of places are nearly the same, pair by pair."""


class NearDuplicates:
    """Finds texts and pictures that nearly stand in the training part too."""

    def __init__(self, schema: Schema) -> None:
        self._fields = [field for field in schema.request.fields if field.kind in KINDS]
        self._samples = {
            (field, place): SmallestDigests(most)
            for field in self._fields
            for place, most in KINDS[field.kind].most.items()
        }
        self._rows = dict.fromkeys(self._samples, 0)

    def first(self, rows: Parted) -> None:
        """Offer a chunk to the samples."""
        digests = pl.Series(rows.digests, dtype=pl.UInt64)
        for (field, place), sample in self._samples.items():
            here = pl.Series(rows.parts == place) & present(rows.frame[field.name])
            self._rows[field, place] += int(here.sum())
            here &= sample.wants(digests)
            kept = KINDS[field.kind].reduced(rows.frame[field.name].filter(here))
            there = kept.is_not_null()
            sample.add(
                pl.DataFrame({"kept": kept.filter(there)}), digests.filter(here).filter(there)
            )

    def settle(self) -> bool:
        """One pass is enough."""
        return False

    def second(self, rows: Parted) -> None:
        """Nothing more to see."""

    def findings(self) -> Iterator[Finding]:
        """At most one for each field and judging part."""
        for field in self._fields:
            samples = [self._samples[field, place] for place in (TRAIN, VALIDATION, TEST)]
            if samples[TRAIN].digests().len():
                kept = pl.concat([sample.rows()["kept"] for sample in samples])
                digests = pl.concat([sample.digests() for sample in samples]).to_numpy()
                sizes = [sample.digests().len() for sample in samples]
                yield from self._judge(field, kept, digests, sizes)

    def _judge(
        self, field: Field, kept: pl.Series, digests: Digests, sizes: list[int]
    ) -> Iterator[Finding]:
        """Look rows of each judging part, and some training rows, up among the training rows."""
        kind = KINDS[field.kind]
        bands, alike = kind.compared(kept, digests)
        train = np.arange(sizes[TRAIN])
        fraction = min(sizes[TRAIN] / max(self._rows[field, TRAIN], 1), 1.0)
        if sizes[TRAIN] < kind.most[TRAIN]:
            fraction = 1.0
        twice = lookup(bands, train[: kind.most[TEST]], train, alike)
        chance = min(float((twice >= 0).mean()) / fraction, 1.0)
        for place in (VALIDATION, TEST):
            rows = np.arange(sizes[place]) + sum(sizes[:place])
            found = lookup(bands, rows, train, alike)
            near = np.flatnonzero(found >= 0)
            share = min(len(near) / max(len(rows), 1) / fraction, 1.0)
            if len(near) >= FEWEST and judge(share=share, checked=len(rows), chance=chance):
                pairs = [(kept[int(rows[row])], kept[int(found[row])]) for row in near[:EXAMPLES]]
                yield Finding(
                    rule=f"has near duplicates in train and {NAMES[place]}",
                    field=field.name,
                    severity="warn",
                    rows=len(near),
                    rows_checked=len(rows),
                    examples=tuple(kind.shown(*pair, field) for pair in pairs),
                    meaning=f"About {share:.1%} of the {NAMES[place]} rows have a near duplicate "
                    f"among the training rows ({kind.words}; repetition within the training part "
                    f"explains {chance:.1%}"
                    + (f"; from {fraction:.1%} of the training rows" if fraction < 1 else "")
                    + "). A model is judged there on what it has nearly seen. Remove the copies, "
                    "or give them a common key and use ty.split_by_group(...).",
                )


def lookup(bands: Digests, rows: Integers, among: Integers, alike: Alike) -> Integers:
    """For each row the first near duplicate that shares a bucket with it.

    Args:
        bands: bucket keys of all rows, ``[all, bands]``.
        rows: places of the rows to look up.
        among: places of the rows to find.
        alike: whether two rows are nearly the same, and not one row.

    Returns:
        Places of what was found, ``[rows]``; -1 for nothing. At most eight rows of a bucket are
        compared.
    """
    found = np.full(len(rows), -1, dtype=np.int64)
    for band in range(bands.shape[1]):
        order = among[np.argsort(bands[among, band], kind="stable")]
        keys = bands[order, band]
        begin = np.searchsorted(keys, bands[rows, band])
        for step in range(_PER_BUCKET):
            asked = np.flatnonzero((found < 0) & (begin + step < len(keys)))
            asked = asked[keys[begin[asked] + step] == bands[rows[asked], band]]
            met = order[begin[asked] + step]
            near = alike(rows[asked], met)
            found[asked[near]] = met[near]
    return found


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a kind of field is compared.

    Attributes:
        words: when two are nearly the same.
        most: rows sampled of each part.
        reduced: what is kept of each value; null for what is too short or too plain to compare.
        compared: from what was kept and the rows' digests: bucket keys and the comparison.
        shown: a pair for a person's eye.
    """

    words: str
    most: dict[int, int]
    reduced: Callable[[pl.Series], pl.Series]
    compared: Callable[[pl.Series, Digests], tuple[Digests, Alike]]
    shown: Callable[[object, object, Field], str]


def _reduced_texts(series: pl.Series) -> pl.Series:
    texts = (
        series.cast(pl.String)
        .str.to_lowercase()
        .str.replace_all(r"\s+", " ")
        .str.strip_chars()
        .str.slice(0, _LONGEST)
    )
    return texts.set(texts.str.len_chars() < SHORTEST, None)


def _compared_texts(kept: pl.Series, digests: Digests) -> tuple[Digests, Alike]:
    texts = kept.to_list()
    sketches = text_sketches(texts)

    def alike(rows: Integers, met: Integers) -> Flags:
        equal: Numbers = (sketches[rows] == sketches[met]).mean(axis=1)
        near: Flags = np.logical_and(equal >= _PROBABLY, digests[rows] != digests[met])
        for place in np.flatnonzero(near):
            near[place] = resemblance(texts[rows[place]], texts[met[place]]) >= ALIKE
        return near

    return text_bands(sketches), alike


def _shown_texts(one: object, other: object, field: Field) -> str:
    return f"{shown_value(one, field)} beside {shown_value(other, field)}"


def _reduced_pictures(series: pl.Series) -> pl.Series:
    return pl.Series([picture_hash(content) for content in series], dtype=pl.UInt64)


def _compared_pictures(kept: pl.Series, digests: Digests) -> tuple[Digests, Alike]:
    hashes = kept.to_numpy()

    def alike(rows: Integers, met: Integers) -> Flags:
        apart = np.bitwise_count(hashes[rows] ^ hashes[met])
        near: Flags = np.logical_and(apart <= BITS_APART, digests[rows] != digests[met])
        return near

    return picture_bands(hashes), alike


def _shown_pictures(one: object, other: object, field: Field) -> str:
    return f"{field.name} with difference hash {one:016x} beside {other:016x}"


KINDS = {
    "text": _Kind(
        words=f"{ALIKE:.0%} of their runs of {SHINGLE} characters are the same",
        most={TRAIN: 50_000, VALIDATION: 10_000, TEST: 10_000},
        reduced=_reduced_texts,
        compared=_compared_texts,
        shown=_shown_texts,
    ),
    "image": _Kind(
        words=f"their difference hashes are at most {BITS_APART} of 64 bits apart",
        most={TRAIN: 20_000, VALIDATION: 4_000, TEST: 4_000},
        reduced=_reduced_pictures,
        compared=_compared_pictures,
        shown=_shown_pictures,
    ),
}
