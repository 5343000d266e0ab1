"""Opening and running a variant, and every way it is refused."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from torchyard.core.errors import BadModel, BadRecord, BadUsage
from torchyard.runtimes import Model, open_model


def write_graph(
    path: Path, *, output: str = "probabilities", kind: int = TensorProto.FLOAT
) -> Path:
    """probabilities = softmax([0, a + 10 * b]) for two double inputs."""
    nodes = [
        helper.make_node("Mul", ["b", "ten"], ["scaled"]),
        helper.make_node("Add", ["a", "scaled"], ["logit"]),
        helper.make_node("Sub", ["logit", "logit"], ["zero"]),
        helper.make_node("Concat", ["zero", "logit"], ["logits"], axis=1),
        helper.make_node("Softmax", ["logits"], ["soft"], axis=1),
        helper.make_node("Cast", ["soft"], [output], to=kind),
    ]
    graph = helper.make_graph(
        nodes,
        "two",
        [helper.make_tensor_value_info(n, TensorProto.DOUBLE, ["rows", 1]) for n in "ab"],
        [helper.make_tensor_value_info(output, kind, ["rows", 2])],
        [helper.make_tensor("ten", TensorProto.DOUBLE, [1], [10.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


@pytest.fixture(name="model")
def _model(tmp_path: Path) -> Model:
    return open_model(write_graph(tmp_path / "model.onnx"))


def column(*values: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array(values, dtype=np.float64).reshape(-1, 1)


def test_it_answers_rows_with_float32_probabilities(model: Model) -> None:
    answer = model.run({"a": column(0.0, 1.0), "b": column(0.0, -0.2), "spare": column(9.0, 9.0)})

    assert model.inputs == ("a", "b")
    assert answer.dtype == np.float32
    assert answer.shape == (2, 2)
    np.testing.assert_allclose(answer[:, 1], [0.5, 1 / (1 + np.e)], rtol=1e-6)


def test_numbers_are_answered_under_their_own_name(tmp_path: Path) -> None:
    model = open_model(write_graph(tmp_path / "model.onnx", output="predictions"))

    assert model.output == "predictions"
    assert model.run({"a": column(0.0), "b": column(0.0)}).shape == (1, 2)


def test_threads_get_their_own_rows(model: Model) -> None:
    answers: dict[int, float] = {}

    def ask(number: int) -> None:
        rows = {"a": column(*[number / 10] * 50), "b": column(*[0.0] * 50)}
        answers[number] = float(model.run(rows)[49, 1])

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    expected = {n: 1 / (1 + np.exp(-n / 10)) for n in range(8)}
    assert answers == pytest.approx(expected, rel=1e-6)


def test_a_missing_column_is_named(model: Model) -> None:
    with pytest.raises(BadUsage) as caught:
        model.run({"a": column(1.0)})

    assert caught.value.found == "no column 'b'"
    assert caught.value.expected == "columns a, b"


def test_columns_of_another_type_are_refused(model: Model) -> None:
    with pytest.raises(BadModel) as caught:
        model.run({"a": column(1.0), "b": np.array([[1]], dtype=np.int64)})

    assert caught.value.where == "model.onnx"
    assert "tensor(int64)" in caught.value.found


def test_an_unknown_runtime_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(BadUsage, match=r"Did you mean 'onnxruntime'\?") as caught:
        open_model(tmp_path / "m.onnx", runtime="onnxruntim")

    assert caught.value.where == "runtime of m.onnx"


def test_no_threads_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadUsage, match="found 0; expected 1 or more"):
        open_model(tmp_path / "m.onnx", threads=0)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "model.onnx")
    path.write_bytes(path.read_bytes()[:100])

    with pytest.raises(BadRecord) as caught:
        open_model(path)

    assert caught.value.where == str(path)
    assert caught.value.expected == "an ONNX graph, whole in one file, that ONNX Runtime can open"
    assert caught.value.remedy == "Restore the file from its release, or export the variant again."


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match="found No such file or directory"):
        open_model(tmp_path / "absent.onnx")


@pytest.mark.parametrize(
    ("output", "kind", "found"),
    [
        ("scores", TensorProto.FLOAT, "outputs scores: tensor(float)"),
        ("probabilities", TensorProto.DOUBLE, "outputs probabilities: tensor(double)"),
        ("predictions", TensorProto.DOUBLE, "outputs predictions: tensor(double)"),
    ],
)
def test_another_output_is_refused(tmp_path: Path, output: str, kind: int, found: str) -> None:
    path = write_graph(tmp_path / "model.onnx", output=output, kind=kind)

    with pytest.raises(BadRecord) as caught:
        open_model(path)

    assert caught.value.found == found
    assert caught.value.expected == "one output, probabilities or predictions: tensor(float)"


def test_a_file_that_answers_in_two_ways_is_refused(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "model.onnx")
    both = onnx.load(path)
    both.graph.node.append(helper.make_node("Identity", ["probabilities"], ["predictions"]))
    copied = helper.make_tensor_value_info("predictions", TensorProto.FLOAT, ["rows", 2])
    both.graph.output.append(copied)
    onnx.save(both, str(path))

    with pytest.raises(
        BadRecord, match=r"found outputs probabilities: .*, predictions: .*one output"
    ):
        open_model(path)
