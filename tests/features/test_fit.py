"""Fitting: streams cut alike however they are chunked, accumulators against plain ones."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchyard as ty
from torchyard.features import fit_graph
from torchyard.features.fit import cut
from torchyard.features.learn import Moments, Nothing, Sample

SCHEMA = ty.Schema(a=ty.number(optional=True), word=ty.category(optional=True))


@given(st.lists(st.integers(0, 12), max_size=10), st.integers(1, 7))
@settings(max_examples=100, deadline=None)
def test_a_stream_is_cut_into_even_blocks(sizes: list[int], rows: int) -> None:
    places = np.split(np.arange(sum(sizes)), np.cumsum(sizes))[: len(sizes)]
    blocks = list(cut([pl.DataFrame({"n": part}) for part in places], rows))
    assert [n for block in blocks for n in block["n"]] == list(range(sum(sizes)))
    assert [block.height for block in blocks[:-1]] == [rows] * (len(blocks) - 1)
    assert all(0 < block.height <= rows for block in blocks[-1:])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.integers(1, 60))
@settings(max_examples=100, deadline=None)
def test_moments_agree_with_exact_ones(values: list[float], size: int) -> None:
    moments = Moments()
    for first in range(0, len(values), size):
        moments.add(np.array(values[first : first + size])[:, None])
    mean, deviation = moments.result()
    scale = max(1.0, *map(abs, values))
    assert math.isclose(mean[0], statistics.fmean(values), rel_tol=1e-12, abs_tol=1e-12 * scale)
    assert math.isclose(deviation[0], statistics.pstdev(values), rel_tol=1e-6, abs_tol=1e-9 * scale)


def test_moments_do_not_lose_a_small_spread_far_from_zero() -> None:
    moments = Moments()
    for block in np.split(1e9 + np.tile([0.0, 1.0], 50_000), 10):
        moments.add(block[:, None])
    mean, deviation = moments.result()
    assert (mean[0], deviation[0]) == (1e9 + 0.5, 0.5)


def test_moments_and_samples_pass_over_gaps_and_need_a_value() -> None:
    values = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])
    for made in (Moments(), Sample()):
        with pytest.raises(Nothing):
            made.result()
        made.add(values[:, :1])
    moments, sample = Moments(), Sample()
    moments.add(values[:, :1])
    sample.add(values[:, :1])
    assert [m[0] for m in moments.result()] == [2, 1]
    assert sample.result()[0].tolist() == [1, 3]
    sample = Sample()
    sample.add(values)
    with pytest.raises(Nothing):
        sample.result()


def test_a_sample_is_whole_up_to_its_limit_and_fair_beyond() -> None:
    values = np.random.default_rng(1).permutation(100_000).astype(float)
    small = Sample(limit=1_000)
    small.add(values[:1_000, None])
    assert small.result()[0].tolist() == sorted(values[:1_000])
    drawn = []
    for size in (777, 10_000):
        sample = Sample(limit=4_000)
        for first in range(0, len(values), size):
            sample.add(values[first : first + size, None])
        drawn.append(sample.result()[0])
    assert len(drawn[0]) == 4_000
    for quantile in (0.05, 0.5, 0.95):
        # four standard deviations of a rank among 4,000 draws
        assert abs(np.quantile(drawn[0], quantile) / 100_000 - quantile) < 4 * 0.5 / 63


def fit(path: Path, chunks: Iterable[pl.DataFrame], **transforms: Any) -> bytes:
    kept = list(chunks)
    graph = fit_graph(ty.Features(**transforms), SCHEMA, lambda: kept, path=path)
    assert graph.fitted_rows == sum(chunk.height for chunk in kept)
    return path.read_bytes()


def test_what_is_learnt_does_not_depend_on_chunks_or_empty_ones(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    rows = pl.DataFrame(
        {"a": draw.normal(size=70_000), "word": draw.choice(["a", "b", "c"], 70_000)}
    )
    transforms = {
        "x": ty.standardize(ty.quantile("a")),
        "y": ty.robust_scale("a"),
        "z": ty.lookup("word"),
    }
    whole = fit(tmp_path / "whole.onnx", [rows], **transforms)
    parts = [rows[k : k + 997] for k in range(0, 70_000, 997)]
    empty = rows.clear()
    assert fit(tmp_path / "parts.onnx", [empty, *parts, empty], **transforms) == whole


def test_rows_are_counted_where_nothing_is_learnt(tmp_path: Path) -> None:
    rows = pl.DataFrame({"a": [1.0, None], "word": ["a", None]})
    assert fit(tmp_path / "x.onnx", [rows, rows], x=ty.numbers("a"))


def test_the_rows_are_read_once_per_level_of_nesting(tmp_path: Path) -> None:
    rows = pl.DataFrame({"a": [1.0, 2.0], "word": ["a", "b"]})
    reads = 0

    def chunks() -> list[pl.DataFrame]:
        nonlocal reads
        reads += 1
        return [rows]

    nested = ty.standardize(ty.clip(ty.log("a"), high_share=0.9))
    features = ty.Features(x=nested, y=ty.lookup("word"), z=ty.standardize("a"))
    fit_graph(features, SCHEMA, chunks, path=tmp_path / "x.onnx")
    assert reads == 2
