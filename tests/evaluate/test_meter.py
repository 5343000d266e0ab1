"""Meters: metrics over chunks and workers, held against those of all rows at once."""

from __future__ import annotations

import json
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.samples import LATE, PRICE, binary, draw, labels, many, numbers
from torchyard.core.errors import BadData, BadProject, BadRecord, BadUsage
from torchyard.evaluate.counting import cells as cells_module
from torchyard.evaluate.counting.cells import ProbabilityGrid, SizeGrid, bits_for
from torchyard.evaluate.counting.metered import METERED
from torchyard.evaluate.counting.sample import Sample
from torchyard.evaluate.meter import Meter
from torchyard.evaluate.metrics.kinds import KINDS, compute, kind_of

SAMPLES: dict[str, Callable[[int, int], Sample]] = {
    "binary": lambda rows, seed: binary(*draw(rows, seed=seed), threshold=0.3),
    "ties": lambda rows, seed: binary(*draw(rows, seed=seed, decimals=1), threshold=0.3),
    "multiclass": lambda rows, seed: many(rows, seed=seed),
    "many classes": lambda rows, seed: many(rows, seed=seed, classes=20),
    "multilabel": lambda rows, seed: labels(rows, seed=seed),
    "regression": lambda rows, seed: numbers(rows, seed=seed),
    "whole numbers": lambda rows, seed: numbers(rows, seed=seed, decimals=0),
}
# Grids of 2^4 cells an octave are coarse from some hundred rows on; the least that there are.
FEW_BITS = 4


def metered(parts: Sequence[Sample]) -> Meter:
    meter = Meter(parts[0].task)
    for part in parts:
        meter.update(part)
    return meter


def cut(sample: Sample, ends: Sequence[int]) -> list[Sample]:
    places = sorted({0, sample.rows, *(end for end in ends if end <= sample.rows)})
    rows = np.arange(sample.rows)
    return [sample.of(rows[a:b]) for a, b in zip(places, [*places[1:], sample.rows], strict=True)]


def check_same(found: Meter, expected: Meter) -> None:
    """To the last bit, and in what is sent."""
    assert found.values() == expected.values()
    assert json.dumps(found.to_json()) == json.dumps(expected.to_json())


def test_every_kind_can_be_metered() -> None:
    assert set(METERED) == set(KINDS)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("rows", [0, 1, 2, 60, 1500])
def test_values_are_those_of_all_rows(name: str, rows: int) -> None:
    sample = SAMPLES[name](rows, 1)
    meter = metered(cut(sample, [7, 400]))
    found = meter.values()
    expected = {one: compute(one, sample) for one in kind_of(sample.task).metrics}
    assert found == pytest.approx(
        {one: value for one, value in expected.items() if value is not None}, rel=1e-12, abs=1e-15
    )
    assert set(meter.slack().values()) <= {0.0}
    assert meter.rows == rows


@pytest.mark.parametrize("name", SAMPLES)
@settings(deadline=None, max_examples=8)
@given(
    rows=st.integers(0, 300),
    seed=st.integers(0, 50),
    ends=st.lists(st.integers(0, 300), max_size=5),
    order=st.randoms(use_true_random=False),
    bits=st.sampled_from([0, 10]),
)
def test_no_chunking_and_no_order_changes_a_bit(
    name: str, rows: int, seed: int, ends: list[int], order: Any, bits: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells_module, "BITS", bits)
        patch.setattr(cells_module, "_LEAST_BITS", 0)
        sample = SAMPLES[name](rows, seed)
        meters = [metered([part]) for part in cut(sample, ends)]
        order.shuffle(meters)
        while len(meters) > 1:
            one = meters.pop(order.randrange(len(meters)))
            other = meters[order.randrange(len(meters))]
            other.merge(Meter.from_json(json.loads(json.dumps(one.to_json()))))
        check_same(meters[0], metered([sample]))


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("seed", range(3))
def test_coarse_cells_stay_within_their_slack(
    name: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bits in (0, 2, FEW_BITS):
        monkeypatch.setattr(cells_module, "BITS", bits)
        monkeypatch.setattr(cells_module, "_LEAST_BITS", 0)
        sample = SAMPLES[name](3000, seed)
        meter = metered(cut(sample, [1000, 1800]))
        slack = meter.slack()
        for metric, value in meter.values().items():
            expected = compute(metric, sample)
            assert expected is not None
            assert abs(value - expected) <= slack[metric] + 1e-9, (metric, bits)


ROWS = st.tuples(
    st.booleans(), st.floats(0.0, 1.0) | st.sampled_from([0.0, 1.0, 0.5, 5e-324, 1 - 2**-53])
)


@settings(deadline=None, max_examples=80)
@given(st.lists(ROWS, min_size=1, max_size=40), st.floats(0.0, 1.0), st.sampled_from([0, 10]))
def test_any_probabilities(rows: list[tuple[bool, float]], threshold: float, bits: int) -> None:
    truth, probability = np.array([one for one, _ in rows]), np.array([p for _, p in rows])
    sample = binary(truth, probability, threshold=threshold)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells_module, "BITS", bits)
        patch.setattr(cells_module, "_LEAST_BITS", 0)
        patch.setattr(cells_module, "_OCTAVES", 2 if bits == 0 else 23)
        meter = metered(cut(sample, [1, 7]))
        slack = meter.slack()
        for metric, value in meter.values().items():
            expected = compute(metric, sample)
            assert expected is not None
            assert abs(value - expected) <= slack[metric] + 3e-9, metric


