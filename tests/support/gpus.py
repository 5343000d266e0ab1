"""GPUs that are not there: CUDA's driver and ONNX Runtime's provider, pretended.

Everything but the kernels is as on a machine that has some: models are opened and run, on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnxruntime
import pytest

from torchyard.features import session
from torchyard.runtimes import devices

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"


class Driver:
    """What ``libcuda`` does for ``devices``; ``status`` is what its beginning ends with."""

    def __init__(self, *names: str, status: int = 0) -> None:
        self._names = names
        self._status = status

    def cuInit(self, flags: int) -> int:  # noqa: N802
        assert flags == 0
        return self._status

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = len(self._names)
        return 0

    def cuDeviceGet(self, device: Any, number: int) -> int:  # noqa: N802
        device._obj.value = 100 + number
        return 0

    def cuDeviceGetName(self, text: Any, size: int, device: Any) -> int:  # noqa: N802
        assert size == len(text)
        text.value = self._names[device.value - 100].encode()
        return 0


class Pretended:
    """A session that says it runs on a GPU, and runs on the CPU."""

    def __init__(self, opened: Any, providers: Sequence[str]) -> None:
        self._opened = opened
        self._providers = list(providers)

    def get_providers(self) -> list[str]:
        return self._providers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened, name)


class Sessions:
    """Opens sessions where ``onnxruntime.InferenceSession`` is asked to.

    Attributes:
        asked: the providers of every session, as they were asked for.
        loaded: the providers that a session comes to have.
        trouble: what opening one on a GPU raises.
    """

    def __init__(self) -> None:
        self._real = onnxruntime.InferenceSession
        self.asked: list[list[Any]] = []
        self.loaded = [CUDA, CPU]
        self.trouble: Exception | None = None

    def __call__(self, content: bytes, options: Any, *, providers: Any, **more: Any) -> Any:
        self.asked.append(providers)
        if providers == [CPU]:
            return self._real(content, options, providers=providers, **more)
        if self.trouble is not None:
            raise self.trouble
        return Pretended(self._real(content, options, providers=[CPU], **more), self.loaded)


def pretend_gpus(
    monkeypatch: pytest.MonkeyPatch, *names: str, has_provider: bool = True
) -> Sessions:
    """Make this process believe in some GPUs until the test is over; what opens its sessions."""
    monkeypatch.setattr(devices, "_driver", lambda: Driver(*names))
    providers = [CUDA, CPU] if has_provider else [CPU]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(session, "_load_cuda", lambda: None)
    sessions = Sessions()
    monkeypatch.setattr(onnxruntime, "InferenceSession", sessions)
    return sessions
