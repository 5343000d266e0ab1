from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import torchyard as ty
from torchyard.core.errors import BadModel
from torchyard.features import Encoder, columns_from_frame, fit_graph
from torchyard.optimize import Candidate, build, build_candidates, measure
from torchyard.optimize.export import export_module
from torchyard.records.training import FeatureGraph

SCHEMA = ty.Schema(distance=ty.number(optional=True), carrier=ty.category())
FEATURES = ty.Features(numbers=ty.standardize("distance"), carrier=ty.lookup("carrier"))
TASK = ty.binary_classification("late")
ROWS = pl.DataFrame(
    {
        "distance": [float(n % 97) if n % 9 else None for n in range(400)],
        "carrier": [f"C{n % 7}" for n in range(400)],
    }
)


class Net(nn.Module):
    def __init__(self, features: FeatureGraph) -> None:
        super().__init__()
        self.carrier = nn.Embedding(features["carrier"].cardinality, 4)
        self.layers = nn.Sequential(
            nn.Linear(features["numbers"].width + 4, 32), nn.ReLU(), nn.Linear(32, 1)
        )

    def forward(self, numbers: torch.Tensor, carrier: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(torch.cat([numbers, self.carrier(carrier)], dim=1))
        return logits


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Candidate, ...]]:
    folder = tmp_path_factory.mktemp("variants")
    torch.manual_seed(0)
    return folder, candidates_of(Net, folder)


def candidates_of(module: type[Net], folder: Path) -> tuple[Candidate, ...]:
    graph = fit_graph(FEATURES, SCHEMA, lambda: [ROWS], path=folder / "features.onnx")
    encoder = Encoder(folder / "features.onnx")
    return build_candidates(
        module(graph).eval(),
        encoder=encoder,
        features=folder / "features.onnx",
        tensors=encoder.encode(columns_from_frame(SCHEMA, ROWS)),
        task=TASK,
        temperature=1.7,
        folder=folder / "variants",
    )


def test_every_variant_answers_like_the_module(built: Any) -> None:
    columns = columns_from_frame(SCHEMA, ROWS)
    answers = {candidate.name: candidate.model.run(columns) for candidate in built[1]}
    assert list(answers) == ["torch-fp32", "onnx-fp32", "onnx-int8"]
    for scores in answers.values():
        assert scores.shape == (400, 2)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(answers["onnx-fp32"], answers["torch-fp32"], atol=1e-6)
    np.testing.assert_allclose(answers["onnx-int8"], answers["torch-fp32"], atol=0.05)
    assert not np.array_equal(answers["onnx-int8"], answers["onnx-fp32"])


def test_a_static_int8_answer_does_not_depend_on_its_batch(built: Any) -> None:
    int8 = built[1][2].model
    columns = columns_from_frame(SCHEMA, ROWS)
    together = int8.run(columns)
    alone = [
        int8.run({name: values[n : n + 1] for name, values in columns.items()}) for n in range(50)
    ]
    np.testing.assert_array_equal(np.concatenate(alone), together[:50])


def test_the_file_runs_without_torchyard(built: Any) -> None:
    """From raw fields to calibrated answer with onnxruntime and numpy alone."""
    _, candidates = built
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
        [sys.executable, "-c", script, str(candidates[1].file)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    ours = candidates[1].model.run(
        {
            "distance": np.array([[3.0], [np.nan]]),
            "carrier": np.array([["C1"], [""]], dtype=object),
        }
    )
    assert done.stdout.strip() == str(ours.tolist())


def test_measurements_carry_counts_spread_and_hardware(built: Any) -> None:
    variants = measure(built[1], columns_from_frame(SCHEMA, ROWS))
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

    variants = measure(candidates_of(Branches, tmp_path), columns_from_frame(SCHEMA, ROWS))
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

    torch.manual_seed(0)
    eager, fp32, _ = candidates_of(Bags, tmp_path)
    assert fp32.finding is None
    assert eager.model is not None
    assert fp32.model is not None
    columns = columns_from_frame(SCHEMA, ROWS)
    np.testing.assert_allclose(fp32.model.run(columns), eager.model.run(columns), atol=1e-6)


def test_a_finding_names_no_place_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object, path: Path, **__: object) -> None:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"damaged")

    monkeypatch.setattr(build, "merge", damaged)
    finding = str(candidates_of(Net, tmp_path)[1].finding)
    assert finding.startswith("onnx-fp32/model.onnx: ")
    assert str(tmp_path) not in finding
