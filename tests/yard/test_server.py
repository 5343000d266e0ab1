"""A whole MLflow server on a project's database shows the runs that torchyard recorded.

MLflow's server has requirements that torchyard does not share: it is installed in an environment of
its own, at the version that torchyard writes with.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.tracked import finish, recording, workspace_in
from torchyard.core.errors import BadModel
from torchyard.records.training import Epoch
from torchyard.train.pictures import draw_curve
from torchyard.yard.runs import RunDetails, find_run, list_runs
from torchyard.yard.workspace import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).parent / "uv"


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole of MLflow; the test is skipped where it cannot be installed."""
    pins = (ROOT / "constraints.txt").read_text()
    version = re.search(r"^mlflow-skinny==(.+)$", pins, re.MULTILINE)
    assert version is not None
    folder = tmp_path_factory.mktemp("mlflow") / "venv"
    python = folder / "bin" / "python"
    asked = [sys.executable, "-m", "pip", "config", "get", "global.find-links"]
    links = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    environment = {**os.environ, "UV_FIND_LINKS": links or os.environ.get("PIP_FIND_LINKS", "")}
    for words in (
        ["venv", "--python", sys.executable, str(folder)],
        ["pip", "install", "--python", str(python), f"mlflow=={version[1]}"],
    ):
        done = subprocess.run(
            [UV, *words], capture_output=True, text=True, check=False, env=environment
        )
        if done.returncode:
            pytest.skip(f"MLflow cannot be installed here: {done.stderr}")
    return folder / "bin" / "mlflow"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A project with a finished run and a failed one."""
    workspace = workspace_in(tmp_path_factory.mktemp("project"))
    with recording(workspace, parameters={"seed": 7, "optimizer": "adamw"}) as active:
        finish(active, 0.9, 0.6, 0.5)
        curve = [Epoch(number=1, train_loss=0.8, validation_loss=0.9, seconds=1.0)]
        active.content("pictures/curve.png", draw_curve(curve, best_epoch=1))
        active.reads("data", digest="d1", source="customers.csv", part="training")
    refusal = BadModel(where="epoch 1", found="nan", expected="a number", remedy="Lower it.")
    with recording(workspace, key="other", ends=refusal):
        pass
    return workspace


@pytest.fixture(scope="module")
def server(
    mlflow: Path, workspace: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """Its REST API, on this machine alone."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("log") / "server.txt"
    with log.open("w") as file:
        process = subprocess.Popen(
            [
                mlflow, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
                "--backend-store-uri", workspace.tracking_url,
                "--artifacts-destination", workspace.tracking_files.as_uri(),
            ],
            cwd=log.parent, stdout=file, stderr=file, start_new_session=True,
            env={name: value for name, value in os.environ.items() if "PYTHON" not in name},
        )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            while not is_up(client):
                assert process.poll() is None, log.read_text()
                time.sleep(0.2)
            yield client
    finally:
        os.killpg(process.pid, 15)
        process.wait(60)


def is_up(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def ask(server: httpx.Client, what: str, **how: Any) -> Any:
    answer = server.get(f"/api/2.0/mlflow/{what}", params=how)
    assert answer.status_code == 200, answer.text
    return answer.json()


def as_numbers(entries: list[dict[str, Any]]) -> dict[str, float]:
    return {one["key"]: one["value"] for one in entries}


def all_files(server: httpx.Client, run: str, folder: str = "") -> list[str]:
    listed = ask(server, "artifacts/list", run_id=run, path=folder).get("files", [])
    found: list[str] = []
    for one in listed:
        found += all_files(server, run, one["path"]) if one["is_dir"] else [one["path"]]
    return sorted(found)


def details(workspace: Workspace) -> list[RunDetails]:
    return [find_run(workspace, one.run) for one in list_runs(workspace)]


def test_the_server_shows_the_same_runs_as_torchyard(
    server: httpx.Client, workspace: Workspace
) -> None:
    experiment = ask(server, "experiments/get-by-name", experiment_name="demo")["experiment"]
    answer = server.post(
        "/api/2.0/mlflow/runs/search",
        json={
            "experiment_ids": [experiment["experiment_id"]],
            "order_by": ["attributes.start_time DESC"],
        },
    )
    shown = answer.json()["runs"]
    ours = details(workspace)
    assert [one["info"]["run_id"] for one in shown] == [one.run.run for one in ours]
    assert [one["info"]["status"] for one in shown] == ["FAILED", "FINISHED"]
    assert [one.run.status for one in ours] == ["failed", "finished"]
    for their, our in zip(shown, ours, strict=True):
        assert {p["key"]: p["value"] for p in their["data"]["params"]} == our.parameters
        tags = {tag["key"]: tag["value"] for tag in their["data"]["tags"]}
        assert tags["torchyard.dataset"] == our.run.dataset
        assert tags.get("torchyard.weights") == our.run.weights_sha256
        assert tags.get("error") == (our.error["text"] if our.error else None)
    numbers = as_numbers(shown[1]["data"]["metrics"])
    assert numbers.items() >= ours[1].measured.items()
    assert numbers["best_validation_loss"] == ours[1].run.metrics["validation_loss"] == 0.5
    (given,) = shown[1]["inputs"]["dataset_inputs"]
    assert (given["dataset"]["name"], given["dataset"]["digest"]) == ("data", "d1")


def test_the_server_shows_the_same_curves_and_files(
    server: httpx.Client, workspace: Workspace
) -> None:
    for our in details(workspace):
        run = our.run.run
        for name, curve in our.curves.items():
            history = ask(server, "metrics/get-history", run_id=run, metric_key=name)
            points = [(one.get("step", 0), one["value"]) for one in history.get("metrics", [])]
            assert sorted(points) == list(curve)
        assert all_files(server, run) == list(our.files)
        for name in our.files:
            got = server.get("/get-artifact", params={"run_uuid": run, "path": name})
            kept = workspace.tracking_files / run / "artifacts" / name
            assert got.content == kept.read_bytes(), name
