from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.evaluate.samples import LATE, binary, both, draw
from torchyard.core.errors import BadData
from torchyard.core.record import read_record, to_json, write_record
from torchyard.evaluate import Sample, evaluate
from torchyard.evaluate.metrics.binary import METRICS
from torchyard.evaluate.metrics.kinds import BINARY, compute
from torchyard.evaluate.parting.groups import Texts
from torchyard.records.evidence import Report


def labels(rows: int, *, names: str, seed: int) -> Texts:
    return np.random.default_rng(seed).choice(list(names), rows)


def report(*, carriers: str = "UHW", seed: int = 0) -> Report:
    truth, probability = draw(1200)
    slices = labels(1200, names=carriers, seed=1).astype("U4")
    slices[:5] = "tiny"
    return evaluate(
        binary(truth, probability, threshold=0.3),
        model="fp32",
        split="test",
        groups={"origin": labels(1200, names="EJ", seed=2)},
        slices={"carrier": slices},
        baselines={"majority": both(np.full(1200, 0.25))},
        resamples=100,
        seed=seed,
    )


def test_a_report_holds_every_metric_of_all_rows() -> None:
    truth, probability = draw(1200)
    found = report()
    assert (found.rows, found.classes) == (1200, (int((~truth).sum()), int(truth.sum())))
    assert found.task.threshold == 0.3
    assert found.per_class == ()
    decided = probability >= 0.3
    assert found.confusion == tuple(
        tuple(int(((truth == t) & (decided == d)).sum()) for d in (False, True))
        for t in (False, True)
    )
    assert set(found.metrics) == set(METRICS)
    for name, one in found.metrics.items():
        assert one.value == compute(name, binary(truth, probability, threshold=0.3))
    assert found.baselines["majority"]["auroc"].value == 0.5
    assert sum(one.rows for one in found.reliability) == 1200


def test_groups_and_slices_are_measured_alone() -> None:
    truth, probability = draw(1200)
    found, origin = report(), labels(1200, names="EJ", seed=2)
    assert [(one.field, one.value) for one in found.groups] == [("origin", "E"), ("origin", "J")]
    for one in found.groups:
        members = origin == one.value
        assert (one.rows, one.classes[1]) == (members.sum(), truth[members].sum())
        assert one.metrics["auroc"].value == compute(
            "auroc", binary(truth[members], probability[members])
        )
        assert one.metrics["auroc"].rows == one.rows
    assert set(found.fairness["origin"]) == set(BINARY.rates)
    rates = [one.metrics["selection_rate"].value for one in found.groups]
    parity = found.fairness["origin"]["demographic_parity_difference"]
    assert parity.value == pytest.approx(abs(rates[0] - rates[1]))


def test_slices_too_small_to_measure_are_counted_only() -> None:
    tiny = next(one for one in report().slices if one.value == "tiny")
    assert (tiny.rows, tiny.metrics) == (5, {})
    assert sum(one.rows for one in report().slices) == 1200


def test_the_same_arguments_make_the_same_report() -> None:
    assert report() == report()
    assert report(seed=1).metrics["auroc"].low != report().metrics["auroc"].low


def test_other_slices_change_nothing_else() -> None:
    assert report(carriers="UHWX").metrics == report().metrics
    assert report(carriers="UHWX").fairness == report().fairness


def test_a_report_survives_the_disk(tmp_path: Path) -> None:
    write_record(tmp_path / "report.json", report())
    assert read_record(Report, tmp_path / "report.json") == report()
    json.dumps(to_json(report()), allow_nan=False)


def test_a_split_of_one_class_is_reported_without_what_it_cannot_say() -> None:
    found = evaluate(
        binary(np.zeros(200, dtype=bool), np.linspace(0, 1, 200)),
        model="fp32",
        split="test",
        groups={"origin": np.array(["a"] * 200)},
        slices={},
        baselines={},
        resamples=100,
    )
    assert "auroc" not in found.metrics
    assert found.metrics["false_positive_rate"].value == 0.5
    assert found.fairness == {"origin": {}}
    json.dumps(to_json(found), allow_nan=False)


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(BadData) as refused:
        evaluate(
            Sample(task=LATE, truth=np.zeros(0, dtype=bool), outputs=np.zeros((0, 2))),
            model="fp32",
            split="test",
            groups={},
            slices={},
            baselines={},
        )
    assert str(refused.value) == (
        "split 'test': found no rows; expected at least one row. "
        "Move the split's limits so that it holds rows."
    )


def test_the_door_opens_without_heavy_libraries() -> None:
    code = (
        "import sys, torchyard.evaluate;"
        "print(sorted({'torch', 'sklearn', 'scipy', 'mlflow', 'polars'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
