"""Resamples by sums over rows against resamples whose every metric is recomputed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from tests.evaluate.samples import binary, draw, labels, many, numbers
from torchyard.evaluate.counting.sample import Sample
from torchyard.evaluate.metrics.kinds import KINDS, kind_of
from torchyard.evaluate.resampling import bootstrap as resampling
from torchyard.evaluate.resampling.bootstrap import (
    Resampled,
    bootstrap,
    bootstrap_plainly,
    measured,
)
from torchyard.evaluate.resampling.columns import Dense, Spread
from torchyard.evaluate.resampling.differences import differences_against, paired_difference
from torchyard.evaluate.resampling.poisson import CHUNK_ROWS, poisson_weights, weighted_sums

ROWS = 6000
SAMPLES: dict[str, Callable[[], Sample]] = {
    "binary": lambda: binary(*draw(ROWS), threshold=0.3),
    "ties": lambda: binary(*draw(ROWS, decimals=2), threshold=0.3),
    "multiclass": lambda: many(ROWS),
    "multilabel": lambda: labels(ROWS),
    "regression": lambda: numbers(ROWS),
}
# With four classes the five most probable are all of them.
UNDEFINED = {"top_5_accuracy"}


def both_ways(
    sample: Sample, monkeypatch: pytest.MonkeyPatch, *, resamples: int
) -> tuple[Resampled, Resampled]:
    found = []
    for large in (10**9, 1):
        monkeypatch.setattr(resampling, "LARGE", large)
        generator = np.random.default_rng(1)
        found.append(bootstrap(sample, generator=generator, resamples=resamples))
    return found[0], found[1]


def test_every_kind_is_held() -> None:
    assert {kind_of(make().task).name for make in SAMPLES.values()} == {
        kind.name for kind in KINDS.values()
    }


@pytest.mark.parametrize("name", SAMPLES)
def test_spread_and_centre_are_those_of_the_exact_way(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact, sums = both_ways(SAMPLES[name](), monkeypatch, resamples=600)
    assert sums.values == exact.values
    assert set(sums.samples) == set(exact.samples) != set()
    for metric, expected in exact.samples.items():
        drawn, spread = sums.samples[metric], expected.std()
        # Of 600 resamples a deviation is known to 3 %, a mean to 0.04 deviations.
        assert drawn.std() == pytest.approx(spread, rel=0.16, abs=1e-6), metric
        assert drawn.mean() == pytest.approx(expected.mean(), abs=0.3 * spread + 1e-6), metric


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
def test_intervals_end_where_those_of_the_exact_way_do(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = SAMPLES[name]()
    exact, sums = (measured(found) for found in both_ways(sample, monkeypatch, resamples=8000))
    assert set(exact) == set(sums) == set(kind_of(sample.task).metrics) - UNDEFINED
    for metric, one in exact.items():
        ends = np.array([one.low, one.high], np.float64)
        drawn = np.array([sums[metric].low, sums[metric].high], np.float64)
        # 8,000 resamples know an end to 0.8 % of the width; the furthest of sixty may err by 4 %.
        assert np.abs(ends - drawn).max() <= 0.06 * np.ptp(ends) + 1e-9, metric


def test_spread_is_that_of_copied_rows() -> None:
    sample = binary(*draw(ROWS), threshold=0.3)
    plain = bootstrap_plainly(sample, generator=np.random.default_rng(3), resamples=200)
    sums = bootstrap(sample, generator=np.random.default_rng(4), resamples=600).samples
    for metric, expected in plain.items():
        assert sums[metric].std() == pytest.approx(expected.std(), rel=0.25), metric


def test_weights_are_poisson_with_mean_one() -> None:
    weights = poisson_weights(1024, 400, seed=5, chunk=0)
    assert weights.mean() == pytest.approx(1.0, abs=0.01)
    assert weights.var() == pytest.approx(1.0, abs=0.02)
    assert (weights == 0).mean() == pytest.approx(np.exp(-1), abs=0.005)


def test_sums_are_those_of_the_weights() -> None:
    rows = CHUNK_ROWS + 100
    column = np.random.default_rng(0).normal(size=(rows, 2)).astype(np.float32)
    weights = [poisson_weights(CHUNK_ROWS, 50, seed=9, chunk=0)]
    weights.append(poisson_weights(100, 50, seed=9, chunk=1))
    place = np.arange(rows) % 3
    second = Spread(column[:, 1].copy(), place.astype(np.uint8), 3)
    first = Dense.of(column[:, :1].astype(np.float64))
    (found,) = weighted_sums([[first, second]], rows=rows, resamples=50, seed=9)
    whole = np.concatenate([column[:, :1], column[:, 1:] * (place[:, None] == range(3))], axis=1)
    np.testing.assert_allclose(found, np.concatenate(weights).T @ whole, atol=1e-3)
    assert second.totals() == pytest.approx(whole[:, 1:].sum(axis=0), abs=1e-4)


def test_a_constant_stays_constant_beside_what_varies() -> None:
    column = Dense.of(np.full((5000, 1), 1e6 + 1 / 3))
    ones = Dense.of(np.ones((5000, 1)))
    (found,) = weighted_sums([[column, ones]], rows=5000, resamples=20, seed=9)
    np.testing.assert_allclose(found[:, 0] / found[:, 1], 1e6 + 1 / 3, rtol=1e-12)


def test_a_rare_class_is_never_lost() -> None:
    truth, probability = draw(ROWS)
    truth = np.arange(ROWS) == 5000
    sample = bootstrap(
        binary(truth, probability), generator=np.random.default_rng(0), resamples=100
    )
    assert np.isfinite(sample.samples["auroc"]).all()
    assert sample.samples["positive_rate"].min() > 0


@pytest.mark.parametrize("rows", [900, ROWS])
def test_all_differences_at_once_are_those_one_by_one(rows: int) -> None:
    truth, probability = draw(rows)
    sample = binary(truth, probability, threshold=0.3)
    noise = np.random.default_rng(2).random(rows)
    rivals = {
        "noisy": binary(truth, 0.7 * probability + 0.3 * noise).outputs,
        "itself": sample.outputs,
    }
    found = differences_against(sample, rivals, generator=np.random.default_rng(7), resamples=100)
    alone = paired_difference(
        "auroc",
        challenger=sample,
        champion=Sample(task=sample.task, truth=truth, outputs=rivals["noisy"]),
        generator=np.random.default_rng(7),
        resamples=100,
    )
    one = found["noisy"]["auroc"]
    assert alone is not None
    assert (one.value, one.method) == (alone.value, alone.method)
    assert (one.low, one.high) == pytest.approx((alone.low, alone.high), abs=1e-6)
    assert one.high is not None
    assert one.high < 0
    itself = found["itself"]["auroc"]
    assert (itself.value, itself.low, itself.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("rows", [900, ROWS])
def test_a_model_that_answers_alike_differs_by_nothing(rows: int) -> None:
    for name, sample in (("multiclass", many(rows)), ("multilabel", labels(rows))):
        (found,) = differences_against(
            sample, {"itself": sample.outputs.copy()}, generator=np.random.default_rng(0),
            resamples=40,
        ).values()  # fmt: skip
        assert {(one.value, one.low, one.high) for one in found.values()} == {(0.0, 0.0, 0.0)}, name


_DIGEST = """
import hashlib, sys
import numpy as np
from tests.evaluate.samples import binary, draw, many
from torchyard.evaluate.resampling.bootstrap import bootstrap
digest = hashlib.sha256()
for sample in (binary(*draw(30_000)), many(5000), many(500)):
    found = bootstrap(sample, generator=np.random.default_rng(0), resamples=60)
    for name, one in found.samples.items():
        digest.update(np.float64(found.values[name]).tobytes() + one.tobytes())
sys.stdout.write(digest.hexdigest())
"""


def test_threads_of_linear_algebra_change_nothing() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", _DIGEST],
            env={
                **os.environ,
                "OPENBLAS_NUM_THREADS": threads,
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(digests) == 1
    assert len(digests.pop()) == 64
