"""Which device a variant runs on: what was asked for, what is there, and what is worth it.

A GPU is asked for at its driver, by CUDA's own library: no framework is loaded to learn that there
is none. Which GPUs there are is up to ``CUDA_VISIBLE_DEVICES``; a process uses the first of them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any, NamedTuple

from torchyard.core.errors import NotReady
from torchyard.records.evidence import AskedDevice, Device

VISIBLE = "CUDA_VISIBLE_DEVICES"
# How far an answer may be off on another device than it was judged on, by what it was computed in:
# sums in another order move what is rounded by a step. What float32 loses by it is far below the
# tolerance that a release has anyway.
STEPS = {"int8": 0.03, "bf16": 0.01, "fp16": 0.002}
_DRIVER = "libcuda.so.1"
_ON_CPU = {
    "openvino": "a variant of OpenVINO, which runs on the CPU",
    "aotinductor": "a variant that AOTInductor compiled for a CPU",
}


class Lack(NamedTuple):
    """What stands between a variant and a GPU, and what to do about it."""

    found: str
    remedy: str


def gpu_names() -> tuple[str, ...]:
    """Names of the GPUs that this process may use; none without a driver for them."""
    driver = _driver()
    if driver is None:
        return ()
    count = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return ()
    return tuple(_name(driver, number) for number in range(count.value))


def _driver() -> Any:
    try:
        return ctypes.CDLL(_DRIVER)
    except OSError:
        return None


def _name(driver: Any, number: int) -> str:
    device, text = ctypes.c_int(), ctypes.create_string_buffer(256)
    if driver.cuDeviceGet(ctypes.byref(device), number):
        return "a GPU"
    driver.cuDeviceGetName(text, len(text), device)
    return text.value.decode(errors="replace") or "a GPU"


def lacking(runtime: str) -> Lack | None:
    """What a variant of some runtime lacks here to run on a GPU; None if nothing.

    Args:
        runtime: of ``records.evidence.Runtime``.
    """
    if runtime in _ON_CPU:
        return Lack(_ON_CPU[runtime], "Release one of onnxruntime or torch first, or use the CPU.")
    if runtime == "onnxruntime" and not _onnxruntime_has_cuda():
        return Lack(
            "an ONNX Runtime without CUDA",
            "Install onnxruntime-gpu[cuda,cudnn] in the place of onnxruntime, or use the CPU.",
        )
    if not gpu_names():
        return Lack(
            "no GPU that CUDA may use",
            f"Look with nvidia-smi, and at {VISIBLE}; or use the CPU.",
        )
    if runtime == "torch" and not _torch_has_cuda():
        return Lack("a PyTorch without CUDA", "Install a PyTorch with CUDA, or use the CPU.")
    return None


def chosen_device(
    asked: AskedDevice, *, runtime: str, precision: str, is_cheap: bool, where: str
) -> Device:
    """The device of a variant.

    ``auto`` is a GPU where there is one that the runtime can use, but for what has nothing of it: a
    cheap model answers before its row has been to the GPU and back, and ONNX Runtime has no kernels
    there for what is quantized to int8, which it would compute in float32 with more steps.

    Args:
        asked: ``auto``, ``cpu`` or ``cuda``.
        runtime: of the variant.
        precision: what it computes in.
        is_cheap: whether it answers a row in less than a millisecond on a CPU.
        where: what to call it in errors.

    Raises:
        NotReady: a GPU was asked for, and cannot be used.

    Example:
        >>> chosen_device("cpu", runtime="torch", precision="fp32", is_cheap=False, where="here")
        'cpu'
        >>> chosen_device("cuda", runtime="openvino", precision="fp32", is_cheap=False, where="it")
        Traceback (most recent call last):
        torchyard.core.errors.NotReady: it: found a variant of OpenVINO, which runs on the CPU; \
expected a variant that can run on a GPU, as device 'cuda' asks for. Release one of \
onnxruntime or torch first, or use the CPU.
    """
    if asked == "auto":
        is_for_cpu = is_cheap or precision == "int8" or not gpu_names()
        return "cpu" if is_for_cpu or lacking(runtime) else "cuda"
    if asked == "cuda":
        need_gpu(runtime, where=where)
    return asked


def need_gpu(runtime: str, *, where: str) -> None:
    """Refuse where a variant of some runtime cannot run on a GPU.

    Raises:
        NotReady: that is so.
    """
    lack = lacking(runtime)
    if lack is not None:
        raise NotReady(
            where=where,
            found=lack.found,
            expected="a variant that can run on a GPU, as device 'cuda' asks for",
            remedy=lack.remedy,
        )


def device_tolerance(tolerance: float, *, device: Device, precision: str) -> float:
    """How far an answer may be off from what was sealed, which a CPU computed.

    Args:
        tolerance: the release's own.
        device: where the answer was computed.
        precision: in what.

    Example:
        >>> device_tolerance(1e-4, device="cuda", precision="fp32")
        0.0001
        >>> device_tolerance(1e-4, device="cuda", precision="bf16")
        0.01
    """
    return tolerance if device == "cpu" else max(tolerance, STEPS.get(precision, 0.0))


def share_of_gpus(number: int, environment: Mapping[str, str]) -> dict[str, str]:
    """What tells a worker which GPU is its own, in turn; nothing where there is no choice.

    Args:
        number: of the worker, from 0.
        environment: of the supervisor.

    Returns:
        The environment variables to be set for it.
    """
    count = len(gpu_names())
    if count < 2:
        return {}
    listed = [name.strip() for name in environment.get(VISIBLE, "").split(",") if name.strip()]
    names = listed[:count] or [str(place) for place in range(count)]
    return {VISIBLE: names[number % len(names)]}


def _onnxruntime_has_cuda() -> bool:
    from torchyard.features.session import has_cuda

    return has_cuda()


def _torch_has_cuda() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return torch.version.cuda is not None
