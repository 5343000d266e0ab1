from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

import torchyard as ty
from torchyard.core.errors import BadData
from torchyard.data.split import split


def rows(count: int = 400) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "when": [datetime(2024, 1, 1) + timedelta(hours=n) for n in range(count)],
            "who": [f"customer {n % 50}" for n in range(count)],
            "late": [None if n % 10 == 0 else n % 3 == 0 for n in range(count)],
        }
    )


def test_by_time_cuts_at_the_limits_and_counts_what_has_no_label() -> None:
    rule = ty.split_by_time("when", validation="2024-01-08", test="2024-01-12T12:00")
    parts = split(rows(), rule, label="late")
    assert [(name, part.rows) for name, (part, _) in parts.items()] == [
        ("train", 7 * 24),
        ("validation", 4 * 24 + 12),
        ("test", 400 - 7 * 24 - 4 * 24 - 12),
    ]
    train, labelled = parts["train"]
    assert train.labelled == labelled.height == train.rows - 17
    assert labelled["when"].max() < datetime(2024, 1, 8)  # type: ignore[operator]
    assert parts["test"][0].first == "2024-01-12 12:00:00"


def test_by_hash_keeps_entities_together_and_their_part_when_data_grows() -> None:
    rule = ty.split_by_hash("who", validation=0.25, test=0.25)
    small, large = split(rows(200), rule, label="late"), split(rows(400), rule, label="late")
    part_of = {who: name for name, (_, part) in large.items() for who in part["who"]}
    assert len(part_of) == 45  # five customers never have a label
    for name, (_, part) in small.items():
        assert {part_of[who] for who in part["who"]} == {name}


def test_by_hash_comes_near_the_shares() -> None:
    parts = split(rows(4000), ty.split_by_hash("when", validation=0.1, test=0.2), label="late")
    shares = {name: part.rows / 4000 for name, (part, _) in parts.items()}
    assert shares == pytest.approx({"train": 0.7, "validation": 0.1, "test": 0.2}, abs=0.03)


def test_a_part_without_both_classes_is_refused() -> None:
    rule = ty.split_by_time("when", validation="2024-01-08", test="2030-01-01")
    with pytest.raises(BadData, match=r"test split, label 'late': found 0 positive rows of 0"):
        split(rows(), rule, label="late")
