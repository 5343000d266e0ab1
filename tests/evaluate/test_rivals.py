"""Whether a model beats the simple ones, in words; whether a variant answers alike; quantiles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluate.samples import LATE, about, binary, both, draw, task_of
from torchyard.core.errors import BadData
from torchyard.evaluate import evaluate
from torchyard.evaluate.agreement import agreement
from torchyard.evaluate.resampling.quantiles import least_for_quantile, quantile_interval
from torchyard.evaluate.rivals.rivals import rival_lines, rival_text, unbeaten
from torchyard.records.schema import Task

PRICE = Task(kind="regression", label="price", classes=(), unit="EUR")
LABELS = Task(kind="multilabel_classification", label="tags", classes=("a", "b"))


def test_a_comparison_says_what_its_interval_holds() -> None:
    assert rival_text("majority", about(-0.02, 0.01), metric="auroc") == (
        "beats the majority by 0.0200 [0.0100, 0.0300] in auroc"
    )
    assert rival_text("trees", about(0.02, 0.01), metric="auroc") == (
        "is worse than gradient-boosted trees by 0.0200 [0.0100, 0.0300] in auroc"
    )
    assert rival_text("linear", about(-0.002, 0.01), metric="auroc") == (
        "is not shown to beat a linear model in auroc: better by 0.0020 [-0.0080, 0.0120]"
    )


def test_a_report_compares_with_every_baseline_on_the_same_rows() -> None:
    truth, chance = draw(2_000)
    coin = np.full(2_000, 0.25)
    report = evaluate(
        binary(truth, chance), model="fp32", split="test", groups={}, slices={},
        baselines={"majority": both(coin), "trees": both(chance)}, resamples=200,
    )  # fmt: skip
    lines = rival_lines(report)
    assert lines[0].startswith("is not shown to beat gradient-boosted trees in auroc: better by 0.")
    assert lines[1].startswith("beats the majority by 0.")
    assert unbeaten(report) == lines[0]
    better = replace(report, baselines={"majority": report.baselines["majority"]})
    assert unbeaten(better) is None
    assert unbeaten(replace(report, baselines={}, against={})) is None
    same = report.against["trees"]["auroc"]
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    assert "selection_rate" not in report.against["trees"]


def test_agreement_is_of_decisions_not_of_numbers() -> None:
    one = both(np.array([0.2, 0.6, 0.5, 0.4]))
    other = both(np.array([0.4, 0.9, 0.49, 0.41]))
    found = agreement(LATE, outputs=other, yardstick=one, truth=np.zeros(4, np.bool_))
    assert (found.value, found.rows) == (0.75, 4)
    assert found.method == "exact binomial (Clopper-Pearson)"
    assert found.low == pytest.approx(0.1941, abs=1e-4)
    at = replace(LATE, threshold=0.3)
    assert agreement(at, outputs=other, yardstick=one, truth=np.zeros(4, np.bool_)).value == 0.75


def test_agreement_on_several_classes_and_labels() -> None:
    one = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]])
    other = np.array([[0.4, 0.5, 0.1], [0.3, 0.4, 0.3]])
    many = agreement(task_of(3), outputs=other, yardstick=one, truth=np.zeros(2, np.int64))
    assert many.value == 0.5
    tags, others = np.array([[0.9, 0.2], [0.6, 0.7]]), np.array([[0.8, 0.1], [0.6, 0.2]])
    truth = np.zeros((2, 2), np.bool_)
    assert agreement(LABELS, outputs=others, yardstick=tags, truth=truth).value == 0.5


def test_numbers_agree_within_a_hundredth_of_the_labels_deviation() -> None:
    truth = np.array([0.0, 200.0])  # deviation 100
    one = np.array([[10.0, 0.0, 20.0], [50.0, 0.0, 99.0]])
    other = np.array([[10.9, 0.0, 20.0], [51.1, 0.0, 99.0]])
    found = agreement(PRICE, outputs=other, yardstick=one, truth=truth)
    assert found.value == 0.5
    assert found.method == "exact binomial (Clopper-Pearson), within 1.0000 EUR"


def test_other_rows_do_not_agree() -> None:
    with pytest.raises(BadData, match=r"agreement: found answers of shapes \[2, 2\] and \[3, 2\]"):
        agreement(
            LATE, outputs=np.ones((2, 2)), yardstick=np.ones((3, 2)), truth=np.ones(2, np.bool_)
        )


@pytest.mark.parametrize(("share", "calls"), [(0.99, 400), (0.99, 1_200), (0.5, 30)])
def test_the_interval_of_a_quantile_covers_it(share: float, calls: int) -> None:
    generator = np.random.default_rng(calls)
    held = 0
    for _ in range(1_000):
        low, high = quantile_interval(generator.lognormal(size=calls), share)
        true = np.exp(np.sqrt(2) * _erf_inverse(2 * share - 1))
        held += low is not None and high is not None and low <= true <= high
    assert held >= 935  # 950 is promised


def _erf_inverse(value: float) -> float:
    from scipy.special import erfinv

    return float(erfinv(value))


def test_too_few_values_bound_no_quantile() -> None:
    least = least_for_quantile(0.99)
    assert quantile_interval(np.arange(float(least)), 0.99)[1] == least - 1
    assert quantile_interval(np.arange(least - 1.0), 0.99)[1] is None
    assert quantile_interval(np.arange(3.0), 0.5) == (None, None)
