"""Files that reach for what is outside of them, or declare absurd graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from torchyard.core.errors import BadModel, BadRecord
from torchyard.features.encode import Encoder
from torchyard.features.session import open_session
from torchyard.runtimes import open_model


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    constants: list[onnx.TensorProto] | None = None,
) -> Path:
    output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", 2])
    graph = helper.make_graph(nodes, "absurd", inputs, [output], constants or [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def floats(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


WEIGHTS = np.ones((64, 2), dtype=np.float32)


def outside(location: str) -> onnx.TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=WEIGHTS.shape)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("length", str(WEIGHTS.nbytes))):
        tensor.external_data.add(key=key, value=value)
    return tensor


def write_reaching(path: Path, location: str, *, as_node: bool) -> Path:
    """``probabilities = a @ w`` with the weights in another file."""
    product = helper.make_node("MatMul", ["a", "w"], ["probabilities"])
    if not as_node:
        return save(path, [product], [floats("a", "rows", 64)], [outside(location)])
    constant = helper.make_node("Constant", [], ["w"], value=outside(location))
    return save(path, [constant, product], [floats("a", "rows", 64)])


@pytest.mark.parametrize("as_node", [False, True])
@pytest.mark.parametrize(
    "location",
    ["weights.bin", "release/weights.bin", "../weights.bin", "{folder}/weights.bin",
     "release/../weights.bin", "/proc/self/environ", "/dev/zero", "", ".", "link.bin"],
)  # fmt: skip
def test_weights_in_another_file_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str, as_node: bool
) -> None:
    (tmp_path / "release").mkdir()
    for folder in (tmp_path, tmp_path / "release"):
        WEIGHTS.tofile(folder / "weights.bin")
        (folder / "link.bin").symlink_to(tmp_path / "weights.bin")
    path = tmp_path / "release" / "model.onnx"
    write_reaching(path, location.format(folder=tmp_path), as_node=as_node)
    for current in (tmp_path, tmp_path / "release"):
        monkeypatch.chdir(current)
        with pytest.raises(BadRecord, match="whole in one file, that ONNX Runtime can open") as at:
            open_model(path)
        assert at.value.where == str(path)
        with pytest.raises(BadRecord, match="xternal data"):
            Encoder(path)


def test_the_other_format_of_onnx_runtime_is_not_opened(tmp_path: Path) -> None:
    """Its flat buffers are read in place, without the checks of a graph."""
    import onnxruntime

    node = helper.make_node("Identity", ["a"], ["probabilities"])
    plain = save(tmp_path / "plain.onnx", [node], [floats("a", "rows", 2)])
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "model.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(str(plain), options, providers=["CPUExecutionProvider"])
    assert (tmp_path / "model.onnx").read_bytes()[4:8] == b"ORTM"
    with pytest.raises(BadRecord, match="protobuf parsing failed"):
        open_model(tmp_path / "model.onnx")


def constants(**numbers: int) -> list[onnx.TensorProto]:
    return [helper.make_tensor(name, TensorProto.INT64, [1], [n]) for name, n in numbers.items()]


def test_a_giant_weight_without_its_bytes_is_refused(tmp_path: Path) -> None:
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[10**12, 2])
    nodes = [helper.make_node("Gather", ["w", "i"], ["probabilities"])]
    inputs = [helper.make_tensor_value_info("i", TensorProto.INT64, ["rows"])]
    with pytest.raises(BadRecord, match="declares a size of 8000000000000 bytes"):
        open_model(save(tmp_path / "model.onnx", nodes, inputs, [weight]))


def test_a_giant_constant_is_not_made_when_the_file_is_opened(tmp_path: Path) -> None:
    """What cannot be allocated is refused when the graph is run, by name."""
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["none"]),
        helper.make_node("Add", ["a", "none"], ["probabilities"]),
    ]
    inputs = [floats("a", "rows", 2)]
    model = open_model(save(tmp_path / "model.onnx", nodes, inputs, constants(size=1 << 55)))
    with pytest.raises(BadModel, match="expected an answer for these columns"):
        model.run({"a": np.zeros((1, 2), dtype=np.float32)})


@pytest.mark.parametrize(
    "inputs",
    [
        [floats("a", 10**12, 2)],
        [floats("a", "rows", 10**12)],
        [floats("a")],
        [floats("a", 0, 2)],
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, None)],
        [floats("a", "rows", 2), *(floats(f"a{n}", "rows", 10**12) for n in range(200))],
        [helper.make_tensor_sequence_value_info("a", TensorProto.FLOAT, None)],
    ],
)
def test_absurd_inputs_take_nothing_and_are_refused(
    tmp_path: Path, inputs: list[onnx.ValueInfoProto]
) -> None:
    """Columns are made of rows and the schema, never of what a file declares of its inputs."""
    nodes = [helper.make_node("Identity", ["a"], ["probabilities"])]
    columns: dict[str, Any] = {item.name: np.zeros((3, 1)) for item in inputs}
    with pytest.raises((BadModel, BadRecord)) as caught:
        open_model(save(tmp_path / "model.onnx", nodes, inputs)).run(columns)
    assert "model.onnx" in caught.value.where
    assert caught.value.found
    assert caught.value.remedy


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"\xff" * 100, b"PK\x03\x04", b"{}"])
def test_bytes_that_are_no_graph_are_refused(content: bytes) -> None:
    with pytest.raises(BadRecord, match=r"here: found .*; expected an ONNX graph, whole in one"):
        open_session(content, where="here")
