"""Variants of models with many classes: from tables, pictures and tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import torchyard as ty
from tests.optimize.flights import TEMPERATURE, Built, Net, build_of, columns
from torchyard.optimize import score
from torchyard.optimize.export import export_module
from torchyard.optimize.quantize import CALIBRATION_ROWS, WIDE_CALIBRATION_ROWS, quantize
from torchyard.records.training import FeatureGraph, FeatureTensor
from torchyard.runtimes import open_model

TASK = ty.multiclass_classification("kind", classes=["a", "b", "c", "d"])


class Sure(Net):
    outputs = 4

    def forward(self, numbers: torch.Tensor, carrier: torch.Tensor) -> torch.Tensor:
        return 3 * super().forward(numbers, carrier)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build_of(Sure, tmp_path_factory.mktemp("variants"), task=TASK)


def test_every_variant_answers_like_the_module(built: Any) -> None:
    answers = {one.name: one.model.run(columns()) for one in built.candidates}
    for scores in answers.values():
        assert (scores.shape, scores.dtype) == ((400, 4), np.float32)
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(answers["onnx-fp32"], answers["torch-fp32"], atol=1e-6)
    np.testing.assert_allclose(answers["onnx-int8"], answers["torch-fp32"], atol=0.05)
    assert not np.array_equal(answers["onnx-int8"], answers["onnx-fp32"])


def test_the_temperature_is_in_the_file(built: Any, tmp_path: Path) -> None:
    eager, fp32, _ = built.candidates
    tensors = eager.model._encoder.encode(columns())
    with torch.inference_mode():
        logits = built.module(**{name: torch.from_numpy(array) for name, array in tensors.items()})
    expected = torch.softmax(logits.double() / TEMPERATURE, dim=1).numpy()
    np.testing.assert_allclose(fp32.model.run(columns()), expected, atol=1e-6)
    (output,) = onnx.load(fp32.file).graph.output
    assert [axis.dim_param or axis.dim_value for axis in output.type.tensor_type.shape.dim] == [
        "rows", 4,
    ]  # fmt: skip
    found = score(fp32.model, columns(), graph=built.graph)
    assert found.dtype == np.float64
    assert (found == fp32.model.run(columns())).all()


class Pictures(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.3), nn.Linear(8 * 14 * 14, 10),
        )  # fmt: skip

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(pixels)
        return logits


class Bag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(500, 32, padding_idx=0)
        self.out = nn.Linear(32, 10)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        known = (tokens != 0).unsqueeze(2).float()
        mean = (self.words(tokens) * known).sum(1) / known.sum(1).clamp(min=1)
        logits: torch.Tensor = self.out(mean)
        return logits


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(500, 32, padding_idx=0), nn.Embedding(64, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, activation="gelu")
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(32, 10)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        vectors = self.words(tokens) + self.places(torch.arange(tokens.shape[1]))
        read = self.layers(vectors, src_key_padding_mask=tokens == 0)
        known = (tokens != 0).unsqueeze(2).float()
        logits: torch.Tensor = self.out((read * known).sum(1) / known.sum(1))
        return logits


def pixels(rows: int) -> dict[str, np.ndarray[Any, Any]]:
    draw = np.random.default_rng(0)
    return {"pixels": draw.normal(size=(rows, 1, 28, 28)).astype(np.float32)}


def tokens(rows: int) -> dict[str, np.ndarray[Any, Any]]:
    draw = np.random.default_rng(0)
    lengths = draw.integers(3, 24, (rows, 1))
    return {"tokens": np.where(np.arange(24) < lengths, draw.integers(1, 500, (rows, 24)), 0)}


@pytest.mark.parametrize(
    ("module", "sample", "operator"),
    [
        (Pictures, pixels, "Conv"),
        (Bag, tokens, "Gemm"),
        pytest.param(Transformer, tokens, "MatMul", marks=pytest.mark.slow),
    ],
)
def test_other_media_become_onnx_and_int8(
    tmp_path: Path, module: Any, sample: Any, operator: str
) -> None:
    torch.manual_seed(0)
    model, rows = module().eval(), sample(64)
    tensors = {name: torch.from_numpy(array) for name, array in rows.items()}
    export_module(model, {name: t[:2] for name, t in tensors.items()}, tmp_path / "fp32.onnx")
    quantize(tmp_path / "fp32.onnx", rows, tmp_path / "int8.onnx")
    with torch.inference_mode():
        expected = model(**tensors).numpy()
    np.testing.assert_allclose(_run(tmp_path / "fp32.onnx", rows), expected, atol=1e-5)
    np.testing.assert_allclose(_run(tmp_path / "int8.onnx", rows), expected, atol=0.1)
    nodes = onnx.load(tmp_path / "int8.onnx").graph.node
    made_of = {name: node.op_type for node in nodes for name in node.output}
    quantized = [node for node in nodes if node.op_type == operator]
    assert quantized
    assert any(made_of.get(node.input[1]) == "DequantizeLinear" for node in quantized)


def _run(path: Path, rows: dict[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    answer: np.ndarray[Any, Any] = session.run(["logits"], rows)[0]
    return answer


@pytest.mark.parametrize(
    ("rows", "batches"),
    [
        ({"x": np.zeros((3000, 40), np.float32), "k": np.zeros(3000, np.int64)}, [2048]),
        ({"x": np.zeros((100, 40), np.float32)}, [100]),
        (pixels(300), [32] * 8),
        (tokens(40), [32, 8]),
    ],
)
def test_wide_rows_are_calibrated_on_a_few_at_a_time(rows: Any, batches: list[int]) -> None:
    from torchyard.optimize.quantize import _calibration_batches

    found = [len(next(iter(batch.values()))) for batch in _calibration_batches(rows)]
    assert found == batches
    assert sum(found) <= max(CALIBRATION_ROWS, WIDE_CALIBRATION_ROWS)


def test_wide_rows_are_scored_a_few_at_a_time() -> None:
    seen: list[int] = []

    class Counts:
        def run(self, columns: Any) -> Any:
            seen.append(len(columns["x"]))
            return columns["x"].astype(np.float32)

    def graph(shape: tuple[int, ...]) -> FeatureGraph:
        return FeatureGraph(
            digest="", inputs=(), fitted_rows=1,
            tensors=(
                FeatureTensor(
                    name="x", dtype="float32", shape=shape, cardinality=0, fields=(), operation=""
                ),
            ),
        )  # fmt: skip

    x = np.arange(600.0).reshape(300, 2)
    for shape, batches in (((2,), [300]), ((1, 28, 28), [128, 128, 44])):
        seen.clear()
        assert (score(Counts(), {"x": x}, graph=graph(shape)) == x).all()
        assert seen == batches


def test_a_file_that_opens_has_the_output(built: Any) -> None:
    assert open_model(built.candidates[1].file).inputs == ("distance", "carrier")


def test_shapes_that_cannot_be_followed_do_not_stop_the_quantizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference

    def fails(*_: object, **__: object) -> None:
        raise TypeError("object of type 'NoneType' has no len()")

    monkeypatch.setattr(SymbolicShapeInference, "infer_shapes", fails)
    model, rows = Bag().eval(), tokens(8)
    export_module(model, {"tokens": torch.from_numpy(rows["tokens"])}, tmp_path / "fp32.onnx")
    quantize(tmp_path / "fp32.onnx", rows, tmp_path / "int8.onnx")
    with torch.inference_mode():
        expected = model(torch.from_numpy(rows["tokens"])).numpy()
    np.testing.assert_allclose(_run(tmp_path / "int8.onnx", rows), expected, atol=0.1)
