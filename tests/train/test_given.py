"""Weights that were trained elsewhere: read without running anything, refused in words."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from torchyard.core.errors import BadModel, BadProject
from torchyard.records.training import Training
from torchyard.train.given import digest_weights, read_weights, train_by_weights
from torchyard.train.trace import digest_tensors


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        self.register_buffer("mask", torch.tensor([0.0, float("-inf")]))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.last = nn.Linear(3, 3)
        self.last.weight = self.first.weight


def state() -> dict[str, Any]:
    torch.manual_seed(7)
    return {name: tensor + 1 for name, tensor in Net().state_dict().items()}


def under(prefix: str) -> dict[str, Any]:
    return {f"{prefix}{name}": tensor for name, tensor in state().items()}


def given(path: Path, build: Any = Net) -> nn.Module:
    return train_by_weights(build, path, settings=Training(seed=1)).module


@pytest.mark.parametrize(
    "saved",
    [
        state(),
        {"state_dict": under("model."), "epoch": 3, "loops": {}},
        {"model_state_dict": under("module."), "optimizer": {"lr": 0.1}},
        under("_orig_mod."),
        under("module.model."),
        {name: tensor.bfloat16() for name, tensor in state().items() if tensor.is_floating_point()}
        | {"layers.1.num_batches_tracked": torch.tensor(1)},
    ],
)
@pytest.mark.parametrize("is_old", [False, True])
def test_a_state_dict_is_found_and_kept(tmp_path: Path, saved: Any, is_old: bool) -> None:
    path = tmp_path / "weights.pt"
    torch.save(saved, path, _use_new_zipfile_serialization=not is_old)
    module = given(path)
    assert not module.training
    for name, tensor in state().items():
        assert torch.allclose(module.state_dict()[name], tensor, rtol=0.01), name


def test_safetensors_whatever_the_file_is_called(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "weights.bin")
    trained = train_by_weights(Net, tmp_path / "weights.bin", settings=Training())
    assert trained.curve == ()
    assert trained.best_epoch == trained.trace.steps == 0
    assert trained.trace.digests[0] == digest_tensors(trained.module)
    assert trained.notes == ("weights as given in weights.bin",)
    assert digest_weights(tmp_path / "weights.bin").startswith("sha256:")


def test_a_tied_tensor_may_stand_in_the_file_once(tmp_path: Path) -> None:
    tied = Tied().state_dict()
    del tied["last.weight"]
    save_file(tied, tmp_path / "weights.safetensors")
    module = given(tmp_path / "weights.safetensors", Tied)
    assert torch.equal(module.state_dict()["last.weight"], tied["first.weight"])


class Evil:
    """Writes a file when it is unpickled in the usual way."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("way", ["zip", "old", "pickle2", "pickle4", "inside", "tensor-like"])
def test_a_malicious_pickle_never_runs(tmp_path: Path, way: str) -> None:
    mark, path = tmp_path / "ran", tmp_path / "weights.pt"
    evil = Evil(mark)
    if way.startswith("pickle"):
        path.write_bytes(pickle.dumps({"w": evil}, protocol=int(way[-1])))
    else:
        saved = {
            "zip": evil, "old": evil, "inside": {"state_dict": {**state(), "x": evil}},
            "tensor-like": [state(), (evil, {"a": evil})],
        }[way]  # fmt: skip
        torch.save(saved, path, _use_new_zipfile_serialization=way != "old")
    with pytest.raises(BadModel, match=r"a pickled object.*reading it would run its code"):
        given(path)
    assert not mark.exists()
    if way == "pickle2":  # what the test would be worth otherwise
        pickle.loads(path.read_bytes())
        assert mark.exists()


def test_a_pickled_module_is_refused_with_the_way_to_convert_it(tmp_path: Path) -> None:
    torch.save(Net(), tmp_path / "module.pt")
    with pytest.raises(BadModel, match="a pickled object") as refused:
        given(tmp_path / "module.pt")
    remedy = refused.value.remedy
    lines = remedy.partition(": ")[2].partition(" (of")[0].split("; ")
    assert len(lines) == 3
    where = os.getcwd()
    os.chdir(tmp_path)
    try:
        exec("\n".join(lines), {})  # it works as it stands
    finally:
        os.chdir(where)
    given(tmp_path / "weights.pt")


def test_code_of_torchscript_is_refused(tmp_path: Path) -> None:
    # an archive of the kind that torch.jit writes, which newer versions of torch warn about
    import zipfile

    with zipfile.ZipFile(tmp_path / "jit.pt", "w") as archive:
        for name in ("constants.pkl", "data.pkl"):
            archive.writestr(f"jit/{name}", b"\x80\x02).")
        archive.writestr("jit/version", "3\n")
    with pytest.raises(BadModel, match="a TorchScript archive, which holds code"):
        given(tmp_path / "jit.pt")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "whole.pt")
    save_file(state(), tmp_path / "whole.safetensors")
    for name in ("whole.pt", "whole.safetensors"):
        whole = (tmp_path / name).read_bytes()
        for cut in (0, 5, 30, len(whole) // 2, len(whole) - 3):
            (tmp_path / "cut").write_bytes(whole[:cut])
            with pytest.raises(BadModel, match=r"cut: found .*expected a whole file of weights"):
                given(tmp_path / "cut")
    (tmp_path / "text").write_text("a b c d e f g h i j k")
    with pytest.raises(BadModel, match="neither safetensors nor a file of"):
        read_weights(tmp_path / "text")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(BadModel, match="a list, not a state_dict with tensors"):
        read_weights(tmp_path / "list.pt")
    torch.save({"w": 3}, tmp_path / "number.pt")
    with pytest.raises(BadModel, match="'w': found int; expected a state_dict"):
        read_weights(tmp_path / "number.pt")


def test_other_tensors_are_named_with_their_shapes(tmp_path: Path) -> None:
    other = state()
    other["layers.0.weight"] = torch.zeros(4, 9)
    other["head.weight"] = torch.zeros(2)
    del other["layers.2.bias"]
    other["layers.2.weight"] = torch.zeros(1, 4, dtype=torch.int64)
    torch.save(other, tmp_path / "w.pt")
    with pytest.raises(BadModel) as refused:
        given(tmp_path / "w.pt")
    assert refused.value.found == (
        "missing: layers.2.bias [1]; unknown: head.weight [2]; "
        "another shape: layers.0.weight [4, 9] for [4, 3]; "
        "another kind: layers.2.weight torch.int64 for torch.float32"
    )
    assert refused.value.expected == "the 10 tensors of Net"
    torch.save({f"n{n}": torch.zeros(1) for n in range(9)}, tmp_path / "w.pt")
    with pytest.raises(BadModel, match=r"and 5 more"):
        given(tmp_path / "w.pt")


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    for name, value in (("layers.0.weight", "nan"), ("layers.0.bias", "inf"), ("mask", "nan")):
        bad = state()
        bad[name][0] = float(value)
        save_file(bad, tmp_path / "w")
        kind = "NaN" if value == "nan" else "infinite"
        with pytest.raises(BadModel, match=rf"'{name}': found . of .* values {kind}"):
            given(tmp_path / "w")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none.pt", "no file at"), (tmp_path, "a folder at")):
        with pytest.raises(BadProject, match=f"weights=.*{said}"):
            digest_weights(path)
