"""Which device a variant runs on, and what is said where it cannot run on a GPU."""

from __future__ import annotations

import ctypes
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runtimes.test_model import write_graph
from tests.support.gpus import CPU, CUDA, Driver, pretend_gpus
from torchyard.core.errors import BadRecord, NotReady
from torchyard.features import session
from torchyard.records.evidence import AskedDevice, Device
from torchyard.runtimes import devices, open_model
from torchyard.runtimes.devices import (
    STEPS,
    VISIBLE,
    chosen_device,
    device_tolerance,
    gpu_names,
    lacking,
    share_of_gpus,
)
from torchyard.runtimes.programs import _moved


def chosen(asked: AskedDevice, *, runtime: str = "onnxruntime", **more: Any) -> Device:
    given = {"precision": "fp32", "is_cheap": False, "where": "release a, variant b", **more}
    return chosen_device(asked, runtime=runtime, **given)


@pytest.mark.parametrize("names", [(), ("NVIDIA L4",), ("NVIDIA H100 PCIe", "NVIDIA L4")])
def test_the_driver_says_which_gpus_there_are(
    names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_driver", lambda: Driver(*names))
    assert gpu_names() == names


def test_a_driver_that_cannot_begin_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_driver", lambda: Driver("NVIDIA L4", status=100))
    assert gpu_names() == ()


def test_no_driver_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", absent)
    assert gpu_names() == ()


@pytest.mark.parametrize(
    ("precision", "is_cheap", "runtime", "expected"),
    [
        ("fp32", False, "onnxruntime", "cuda"),
        ("bf16", False, "onnxruntime", "cuda"),
        ("int8", False, "onnxruntime", "cpu"),
        ("fp32", True, "onnxruntime", "cpu"),
        ("fp32", False, "openvino", "cpu"),
        ("fp32", False, "aotinductor", "cpu"),
    ],
)
def test_what_has_something_of_a_gpu_gets_it(
    precision: str, is_cheap: bool, runtime: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_gpus(monkeypatch, "NVIDIA L4")
    assert chosen("auto", runtime=runtime, precision=precision, is_cheap=is_cheap) == expected
    assert chosen("cpu", runtime=runtime, precision=precision, is_cheap=is_cheap) == "cpu"


def test_who_asks_for_a_gpu_gets_it_whatever_it_is_worth(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, "NVIDIA L4")
    assert chosen("cuda", precision="int8", is_cheap=True) == "cuda"


@pytest.mark.parametrize(
    ("gpus", "has_provider"), [((), True), (("NVIDIA L4",), False), ((), False)]
)
def test_left_open_it_is_the_cpu_where_there_is_no_gpu_to_use(
    gpus: tuple[str, ...], has_provider: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_gpus(monkeypatch, *gpus, has_provider=has_provider)
    assert chosen("auto") == "cpu"


@pytest.mark.parametrize(
    ("runtime", "gpus", "has_provider", "found", "remedy"),
    [
        ("onnxruntime", ("NVIDIA L4",), False, "an ONNX Runtime without CUDA", "onnxruntime-gpu"),
        ("onnxruntime", (), True, "no GPU that CUDA may use", "CUDA_VISIBLE_DEVICES"),
        ("torch", (), True, "no GPU that CUDA may use", "nvidia-smi"),
        ("openvino", ("NVIDIA L4",), True, "OpenVINO, which runs on the CPU", "Release one of"),
        ("aotinductor", ("NVIDIA L4",), True, "AOTInductor compiled for a CPU", "Release one of"),
    ],
)
def test_what_a_variant_lacks_is_told(
    runtime: str, gpus: tuple[str, ...], has_provider: bool, found: str, remedy: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    pretend_gpus(monkeypatch, *gpus, has_provider=has_provider)
    with pytest.raises(NotReady) as caught:
        chosen("cuda", runtime=runtime)
    error = caught.value
    assert error.where == "release a, variant b"
    assert found in error.found
    assert error.expected == "a variant that can run on a GPU, as device 'cuda' asks for"
    assert remedy in error.remedy


def test_a_pytorch_without_cuda_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    pretend_gpus(monkeypatch, "NVIDIA L4")
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(NotReady, match="found a PyTorch without CUDA"):
        chosen("cuda", runtime="torch")
    assert chosen("auto", runtime="torch") == "cpu"
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    assert chosen("auto", runtime="torch") == "cuda"
    assert lacking("torch") is None


def test_workers_have_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, "NVIDIA L4", "NVIDIA L4")
    shares = [share_of_gpus(number, {}) for number in range(3)]
    assert shares == [{VISIBLE: "0"}, {VISIBLE: "1"}, {VISIBLE: "0"}]
    listed = {VISIBLE: "GPU-5ebe, GPU-77ac"}
    assert share_of_gpus(1, listed) == {VISIBLE: "GPU-77ac"}


@pytest.mark.parametrize("names", [(), ("NVIDIA L4",)])
def test_where_there_is_no_choice_nothing_is_set(
    names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_gpus(monkeypatch, *names)
    assert share_of_gpus(1, {VISIBLE: "3"}) == {}


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16", "int8"])
def test_only_less_than_float32_may_be_off_by_more_elsewhere(precision: str) -> None:
    on_gpu = device_tolerance(1e-4, device="cuda", precision=precision)
    assert device_tolerance(1e-4, device="cpu", precision=precision) == 1e-4
    assert on_gpu == (1e-4 if precision == "fp32" else STEPS[precision])
    assert device_tolerance(0.5, device="cuda", precision=precision) == 0.5


def test_a_session_on_a_gpu_has_its_options_and_answers_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_graph(tmp_path / "model.onnx")
    plain = open_model(path)
    sessions = pretend_gpus(monkeypatch, "NVIDIA L4")
    model = open_model(path, device="cuda")
    (((provider, options), after),) = sessions.asked
    assert (provider, after) == (CUDA, CPU)
    assert options["use_tf32"] == "0"
    assert options["cudnn_conv_algo_search"] == "HEURISTIC"
    rows = {name: np.array([[0.5], [2.0]]) for name in plain.inputs}
    np.testing.assert_array_equal(model.run(rows), plain.run(rows))


def test_a_provider_that_does_not_load_is_told_and_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left to itself, ONNX Runtime goes on with the CPU."""
    path = write_graph(tmp_path / "model.onnx")
    sessions = pretend_gpus(monkeypatch, "NVIDIA L4")
    sessions.loaded = [CPU]
    with pytest.raises(NotReady, match="found a CUDA or cuDNN that ONNX Runtime cannot load"):
        open_model(path, device="cuda")


def test_a_gpu_that_fails_is_no_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_graph(tmp_path / "model.onnx")
    sessions = pretend_gpus(monkeypatch, "NVIDIA L4")
    sessions.trouble = RuntimeError("CUDA failure 2: out of memory")
    with pytest.raises(NotReady, match="found a GPU that cannot be used: CUDA failure 2"):
        open_model(path, device="cuda")
    sessions.trouble = RuntimeError("Protobuf parsing failed.")
    with pytest.raises(BadRecord, match="Protobuf parsing failed"):
        open_model(path, device="cuda")


def test_libraries_beside_onnx_runtime_are_loaded_in_silence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import onnxruntime

    calls: list[int] = []

    def preload() -> None:
        calls.append(1)
        print("Failed to load libcudnn")

    monkeypatch.setattr(onnxruntime, "preload_dlls", preload, raising=False)
    session._load_cuda.__wrapped__()
    monkeypatch.delattr(onnxruntime, "preload_dlls")
    session._load_cuda.__wrapped__()
    assert calls == [1]
    assert capsys.readouterr().out == ""


def test_a_program_is_moved_with_all_that_it_holds() -> None:
    import torch

    class Held(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 2)
            self.register_buffer("shift", torch.ones(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = self.layer(x) + self.shift + torch.arange(2, device=x.device)
            return made

    content = io.BytesIO()
    torch.export.save(torch.export.export(Held(), (torch.zeros(3, 2),)), content)
    content.seek(0)
    before = torch.backends.cudnn.allow_tf32
    try:
        program: Any = _moved(torch.export.load(content), "meta").module()
        assert not torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32 = before
    assert program(torch.zeros(3, 2, device="meta")).device.type == "meta"
