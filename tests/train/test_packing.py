from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchyard.core.errors import BadModel, BadRecord
from torchyard.train.packing import read_state, write_state

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
keys = st.integers() | st.text() | st.booleans()
states = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=12,
)


@given(state=states)
def test_plain_values_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, state: Any
) -> None:
    path = tmp_path_factory.mktemp("state") / "s.safetensors"
    write_state(path, state)
    assert repr(read_state(path)) == repr(state)


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8,
     torch.bool],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)])
def test_tensors_come_back_bit_for_bit(
    tmp_path: Path, dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    tensor = torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    given_state = {
        "a": tensor,
        "tied": tensor,
        "turned": tensor.movedim(0, -1) if tensor.ndim else tensor,
    }
    write_state(tmp_path / "s", given_state)
    state = read_state(tmp_path / "s")
    for name, wanted in given_state.items():
        assert state[name].dtype == dtype
        assert state[name].shape == wanted.shape
        assert torch.equal(state[name], wanted)


@pytest.mark.parametrize("kind", ["u4", "u8", "f8", "i2", "b1"])
def test_numpy_arrays_come_back(tmp_path: Path, kind: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(kind)
    write_state(tmp_path / "s", array)
    again = read_state(tmp_path / "s")
    assert again.dtype == array.dtype
    assert np.array_equal(again, array)


def test_an_object_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(
        BadModel, match=r"state\['a'\]\[1\]: found pathlib\.\S*Path; expected"
    ) as no:
        write_state(tmp_path / "s", {"a": [1, Path("x")]})
    assert "no pickled objects" in no.value.remedy


@pytest.mark.parametrize("left", [0, 7, 60, -1])
def test_a_damaged_file_is_refused(tmp_path: Path, left: int) -> None:
    path = tmp_path / "s"
    write_state(path, {"a": torch.arange(5)})
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(BadRecord, match="expected a whole state"):
        read_state(path)


@pytest.mark.parametrize(
    "layout", ["[1]", '["tensor", "9"]', '["dict", 3]', "{", '["array", ["0", "x", 1]]']
)
def test_a_file_with_another_layout_is_refused(tmp_path: Path, layout: str) -> None:
    from safetensors.torch import save_file

    save_file({"0": torch.ones(1)}, tmp_path / "s", metadata={"torchyard.state": layout})
    with pytest.raises(BadRecord, match="expected a whole state"):
        read_state(tmp_path / "s")
