"""Vocabularies: counted block by block, held against plain counting."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.features.learn import Array, Nothing, Words, whole_values

TEXTS = st.lists(st.sampled_from(["", "a", "b", "aa", "é", "\U0001f600", "\uffff", "z"]))


@dataclass
class Rows:
    """Training rows with one field."""

    values: list[str | None]

    def series(self, field: str) -> pl.Series:
        return pl.Series(field, self.values, dtype=pl.String)

    def column(self, field: str) -> Array:
        return np.array([])

    def numbers(self, path: tuple[str | int, ...]) -> Array:
        return np.array([])


def plain(values: list[str], least: int, most: int | None) -> tuple[str, ...]:
    counts = Counter(value for value in values if value)
    kept = sorted((-count, word) for word, count in counts.items() if count >= least)
    return tuple(word for _, word in kept)[:most]


@settings(deadline=None, max_examples=60)
@given(
    values=TEXTS,
    size=st.integers(1, 9),
    least=st.integers(1, 3),
    most=st.sampled_from([None, 1, 3]),
)
def test_words_are_those_of_plain_counting(
    values: list[str], size: int, least: int, most: int | None
) -> None:
    words = Words("w", whole_values, least=least, most=most)
    for at in range(0, len(values), size):
        words.add(Rows([value or None for value in values[at : at + size]]))
    expected = plain(values, least, most)
    if expected:
        assert words.learn() == expected
    else:
        with pytest.raises(Nothing):
            words.learn()
