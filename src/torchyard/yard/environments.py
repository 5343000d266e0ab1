"""The environment of a run as code: what differs from it, building it again, and running in it.

An environment is built by uv from a run's lock, the pinned names and versions, into
``environments/<digest of the lock>/`` of the project's state, once. torchyard itself is on no
index: the source that is running now is lent to it, and must be of the version that was recorded.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from torchyard.core.digest import digest_json, short
from torchyard.core.errors import NotReady, YardError
from torchyard.core.files import locked, write_atomically
from torchyard.core.record import Json
from torchyard.core.wording import listed
from torchyard.records.reproduction import Changed, EnvironmentDifference
from torchyard.records.training import Environment
from torchyard.version import __version__
from torchyard.yard.stages import Progress

OWN = "torchyard"
_READY = "ready.json"
_HERE = "or train in the environment that is here, and be told what differs: --here"
# pip's settings that decide where packages come from, as uv wants them
_SETTINGS = {
    "find-links": "UV_FIND_LINKS", "index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX",
}  # fmt: skip
_SHOWN_LINES = 8


@dataclass(frozen=True)
class Lock:
    """What an environment is made of. ``packages`` are versions by name, torchyard not among them.

    Local parts of versions are left out, for no index has ``2.9.0+cpu`` under that name.
    """

    python: str
    packages: Mapping[str, str]

    @classmethod
    def of(cls, environment: Environment) -> Lock:
        """The lock of an environment."""
        packages = {
            name: version.partition("+")[0]
            for name, version in environment.packages.items()
            if name != OWN
        }
        return cls(environment.python, packages)

    @property
    def digest(self) -> str:
        """What the environment's folder is named by."""
        return short(digest_json({"python": self.python, "packages": dict(self.packages)}))

    @property
    def requirements(self) -> str:
        r"""One name and version a line.

        Example:
            >>> Lock("3.11.7", {"torch": "2.9.0", "numpy": "2.3.4"}).requirements
            'numpy==2.3.4\ntorch==2.9.0\n'
        """
        return "".join(f"{name}=={version}\n" for name, version in sorted(self.packages.items()))


def environment_difference(recorded: Environment, now: Environment) -> EnvironmentDifference:
    """What differs between two environments, the source of the project aside."""
    hardware = {name: (value, now.hardware[name]) for name, value in recorded.hardware.items()}
    names = sorted(recorded.packages.keys() | now.packages.keys())
    packages = {name: (recorded.packages.get(name), now.packages.get(name)) for name in names}
    # a source that is lent to an environment is no installed package
    packages[OWN] = (recorded.packages.get(OWN, __version__), __version__)
    python = _differing({"": (recorded.python, now.python)})
    return EnvironmentDifference(
        python=python.get(""), packages=_differing(packages), hardware=_differing(hardware)
    )


def moved(began: Environment, now: Environment) -> str:
    """What a run that goes on elsewhere than it began finds there, in words; empty for the same.

    Threads are not among it: a run goes on with as many as it began with.
    """
    found = environment_difference(began, now)
    python = {} if found.python is None else {"Python": found.python}
    hardware = {name: one for name, one in found.hardware.items() if name != "threads"}
    changes = {**python, **hardware, **found.packages}
    said = listed([f"{name} {one.now} instead of {one.recorded}" for name, one in changes.items()])
    return f"goes on elsewhere than it began, perhaps to other bits: {said}" if changes else ""


def check_own_version(recorded: Environment) -> None:
    """Refuse to stand in for another version of torchyard.

    Raises:
        NotReady: the run was recorded by one.
    """
    version = recorded.packages.get(OWN, __version__)
    if version != __version__:
        raise NotReady(
            where="torchyard",
            found=f"version {__version__}",
            expected=f"version {version}, which recorded the run",
            remedy=f"Install it: pip install torchyard=={version}; {_HERE}",
        )


def find_uv() -> tuple[str, ...]:
    """How to call uv: as a module of this Python, or from the path.

    Raises:
        NotReady: there is none.
    """
    if importlib.util.find_spec("uv") is not None:
        return (sys.executable, "-m", "uv")
    found = shutil.which("uv")
    if found is None:
        raise NotReady(
            where="the environment of the run",
            found="no uv, which builds environments",
            expected="uv beside this Python or on the path",
            remedy=f"Install it: pip install uv; {_HERE}",
        )
    return (found,)


def is_built(lock: Lock, folder: Path) -> bool:
    """Whether a folder of environments holds that of a lock already, whole."""
    return (folder / lock.digest / _READY).exists()


