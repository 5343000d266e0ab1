"""A release whose model file reads what its schema does not have is not served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper

from tests.support.releases import sample_onnx, sample_release
from torchyard.core.digest import canonical_json
from torchyard.core.errors import BadModel, BadRecord, NotReady
from torchyard.features.host import HOST_STEPS
from torchyard.serve.engine import open_engine

WORDS = (
    '{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,'
    '"pre_tokenizer":null,"post_processor":null,"decoder":null,'
    '"model":{"type":"WordLevel","vocab":{"[UNK]":0},"unk_token":"[UNK]"}}'
)


def with_step(field: str, *, length: int = 4) -> bytes:
    """The sample model with one more input, which a step makes of ``field``."""
    model = onnx.load_from_string(sample_onnx())
    shape = ["rows", length]
    model.graph.input.append(helper.make_tensor_value_info("x", onnx.TensorProto.INT64, shape))
    step: dict[str, Any] = {
        "output": "x", "field": field, "operation": "tokenize", "dtype": "int64",
        "shape": [length], "options": {"length": length, "padding": 0, "tokenizer": WORDS},
    }  # fmt: skip
    helper.set_model_props(model, {HOST_STEPS: canonical_json([step]).decode()})
    return bytes(model.SerializeToString())


def test_a_step_of_a_field_that_requests_carry_is_served(tmp_path: Path) -> None:
    release = sample_release(tmp_path, onnx=with_step("carrier"))
    assert open_engine(release, max_rows=10).variant == "onnx-fp32"


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("../../etc/passwd", "no column '../../etc/passwd'"),
        ("", "no column ''"),
        ("distance", "field 'distance': found a raw column of float64; expected texts"),
    ],
)
def test_a_step_of_another_field_is_not_ready(tmp_path: Path, field: str, said: str) -> None:
    with pytest.raises(NotReady) as caught:
        open_engine(sample_release(tmp_path, onnx=with_step(field)), max_rows=10)
    assert said in caught.value.found
    assert caught.value.where.endswith("variant onnx-fp32")


def test_a_giant_step_is_refused(tmp_path: Path) -> None:
    release = sample_release(tmp_path, onnx=with_step("carrier", length=10**9))
    with pytest.raises(BadRecord, match="131,072 are the most"):
        open_engine(release, max_rows=10)


def test_a_model_with_an_input_of_another_shape_is_not_ready(tmp_path: Path) -> None:
    model = onnx.load_from_string(sample_onnx())
    for item in model.graph.input:
        item.type.tensor_type.shape.dim[1].dim_value = 10**12
    release = sample_release(tmp_path, onnx=model.SerializeToString())
    with pytest.raises((NotReady, BadModel, BadRecord), match=r"variant onnx-fp32|model\.onnx"):
        open_engine(release, max_rows=10)
