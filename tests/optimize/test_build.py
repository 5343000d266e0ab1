from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import torchyard as ty
from tests.optimize.flights import Net, build_of, columns
from torchyard.core.errors import BadModel
from torchyard.optimize import Candidate, measure, plans
from torchyard.optimize.export import export_module
from torchyard.records.training import FeatureGraph

TASK = ty.binary_classification("late")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Candidate, ...]:
    return candidates_of(Net, tmp_path_factory.mktemp("variants"))


def candidates_of(module: type[Net], folder: Path) -> tuple[Candidate, ...]:
    return build_of(module, folder, task=TASK).candidates


def test_every_variant_answers_like_the_module(built: Any) -> None:
    answers = {candidate.name: candidate.model.run(columns()) for candidate in built}
    assert list(answers) == ["torch-fp32", "onnx-fp32", "onnx-int8"]
    for scores in answers.values():
        assert scores.shape == (400, 2)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(answers["onnx-fp32"], answers["torch-fp32"], atol=1e-6)
    np.testing.assert_allclose(answers["onnx-int8"], answers["torch-fp32"], atol=0.05)
    assert not np.array_equal(answers["onnx-int8"], answers["onnx-fp32"])


def test_a_static_int8_answer_does_not_depend_on_its_batch(built: Any) -> None:
    int8, rows = built[2].model, columns()
    together = int8.run(rows)
    alone = [
        int8.run({name: values[n : n + 1] for name, values in rows.items()}) for n in range(50)
    ]
    np.testing.assert_array_equal(np.concatenate(alone), together[:50])


def test_the_file_runs_without_torchyard(built: Any) -> None:
    """From raw fields to calibrated answer with onnxruntime and numpy alone."""
    script = (
        "import sys, numpy as np, onnxruntime\n"
        "session = onnxruntime.InferenceSession(sys.argv[1])\n"
        "answer = session.run(['probabilities'], {\n"
        "    'distance': np.array([[3.0], [np.nan]]),\n"
        "    'carrier': np.array([['C1'], ['']], dtype=object)})[0]\n"
        "assert not any(name.startswith('torch') for name in sys.modules)\n"
        "print(answer.tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(built[1].file)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    ours = built[1].model.run(
        {
            "distance": np.array([[3.0], [np.nan]]),
            "carrier": np.array([["C1"], [""]], dtype=object),
        }
    )
    assert done.stdout.strip() == str(ours.tolist())


def test_measurements_carry_counts_spread_and_hardware(built: Any) -> None:
    variants = measure(built, columns())
    assert [variant.servable for variant in variants] == [False, True, True]
    for variant in variants:
        assert [item.batch for item in variant.latency] == [1, 32]
        for item in variant.latency:
            assert 0 < item.p50_ms <= item.p99_ms
            assert item.calls >= 500
            assert item.spread >= 0
        assert "cores" in variant.hardware
    assert variants[1].sha256 is not None
    assert min(variant.size_bytes for variant in variants) > 0


def test_a_candidate_that_cannot_be_built_is_a_finding_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    class Branches(Net):
        def forward(self, numbers: torch.Tensor, carrier: torch.Tensor) -> torch.Tensor:
            if numbers.sum() > 0:
                return super().forward(numbers, carrier)
            return super().forward(-numbers, carrier)

    variants = measure(candidates_of(Branches, tmp_path), columns())
    assert [variant.finding is None for variant in variants] == [True, False, False]
    assert "Take Python branches on tensor values out of forward" in str(variants[1].finding)
    assert variants[1].latency == ()


def test_an_export_that_fails_names_the_module(tmp_path: Path) -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if float(x.sum()) > 0 else -x

    with pytest.raises(BadModel, match="Odd, export to ONNX"):
        export_module(Odd().eval(), {"x": torch.ones(2, 1)}, tmp_path / "odd.onnx")


def test_a_module_whose_graph_has_a_loop_is_merged(tmp_path: Path) -> None:
    class Bags(Net):
        def __init__(self, features: FeatureGraph) -> None:
            super().__init__(features)
            self.bag = nn.EmbeddingBag(features["carrier"].cardinality, 4, padding_idx=0)

        def forward(self, numbers: torch.Tensor, carrier: torch.Tensor) -> torch.Tensor:
            vectors = self.bag(torch.stack([carrier, carrier * 0], dim=1))
            logits: torch.Tensor = self.layers(torch.cat([numbers, vectors], dim=1))
            return logits

    eager, fp32, _ = candidates_of(Bags, tmp_path)
    assert fp32.finding is None
    assert eager.model is not None
    assert fp32.model is not None
    np.testing.assert_allclose(fp32.model.run(columns()), eager.model.run(columns()), atol=1e-6)


def test_a_finding_names_no_place_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object, path: Path, **__: object) -> None:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"damaged")

    monkeypatch.setattr(plans, "merge", damaged)
    finding = str(candidates_of(Net, tmp_path)[1].finding)
    assert finding.startswith("onnx-fp32/model.onnx: ")
    assert str(tmp_path) not in finding
