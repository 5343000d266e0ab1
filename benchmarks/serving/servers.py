"""The servers compared, each with the settings that its documentation and measurements favour.

A server is one process group; a **way** is a name in the results: a server and how rows are sent.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# Debian's own: the stub in nvidia-pytriton's wheel fails with later 3.11s
_DEBIAN_PYTHON = "/usr/bin/python3.11"
_SMALL = ("m1", "m1named")


@dataclass(frozen=True)
class Way:
    """How rows are sent to a server: ``style`` of ``bodies.request``, and where to."""

    style: str
    path: str


@dataclass(frozen=True)
class Server:
    """A server to start.

    Attributes:
        app: its file under ``peers/``; empty for torchyard's own command.
        ways: by their names in the results.
        settings: what the application is told, and the result says.
        small: settings that the tabular models have instead.
        environment: the requirements file of its environment; empty for this one.
        pythons: interpreters to try for it instead of this one's.
        missing: why it cannot run on this machine, or None.
        start_s: how long it may take to answer.
    """

    app: str
    ways: Mapping[str, Way]
    settings: Mapping[str, object] = field(default_factory=dict)
    small: Mapping[str, object] = field(default_factory=dict)
    environment: str = ""
    pythons: tuple[str, ...] = ()
    missing: Callable[[], str | None] = lambda: None
    start_s: float = 60.0

    def settings_for(self, model: str) -> dict[str, object]:
        """Its settings when it serves that model."""
        return {**self.settings, **(self.small if model in _SMALL else {})}


def _need_java() -> str | None:
    if shutil.which("java"):
        return None
    return "it needs Java 17: apt-get install openjdk-17-jre-headless"


def _need_triton() -> str | None:
    home = os.environ.get("TRITON_HOME", "")
    if (Path(home) / "backends" / "onnxruntime").is_dir():
        return None
    return (
        "no package has Triton's ONNX Runtime backend: set TRITON_HOME to a Triton whose "
        "backends/onnxruntime is there, such as /opt/tritonserver of its container"
    )


_OIP = "/v2/models/{model}/infer"
_PLAIN = "/predict"

SERVERS: dict[str, Server] = {
    "torchyard": Server(
        "",
        {
            "torchyard": Way("rows", "/v1/models/{model}/predict"),
            "torchyard_oip": Way("oip", _OIP),
            "torchyard_bin": Way("oip_binary", _OIP),
        },
    ),
    "triton_onnx": Server(
        "triton_app.py",
        {"triton_onnx": Way("oip", _OIP), "triton_onnx_bin": Way("oip_binary", _OIP)},
        settings={"backend": "onnxruntime", "workers": 2, "batch": 64, "http_threads": 8},
        environment="triton",
        missing=_need_triton,
    ),
    "triton_python": Server(
        "triton_app.py",
        {"triton_python": Way("oip", _OIP), "triton_python_bin": Way("oip_binary", _OIP)},
        settings={"backend": "python", "workers": 2, "batch": 64, "http_threads": 8},
        small={"workers": 1},
        environment="triton",
        pythons=(_DEBIAN_PYTHON,),
    ),
    "mosec": Server(
        "mosec_app.py",
        {"mosec": Way("plain", "/inference")},
        settings={"workers": 2, "batch": 64, "wait_ms": 1},
        small={"workers": 1},
        environment="mosec",
    ),
    "mosec_nobatch": Server(
        "mosec_app.py",
        {"mosec_nobatch": Way("plain", "/inference")},
        settings={"workers": 2, "batch": 1, "wait_ms": 0},
        environment="mosec",
    ),
    "fastapi": Server(
        "fastapi_app.py",
        {"fastapi": Way("plain", _PLAIN)},
        settings={"workers": 2},
        environment="fastapi",
    ),
    "fastapi_declared": Server(
        "fastapi_app.py",
        {"fastapi_declared": Way("plain", _PLAIN)},
        settings={"workers": 2, "declared": True},
        environment="fastapi",
    ),
    "torchserve": Server(
        "torchserve_app.py",
        {"torchserve": Way("plain", "/predictions/{model}")},
        settings={"workers": 2, "batch": 64, "wait_ms": 1},
        small={"workers": 1},
        environment="torchserve",
        missing=_need_java,
        start_s=120.0,
    ),
    "litserve": Server(
        "litserve_app.py",
        {"litserve": Way("plain", _PLAIN)},
        settings={"workers": 2, "batch": 64, "wait_ms": 1, "fast_queue": True},
        small={"workers": 1},
        environment="litserve",
    ),
    "bentoml": Server(
        "bentoml_app.py",
        {"bentoml": Way("rows", _PLAIN)},
        settings={"workers": 2, "batch": 64, "most_latency_ms": 1000},
        environment="bentoml",
    ),
    "mlserver": Server(
        "mlserver_app.py",
        {"mlserver": Way("oip", _OIP)},
        settings={"workers": 2, "batch": 64, "wait_ms": 1},
        small={"workers": 0},
        environment="mlserver",
    ),
    "kserve": Server(
        "kserve_app.py",
        {"kserve": Way("oip", _OIP)},
        settings={"workers": 2},
        environment="kserve",
        start_s=120.0,  # its supervisor ends workers that take five seconds to import themselves
    ),
    "ray": Server(
        "ray_app.py",
        {"ray": Way("plain", _PLAIN)},
        settings={"workers": 2, "batch": 64, "wait_ms": 0},
        small={"workers": 1},
        environment="ray",
        start_s=150.0,
    ),
    "echo": Server("echo_app.py", {"echo": Way("plain", _PLAIN)}),
}
RAW = "raw"  # ONNX Runtime in process: no server, so it is none of these

WAYS: tuple[str, ...] = (*(way for one in SERVERS.values() for way in one.ways), RAW)