LOOSE = {
    "auroc": 1e-3,
    "average_precision": 1e-3,
    "expected_calibration_error": 0.01,
    "maximum_calibration_error": 0.03,
    "calibration_gap": 1e-8,
    "median_absolute_error": 1e-3,
}


@pytest.mark.parametrize(("name", "rows"), [("binary", 100_000), ("regression", 300_000)])
def test_only_what_depends_on_the_order_has_slack(name: str, rows: int) -> None:
    slack = metered([SAMPLES[name](rows, 3)]).slack()
    loose = {metric: one for metric, one in slack.items() if one > 0}
    assert set(loose) == set(LOOSE) & set(slack)
    assert all(one < LOOSE[metric] for metric, one in loose.items())


def test_real_grids_are_close_far_beyond_their_cells() -> None:
    sample = SAMPLES["binary"](400_000, 2)
    meter, slack = metered([sample]), metered([sample]).slack()
    assert 0 < slack["auroc"] < 1e-3
    for metric, value in meter.values().items():
        expected = compute(metric, sample)
        assert expected is not None
        # Rows within a cell are mixed, so metrics are off by less than by the worst order.
        assert value == pytest.approx(expected, abs=max(1e-9, 0.5 * slack[metric])), metric


def test_rare_events_keep_their_order() -> None:
    generator = np.random.default_rng(0)
    probability = 10.0 ** generator.uniform(-6, -2, 200_000)
    truth = generator.random(probability.size) < probability
    sample = binary(truth, probability, threshold=0.005)
    meter = metered([sample])
    assert meter.slack()["auroc"] < 1e-3
    assert meter.values()["auroc"] == pytest.approx(compute("auroc", sample), abs=1e-4)
    assert meter.values()["recall"] == compute("recall", sample)


def test_a_threshold_inside_a_cell_parts_it() -> None:
    probability = np.nextafter(0.3, [0.0] * 3 + [1.0] * 2).repeat(10)
    spread = np.random.default_rng(0).random(100_000)
    sample = binary(np.ones(100_050, np.bool_), np.append(probability, spread), threshold=0.3)
    meter = metered([sample])
    assert meter.slack()["expected_calibration_error"] > 0
    assert meter.values()["selection_rate"] == compute("selection_rate", sample)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(0.0, 1.0), min_size=2, max_size=30),
    st.floats(0.0, 1.0),
    st.integers(0, 10),
)
def test_cells_rise_with_probabilities(some: list[float], threshold: float, bits: int) -> None:
    grid = ProbabilityGrid(threshold, bits)
    places = np.sort(np.array(some))
    found = grid.cells(places)
    assert (np.diff(found) >= 0).all()
    assert found.min() >= 0
    same = np.diff(found) == 0
    lesser = np.minimum(places, 1 - places)
    lesser = np.maximum(lesser[:-1], lesser[1:])
    assert (np.diff(places)[same] <= np.maximum(lesser[same] * 2.0**-bits, 2.0**-24) * 1.001).all()


@pytest.mark.parametrize("bits", range(4, 11))
def test_a_grid_has_as_many_cells_as_it_says(bits: int) -> None:
    grid = ProbabilityGrid(0.3, bits)
    lesser = np.concatenate([[0.0], 2.0 ** np.arange(-30, -1, 2.0**-bits / 3.0), [0.5]])
    places = np.concatenate([lesser, 1.0 - lesser, [np.nextafter(0.3, 0.0), 0.3]])
    assert np.unique(grid.cells(places)).size <= grid.most
    assert np.unique(grid.cells(places)).size > 0.99 * grid.most
    assert grid.most <= 1 << 16


@settings(deadline=None, max_examples=60)
@given(st.floats(1.2e-38, 3e38))
def test_the_middle_of_a_cell_is_near_all_its_sizes(size: float) -> None:
    grid = SizeGrid()
    middle = grid.centres(grid.cells(np.array([size])))[0]
    assert middle == pytest.approx(size, rel=2.0**-10)


def test_no_error_is_no_size() -> None:
    grid = SizeGrid()
    assert grid.centres(grid.cells(np.array([0.0]))).tolist() == [0.0]


