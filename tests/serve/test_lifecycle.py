"""A server's life: starting, swapping, losing a worker, stopping; and never losing a request."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.serve.clients import ROW, RawClient, post, predict
from tests.serve.load import Load
from tests.serve.running import MODEL, PATIENCE_S, Place, serving, start, wait_for

ONE_ROW = [{**ROW, "distance": 1000.0}]


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_starting_and_stopping_leave_no_trace(place: Place) -> None:
    release = place.seal()
    place.post("deploy", release)
    with serving(place, workers=2) as server:
        port = server.state.port
        pids = [server.state.pid, *(worker.pid for worker in place.workers())]
        assert server.lines == [f"serving demo at http://127.0.0.1:{port} with 2 workers"]
        assert server.state.pid == server.process.pid
        assert [(one.worker, one.ready, one.applied_event) for one in place.workers()] == [
            (0, True, 1),
            (1, True, 1),
        ]
        assert {one.releases for one in place.workers()} == {(release.id,)}
        assert server.predict(ONE_ROW).status_code == 200
        assert server.stop(signal.SIGINT) == 0
    assert not [pid for pid in pids if is_alive(pid)]
    assert [path.name for path in place.state.iterdir()] == ["server.lock"]
    assert len(list((place.folder / "predictions" / MODEL).iterdir())) == 1


def test_nothing_deployed_is_ready_and_says_what_to_do(place: Place) -> None:
    with serving(place) as server:
        assert httpx.get(f"{server.url}/health/ready").status_code == 200
        refused = server.predict(ONE_ROW)
        assert refused.status_code == 404
        assert refused.json()["remedy"] == "Deploy one: torchyard deploy."
        place.follow(place.post("deploy", place.seal()))
        assert server.predict(ONE_ROW).status_code == 200


def test_deploy_canary_and_rollback_under_load_lose_nothing(place: Place) -> None:
    old, new = place.seal("old"), place.seal("new")
    place.post("deploy", old)
    with serving(place) as server:
        load = Load(server)

        def change() -> None:
            for action, release, weight in (
                ("canary", new, 0.5),
                ("promote", new, 1.0),
                ("rollback", old, 1.0),
                ("deploy", new, 1.0),
            ):
                place.follow(place.post(action, release, weight))
                time.sleep(0.05)

        asyncio.run(load.during(change))
        assert load.lost == []
        assert load.releases.keys() == {old.id, new.id}
        assert place.workers()[0].releases == (new.id,)
        assert server.predict(ONE_ROW).json()["release"] == new.id


@pytest.mark.slow
def test_a_canary_is_sticky_by_key_header_and_id(place: Place) -> None:
    old, new = place.seal("old"), place.seal("new")
    place.post("deploy", old)
    place.post("canary", new, 0.5)
    with serving(place) as server, httpx.Client(base_url=server.url) as client:

        def release_of(name: str, how: str) -> str:
            body: dict[str, object] = {"rows": ONE_ROW}
            headers = {}
            if how == "key":
                body["key"] = name
            elif how == "header":
                headers["X-Routing-Key"] = name
            else:
                body["ids"] = [name]
            found = client.post(f"/v1/models/{MODEL}/predict", json=body, headers=headers)
            return str(found.json()["release"])

        names = [f"user-{number}" for number in range(40)]
        by_key = {name: release_of(name, "key") for name in names}
        assert set(by_key.values()) == {old.id, new.id}
        assert {name: release_of(name, "header") for name in names} == by_key
        assert {name: release_of(name, "id") for name in names} == by_key
        spoiled = client.post(f"/v1/models/{MODEL}/predict", content=b'{"rows": 3, "key": []}')
        assert spoiled.status_code == 422


@pytest.mark.slow
def test_a_release_that_was_tampered_with_is_not_served(place: Place) -> None:
    old, new = place.seal("old"), place.seal("new")
    place.post("deploy", old)
    card = new.folder / "card.md"
    card.write_text(card.read_text() + "more")
    with serving(place) as server:
        place.post("deploy", new)
        wait_for(lambda: any(worker.problem for worker in place.workers()), "a problem")
        (worker,) = place.workers()
        assert worker.ready
        assert worker.applied_event == 1
        assert worker.releases == (old.id,)
        assert "card.md" in str(worker.problem)
        assert server.predict(ONE_ROW).json()["release"] == old.id


@pytest.mark.slow
def test_not_ready_until_the_first_release_is_served(place: Place) -> None:
    release = place.seal()
    hidden = release.folder.rename(place.folder / "hidden")
    place.post("deploy", release)
    with serving(place, until="worker 0: ") as server:
        health = httpx.get(f"{server.url}/health/ready")
        refused = server.predict(ONE_ROW)
        assert (health.status_code, refused.status_code) == (503, 503)
        assert health.headers["retry-after"] == "1"
        assert refused.json()["error"] == "not_ready"
        assert httpx.get(f"{server.url}/health/live").status_code == 200
        hidden.rename(release.folder)
        place.follow(1)
        assert server.predict(ONE_ROW).status_code == 200


def test_a_killed_worker_is_replaced_and_the_service_goes_on(place: Place) -> None:
    place.post("deploy", place.seal())
    with serving(place, workers=2) as server:
        before = {worker.worker: worker.pid for worker in place.workers()}
        server.predict(ONE_ROW)
        os.kill(before[0], signal.SIGKILL)
        for _ in range(20):
            assert server.predict(ONE_ROW).status_code == 200

        def is_back() -> bool:
            workers = {worker.worker: worker for worker in place.workers()}
            return workers[0].pid != before[0] and workers[0].ready

        wait_for(is_back, "a new worker 0")
        assert {worker.worker: worker.pid for worker in place.workers()}[1] == before[1]
        assert server.process.stdout is not None
        line = server.process.stdout.readline()
        assert line == "worker 0: killed by SIGKILL; restarting\n"


def test_stopping_under_load_answers_every_request(place: Place) -> None:
    place.post("deploy", place.seal())
    with serving(place, workers=2) as server:
        load = Load(server, clients=16)

        def stop() -> None:
            server.process.terminate()
            time.sleep(0.5)

        asyncio.run(load.during(stop))
        assert load.lost == []
        assert server.process.wait(PATIENCE_S) == 0
    logged = sum(
        len(path.read_bytes().splitlines())
        for path in (place.folder / "predictions" / MODEL).iterdir()
    )
    assert logged == load.releases.total()


@pytest.mark.slow
def test_a_request_under_way_is_finished_when_stopping(place: Place) -> None:
    place.post("deploy", place.seal())
    request = post(predict(1000))
    with serving(place) as server, RawClient(server.address) as client:
        client.send(request[:-10])
        time.sleep(0.1)
        server.process.terminate()
        time.sleep(0.6)
        found = client.send(request[-10:]).read()
        assert (found.status, found.headers["connection"]) == (200, "close")
        assert server.process.wait(PATIENCE_S) == 0


@pytest.mark.slow
def test_workers_end_when_their_supervisor_is_killed(place: Place) -> None:
    with serving(place, workers=2) as server:
        pids = [worker.pid for worker in place.workers()]
        server.process.kill()
        wait_for(lambda: not any(map(is_alive, pids)), "the end of the workers")
    with serving(place) as server:  # what the dead one left behind is in nobody's way
        assert len(place.workers()) == 1


def outcome(process: subprocess.Popen[str]) -> tuple[int, str]:
    with process:
        output, _ = process.communicate(timeout=PATIENCE_S)
    return process.returncode, output


def test_a_second_server_on_the_same_state_is_refused(place: Place) -> None:
    with serving(place) as server:
        status, output = outcome(start(place))
        pid, port = server.state.pid, server.state.port
        assert status == 2
        assert f"{place.state}: found a running server, process {pid}, port {port}" in output
        assert "expected no other server. Stop it first" in output
        assert server.predict(ONE_ROW).status_code == 404


def test_a_taken_port_is_refused(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, output = outcome(start(place, port=port))

    assert status == 2
    assert f"address 127.0.0.1, port {port}: found Address already in use" in output
    assert "Choose another with --port" in output


def test_workers_that_die_at_their_start_are_given_up(place: Place) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from torchyard.core.errors import YardError\n"
        "from torchyard.serve import Settings, supervise\n"
        "sys.executable, place = '/bin/false', Path(sys.argv[1])\n"
        "try:\n"
        "    supervise(Settings(releases=place, channels_url='', trusted_keys=place, labels=place,"
        "        predictions=place, state=place, port=0, workers=1), print)\n"
        "except YardError as error:\n"
        "    print(error)\n"
        "    sys.exit(error.exit_status)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(place.folder)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.count("worker 0: exited with status 1; restarting") == 4
    assert "worker 0: found exited with status 1, 5 times in a row at its start" in done.stdout
    assert [path.name for path in place.folder.iterdir()] == ["server.lock"]


def test_a_worker_needs_a_supervisor() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "torchyard.serve.worker"],
        input="",
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 2
    assert "Start the server with: torchyard serve" in done.stderr


def test_a_worker_imports_no_training_library() -> None:
    program = (
        "import sys, torchyard.serve.worker, onnxruntime, torchyard.release, uvloop\n"
        "print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))\n"
        "print(' '.join(sorted(name for name in sys.modules if name.startswith('torchyard.'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    libraries, rooms = (set(line.split()) for line in done.stdout.splitlines())
    heavy = {"torch", "mlflow", "lightning", "lightning_fabric", "polars", "scipy", "sklearn"}
    assert {"numpy", "onnxruntime", "msgspec"} <= libraries
    assert not heavy & libraries
    allowed = {"core", "records", "release", "runtimes", "features", "serve", "version"}
    assert {re.split(r"\.", name)[1] for name in rooms} <= allowed
