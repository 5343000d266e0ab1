"""One server and one model: start, check, load at every concurrency, end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving import bodies, environments, processes, wrk
from benchmarks.serving.asking import Asker, Questions, Sampler, Told, check
from benchmarks.serving.models import BenchModel
from benchmarks.serving.servers import RAW, Server, Way

_PEERS = Path(__file__).resolve().parent / "peers"
_UNCHECKED = "echo"  # it answers the same to all
_WARM_S = 1.0
_WARM_CONNECTIONS = 16
_RAW_S = 1.5
_LOGS = ("predictions", "labels")


@dataclass(frozen=True)
class Plan:
    """What a run was asked for, and where it puts things."""

    cache: Path
    scratch: Path
    ways: tuple[str, ...]
    seconds: float
    concurrency: tuple[int, ...]
    torchyard_options: tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """What one way came to in one round: ``loads`` by connections, or why there are none.

    A load comes with what the answers sampled beside it told. ``raw`` is of ONNX Runtime alone.
    """

    way: str
    server: str
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    skipped: str | None = None
    start_s: float | None = None
    request_bytes: int = 0
    checked: Told | None = None
    loads: Mapping[int, tuple[wrk.Load, Told]] | None = None
    raw: Mapping[str, Any] | None = None


def tellings(one: Measured) -> list[Told]:
    """Whether answers were right: those before the loads, and those beside them."""
    sampled = [told for _, told in (one.loads or {}).values()]
    return [*sampled, *([one.checked] if one.checked else [])]


def measure_server(plan: Plan, name: str, server: Server, model: BenchModel) -> list[Measured]:
    """Start a server and load it in each way that the plan asks for."""
    ways = {way: how for way, how in server.ways.items() if way in plan.ways}
    settings = server.settings_for(model.name)
    if not server.app:
        settings["command"] = " ".join(["torchyard", "serve", *plan.torchyard_options])
    versions: dict[str, str] = {}
    found: list[Measured] = []
    port = processes.free_port()
    try:
        python = _python(plan, server)
        versions = environments.versions(python)
        with processes.running(
            _command(plan, server, python, port),
            env=_orders(model, port, settings),
            folder=_working_folder(plan, server, model),
            log=plan.scratch / f"{name}.log",
            is_ready=_first_answer(port, next(iter(server.ways.values())), model),
            timeout_s=server.start_s,
        ) as start_s:
            for way, how in ways.items():
                told = _measure_way(plan, port, way, how, model)
                found.append(Measured(way, name, settings, versions, start_s=start_s, **told))
    except (environments.NotInstalled, processes.NotStarted, wrk.NoResult) as error:
        found += [
            Measured(way, name, settings, versions, skipped=str(error))
            for way in list(ways)[len(found) :]
        ]
    return found


def measure_raw(model: BenchModel) -> list[Measured]:
    """ONNX Runtime in process: the time of a row, and rows a second at most."""
    settings: dict[str, object] = {"rows": str(model.folder / "rows.json"), "seconds": _RAW_S}
    done = subprocess.run(
        [sys.executable, str(_PEERS / "raw_app.py")], check=True, capture_output=True, text=True,
        env={**os.environ, **_orders(model, 0, settings)}, timeout=300,
    )  # fmt: skip
    versions = environments.versions(Path(sys.executable))
    told = json.loads(done.stdout)
    return [Measured(RAW, RAW, {"seconds": _RAW_S}, versions, raw=told)]


def _measure_way(plan: Plan, port: int, way: str, how: Way, model: BenchModel) -> dict[str, Any]:
    requests = _requests(how, model)
    questions = None if way == _UNCHECKED else Questions(how.style, requests, model.answers)
    file = wrk.write_requests(requests, plan.scratch / f"{way}.requests")
    told = {"request_bytes": round(sum(map(len, requests)) / len(requests))}
    checked = check(port, questions) if questions else None
    if checked and not checked.right:
        return {
            **told,
            "checked": checked,
            "skipped": f"no right answer: {checked.first_faults[0]}",
        }
    wrk.run_wrk(port, file, connections=_WARM_CONNECTIONS, seconds=_WARM_S)
    loads = {
        connections: _load(plan, port, file, connections, questions)
        for connections in plan.concurrency
    }
    return {**told, "checked": checked, "loads": loads}


def _load(
    plan: Plan, port: int, file: Path, connections: int, questions: Questions | None
) -> tuple[wrk.Load, Told]:
    """A load with samples of answers; those at one connection come after it, to leave it alone."""
    if questions is None:
        return wrk.run_wrk(port, file, connections=connections, seconds=plan.seconds), Told()
    if connections > 1:
        with Sampler(port, questions) as sampler:
            load = wrk.run_wrk(port, file, connections=connections, seconds=plan.seconds)
        return load, sampler.told
    load = wrk.run_wrk(port, file, connections=connections, seconds=plan.seconds)
    asker, told = Asker(port, questions), Told()
    for place in range(0, len(questions.answers), 32):
        told.note(asker.fault(place))
    asker.close()
    return load, told


def _requests(how: Way, model: BenchModel) -> list[bytes]:
    path = how.path.format(model=model.name)
    return [bodies.request(how.style, path, row) for row in model.rows]


def _python(plan: Plan, server: Server) -> Path:
    why = server.missing()
    if why:
        raise environments.NotInstalled(why)
    if not server.environment:
        return Path(sys.executable)
    return environments.environment(server.environment, plan.cache, pythons=server.pythons)


def _command(plan: Plan, server: Server, python: Path, port: int) -> list[str]:
    if server.app:
        return [str(python), str(_PEERS / server.app)]
    return [
        str(python.parent / "torchyard"), "serve", "--port", str(port), *plan.torchyard_options
    ]  # fmt: skip


def _working_folder(plan: Plan, server: Server, model: BenchModel) -> Path:
    """A project for torchyard, without the logs of the last run; an empty folder for the others."""
    if server.app:
        folder = plan.scratch / "work"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder
    for name in _LOGS:
        shutil.rmtree(model.folder / ".torchyard" / name, ignore_errors=True)
    return model.folder


def _orders(model: BenchModel, port: int, settings: Mapping[str, object]) -> dict[str, str]:
    """What ``peers/onnx_model.py`` reads."""
    return {
        "BENCH_MODEL": str(model.file),
        "BENCH_NAME": model.name,
        "BENCH_PORT": str(port),
        "BENCH_SETTINGS": json.dumps(settings),
    }


def _first_answer(port: int, how: Way, model: BenchModel) -> Callable[[], bool]:
    """Asks for one row each time that it is called."""
    first = Questions(how.style, _requests(how, model)[:1], model.answers[:1])

    def is_ready() -> bool:
        asker = Asker(port, first)
        try:
            return asker.status() == 200
        finally:
            asker.close()

    return is_ready
