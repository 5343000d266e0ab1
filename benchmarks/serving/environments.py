"""An environment for each peer, made once under the cache folder and used again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_PEERS = Path(__file__).parent / "peers"
_MADE = "made.json"
_TIMEOUT_S = 1200


class NotInstalled(Exception):
    """Why a peer cannot be run here."""


def environment(peer: str, cache: Path, *, pythons: Sequence[str] = ()) -> Path:
    """The Python of a peer's own environment.

    Args:
        peer: its requirements are ``peers/<peer>.txt``.
        cache: environments lie in its folder ``peers``.
        pythons: interpreters to try in turn instead of this one's.

    Raises:
        NotInstalled: the environment cannot be made, with what the installer said.
    """
    wanted = (_PEERS / f"{peer}.txt").read_text()
    folder = cache / "peers" / peer
    python = folder / "bin" / "python"
    digest = hashlib.sha256(wanted.encode()).hexdigest()
    made = folder / _MADE
    if made.exists() and json.loads(made.read_text())["requirements"] == digest:
        return python
    print(f"  making {folder} ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    base = next((one for one in pythons if Path(one).exists()), sys.executable)
    _uv("venv", "--quiet", "--python", base, str(folder))
    _uv("pip", "install", "--quiet", "--python", str(python), "-r", str(_PEERS / f"{peer}.txt"))
    made.write_text(json.dumps({"requirements": digest}))
    return python


def versions(python: Path) -> dict[str, str]:
    """The interpreter's version and those of what matters to speed, where it is installed."""
    names = (
        "torchyard", "onnxruntime", "numpy", "uvloop", "httptools", "orjson", "msgspec", "uvicorn",
        "pydantic", "fastapi", "mosec", "litserve", "bentoml", "mlserver", "kserve", "ray",
        "torchserve", "torch", "nvidia-pytriton",
    )  # fmt: skip
    script = (
        "import importlib.metadata as m, json, platform, sys\n"
        "found = {'python': platform.python_version()}\n"
        "for name in sys.argv[1:]:\n"
        "    try: found[name] = m.version(name)\n"
        "    except m.PackageNotFoundError: pass\n"
        "print(json.dumps(found))"
    )
    told = subprocess.run(
        [str(python), "-c", script, *names], check=True, capture_output=True, text=True, timeout=60
    )
    found: dict[str, str] = json.loads(told.stdout)
    return found


def _uv(*arguments: str) -> None:
    """Run uv, which the development environment has. It does not read pip's find-links itself."""
    uv = Path(sys.executable).parent / "uv"
    links = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.find-links"],
        check=False, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    surroundings = {**os.environ, "UV_FIND_LINKS": links or os.environ.get("PIP_FIND_LINKS", "")}
    try:
        done = subprocess.run(
            [str(uv) if uv.exists() else "uv", *arguments],
            check=False, capture_output=True, text=True, timeout=_TIMEOUT_S, env=surroundings,
        )  # fmt: skip
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"uv {arguments[0]}: {error}") from error
    if done.returncode:
        raise NotInstalled(f"uv {arguments[0]}: {' '.join(done.stderr.split())[:500]}")