def test_many_classes_share_the_cells() -> None:
    for classes in (2, 16, 17, 100, 1000):
        assert classes * ProbabilityGrid(0.5, bits_for(classes)).most <= 1 << 21


def test_one_class_leaves_out_what_is_undefined() -> None:
    meter = metered([binary(np.ones(5, np.bool_), np.full(5, 0.7))])
    found = meter.values()
    assert "auroc" not in found
    assert found["recall"] == 1.0
    assert set(meter.slack()) == set(found)
    assert Meter(LATE).values() == {}


def test_variance_survives_a_large_mean() -> None:
    generator = np.random.default_rng(0)
    truth = 1e9 + generator.normal(size=2000)
    value = truth + 0.5 * generator.normal(size=2000)
    sample = Sample(task=PRICE, truth=truth, outputs=np.stack([value, value, value], axis=1))
    assert metered(cut(sample, [900])).values()["r2"] == pytest.approx(compute("r2", sample))


def test_only_the_chosen_metrics() -> None:
    meter = metered([binary(*draw(50))])
    assert list(meter.values(["brier", "auroc"])) == ["brier", "auroc"]
    with pytest.raises(BadProject, match="metric 'mae', of regression tasks only"):
        meter.values(["mae"])


def test_rows_of_another_task_are_refused() -> None:
    meter = Meter(replace(LATE, threshold=0.3))
    with pytest.raises(BadUsage, match=r"rows of another task: threshold 0\.5; expected the task"):
        meter.update(binary(*draw(5)))
    with pytest.raises(BadUsage, match="a meter of another task: kind 'regression'"):
        meter.merge(Meter(PRICE))


def test_numbers_without_a_square_are_refused() -> None:
    truth = np.array([1e200])
    sample = Sample(task=PRICE, truth=truth, outputs=np.zeros((1, 3)))
    with pytest.raises(BadData, match=r"labels: found 1 beyond 1e38, for example 1e\+200"):
        Meter(PRICE).update(sample)


def broken(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(json.dumps(metered([binary(*draw(5))]).to_json()))
    change(value)
    return value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value.pop("rows"), "rows"),
        (lambda value: value["sums"].pop("squares"), "meter.sums: found surprise; expected sq"),
        (lambda value: value["sums"].update(squares="0xz"), "whole number in hexadecimal"),
        (lambda value: value["sums"].update(squares="0x" + 999 * "1"), "whole number in hexa"),
        (lambda value: value.update(rows=6), "found 5 rows; expected all 6"),
        (lambda value: value["cells"]["class 1"]["keys"].reverse(), "places that do not rise"),
        (lambda value: value["cells"]["class 1"]["keys"].pop(), "4 places and 5 counts"),
        (lambda value: value["cells"]["class 1"]["counts"][0].pop(), "3 whole numbers at each"),
        (lambda value: value["cells"]["class 1"]["counts"][0].insert(0, -1), "3 whole numbers"),
        (lambda value: value["counts"].update(more=[1]), "meter.counts: found more"),
    ],
)
def test_other_records_are_refused(change: Callable[[dict[str, Any]], Any], message: str) -> None:
    with pytest.raises(BadRecord, match=message):
        Meter.from_json(broken(change))


def test_counts_that_are_none_are_refused() -> None:
    value: dict[str, Any] = json.loads(json.dumps(metered([many(5)]).to_json()))
    value["counts"]["hits"] = [1, 2]
    with pytest.raises(BadRecord, match=r"meter\.counts\.hits: found \(1, 2\); expected 4 numbers"):
        Meter.from_json(value)


def test_what_is_sent_is_bounded() -> None:
    meter = metered([binary(*draw(200_000, seed=seed)) for seed in range(3)])
    assert len(json.dumps(meter.to_json())) < 3_000_000
    assert sys.getsizeof(meter.to_json()["sums"]["surprise"]) < 1000


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "mib"), [("binary", 24), ("multiclass", 60), ("regression", 40)])
def test_ten_million_rows_stay_within_the_stated_memory(kind: str, mib: int) -> None:
    chunks, rows = 100, 100_000
    drawn = [SAMPLES[kind](rows, seed) for seed in range(4)]
    meter = Meter(drawn[0].task)
    shift = np.random.default_rng(0).random(chunks) * 1e-3
    tracemalloc.start()
    try:
        for number in range(chunks):
            meter.update(_nudged(drawn[number % 4], float(shift[number])))
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert meter.rows == 10_000_000
    assert kept < 8 * (1 << 20)
    assert peak < mib * (1 << 20)


def _nudged(sample: Sample, by: float) -> Sample:
    """The same rows with other answers, so that hardly any are equal."""
    if sample.task.is_regression:
        return replace(sample, outputs=sample.outputs + by)
    classes = sample.outputs.shape[1]
    return replace(sample, outputs=sample.outputs * (1.0 - by) + by / classes)