def build_environment(
    lock: Lock, folder: Path, *, uv: Sequence[str], settings: Mapping[str, str] | None = None
) -> Path:
    """The Python of an environment that holds what a lock says, built unless it is there.

    Args:
        lock: Python's version, and every package.
        folder: holds the environments of a project, each by its lock's digest.
        uv: how to call it.
        settings: variables that tell uv where packages come from; those of pip when left out.

    Raises:
        NotReady: that Python can be neither found nor fetched, or a package cannot be installed.
    """
    target = folder / lock.digest
    python = target / "bin" / "python"
    with locked(folder / f"{lock.digest}.lock"):
        if is_built(lock, folder):
            return python
        shutil.rmtree(target, ignore_errors=True)  # what a killed one left
        folder.mkdir(parents=True, exist_ok=True)
        variables = {**(_pip_settings() if settings is None else settings), **os.environ}
        here = lock.python == sys.version.split()[0]
        _call(
            [*uv, "venv", "--quiet", "--python", sys.executable if here else lock.python,
             str(target)],
            variables, expected=f"Python {lock.python}, found or fetched by uv",
            remedy=f"Install it, for example with: uv python install {lock.python}; {_HERE}",
        )  # fmt: skip
        requirements = target / "requirements.txt"
        requirements.write_text(lock.requirements)
        _call(
            [*uv, "pip", "install", "--quiet", "--no-deps", "--python", str(python),
             "--requirement", str(requirements)],
            variables, expected=f"the {len(lock.packages)} packages of the run's lock",
            remedy=f"Make them available to uv (UV_FIND_LINKS, UV_INDEX); {_HERE}",
        )  # fmt: skip
        content = json.dumps({"python": lock.python, "packages": dict(lock.packages)}, indent=2)
        write_atomically(target / _READY, content.encode())
    return python


def run_inside(python: Path, arguments: Sequence[str], *, progress: Progress) -> Json:
    """Run a command of torchyard by another Python, and return what it answers.

    Args:
        python: of an environment that holds what torchyard needs.
        arguments: of the command line, with ``--json`` among them.
        progress: told what the command tells.

    Raises:
        YardError: the command refused, with its refusal.
        NotReady: it ended without an answer.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as answer:
        # this source alone, and not what is installed beside it
        (Path(folder) / OWN).symlink_to(Path(__file__).resolve().parents[1])
        variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        with _handing_on_signals() as starting:
            process = subprocess.Popen(
                [str(python), "-P", "-m", OWN, *arguments],
                stdout=answer, stderr=subprocess.PIPE, text=True, errors="replace",
                env={**variables, "PYTHONPATH": folder, "PYTHONNOUSERSITE": "1"},
            )  # fmt: skip
            starting(process)
            assert process.stderr is not None
            with process.stderr as lines:
                said = _retold(lines, progress)
            process.wait()
        answer.seek(0)
        return _answered(answer.read(), said, process.returncode)


def _differing(pairs: Mapping[str, tuple[str | None, str | None]]) -> dict[str, Changed]:
    return {
        name: Changed(recorded=recorded, now=now)
        for name, (recorded, now) in pairs.items()
        if recorded != now
    }


def _pip_settings() -> dict[str, str]:
    """Where pip takes packages from, said to uv, which does not read pip's settings."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = {}
    # such as global.find-links='wheels more-wheels'; the environment's are the last word
    for line in sorted(done.stdout.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        variable = _SETTINGS.get(name.rpartition(".")[2])
        if variable is not None:
            with contextlib.suppress(ValueError, SyntaxError):
                words = str(ast.literal_eval(value)).split()
                found[variable] = ("," if variable == "UV_FIND_LINKS" else " ").join(words)
    return {**found, "UV_INDEX_STRATEGY": "unsafe-best-match"} if found else {}


def _call(
    command: Sequence[str], variables: Mapping[str, str], *, expected: str, remedy: str
) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(variables))
    if done.returncode:
        raise NotReady(
            where="the environment of the run",
            found=_last_lines(done.stderr.splitlines()) or f"uv ended with {done.returncode}",
            expected=expected,
            remedy=remedy,
        )


def _retold(lines: IO[str], progress: Progress) -> list[str]:
    """Tell every line on as it comes; the last ones are returned."""
    kept: deque[str] = deque(maxlen=_SHOWN_LINES)
    for line in lines:
        if line.strip():
            progress.note(line.rstrip())
            kept.append(line)
    return list(kept)


def _answered(text: str, said: Sequence[str], status: int) -> Json:
    try:
        answer = json.loads(text.splitlines()[-1])
    except (ValueError, IndexError):
        raise NotReady(
            where="training inside the environment of the run",
            found=f"exit status {status}: {_last_lines(said)}",
            expected="its answer",
            remedy=f"Look at what it said; {_HERE}",
        ) from None
    if "error" in answer:
        raise YardError.of_dict(answer)
    return answer


def _last_lines(lines: Sequence[str]) -> str:
    return " ".join(" ".join(lines[-_SHOWN_LINES:]).split())


@contextlib.contextmanager
def _handing_on_signals() -> Iterator[Callable[[subprocess.Popen[str]], None]]:
    """Whatever ends this process ends that one too, which then keeps where it stands."""
    heard: list[int] = []
    started: list[subprocess.Popen[str]] = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        for process in started:
            process.send_signal(number)

    def starting(process: subprocess.Popen[str]) -> None:
        started.append(process)
        for number in heard:  # before it was there
            process.send_signal(number)

    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, hear) if is_main else None
    try:
        yield starting
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, before)
        for process in started:
            if process.poll() is None:
                process.terminate()
                process.wait()
