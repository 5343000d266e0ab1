"""One whole life of a small project, as a person and their scripts live it: by the command line.

What makes, ships and serves the project and what is refused at the end are processes of their own,
as in a shell; the commands between them run in this one, by the same entry.
"""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import httpx
import pytest

from torchyard.cli.main import run

TORCHYARD = str(Path(sys.executable).parent / "torchyard")
ROW = {
    "joined": "2025-03-01T12:00:00",
    "plan": "basic",
    "region": "north",
    "monthly_fee": 31.5,
    "calls_to_support": 4,
    "satisfaction": 2.5,
}


@dataclass(frozen=True)
class Said:
    """What a command wrote."""

    stdout: str
    stderr: str

    @property
    def result(self) -> Any:
        """What it said to machines."""
        return json.loads(self.stdout.splitlines()[-1])


@dataclass(frozen=True)
class Project:
    folder: Path

    def shell(self, *words: str, status: int = 0) -> Said:
        """A command in a process of its own."""
        done = subprocess.run(
            [TORCHYARD, *words], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return Said(done.stdout, done.stderr)

    def run(self, *words: str, status: int = 0) -> Said:
        """A command in this process."""
        out, err = io.StringIO(), io.StringIO()
        with chdir(self.folder), redirect_stdout(out), redirect_stderr(err), catch_warnings():
            simplefilter("ignore")  # MLflow warns of its own libraries
            left = run([*words])
        assert left == status, err.getvalue()
        return Said(out.getvalue(), err.getvalue())

    def result(self, *words: str) -> Any:
        return self.run(*words, "--json").result

    def change(self, old: str, new: str) -> None:
        path = self.folder / "project.py"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    @contextmanager
    def serving(self) -> Iterator[httpx.Client]:
        server = subprocess.Popen(
            [TORCHYARD, "serve", "--port", "0", "--workers", "1"],
            cwd=self.folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stderr is not None
            line = next(line for line in server.stderr if line.startswith("serving "))
            address = next(word for word in line.split() if word.startswith("http://"))
            with httpx.Client(base_url=address, timeout=30) as client:
                while client.get("/health/ready").status_code != 200:
                    time.sleep(0.05)
                yield client
        finally:
            server.send_signal(signal.SIGTERM)
            with server:
                assert server.wait(timeout=30) == 0


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Any]:
    """A project made by ``init`` and shipped once."""
    folder = tmp_path_factory.mktemp("life")
    subprocess.run([TORCHYARD, "init", "churn"], cwd=folder, check=True, capture_output=True)
    project = Project(folder / "churn")
    project.change("p99_ms=20", "p99_ms=10_000")  # a busy machine may miss the objective
    return project, project.shell("ship", "--json").result


def predict(client: httpx.Client, **changes: Any) -> httpx.Response:
    return client.post("/v1/models/churn/predict", json={"rows": [{**ROW, **changes}]})


def test_a_project_goes_from_init_to_watched_traffic(shipped: tuple[Project, Any]) -> None:
    project, first = shipped
    assert first["release"].startswith("sha256:")
    assert (first["version"], first["verdict"]) == (1, "pass")
    assert first["metrics"]["auroc"]["low"] > 0.7

    state = project.result("status")["models"]["churn"]
    assert state["champion"] == first["release"]
    assert state["routes"] == {first["release"]: 1.0}

    again = project.run("ship", "--json")
    assert again.result["release"] == first["release"]
    assert again.stderr.count("unchanged") == 6

    second = project.result("ship", "--set", "seed=2")
    assert second["version"] == 2
    assert second["release"] != first["release"]
    assert project.result("status")["models"]["churn"]["champion"] == first["release"]

    with project.serving() as client:
        answer = predict(client).json()
        assert answer["release"] == first["release"]
        (prediction,) = answer["predictions"]
        assert set(prediction) >= {"id", "label", "probabilities"}
        assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-6)
        refused = predict(client, region="east")
        assert refused.status_code == 422
        assert refused.json()["where"] == "$.rows[0].region"

        canary = project.result("deploy", "--canary", "0.5")
        assert canary["routes"] == {first["release"]: 0.5, second["release"]: 0.5}
        assert len(canary["workers"]) == 1
        served = {predict(client).json()["release"] for _ in range(40)}
        assert served == {first["release"], second["release"]}

        assert project.result("promote")["champion"] == second["release"]
        assert {predict(client).json()["release"] for _ in range(10)} == {second["release"]}
        assert project.result("rollback")["champion"] == first["release"]
        assert {predict(client).json()["release"] for _ in range(10)} == {first["release"]}

        labels = [{"id": prediction["id"], "label": True}]
        accepted = client.post("/v1/models/churn/labels", json={"labels": labels})
        assert accepted.json() == {"accepted": 1}

    report = project.result("monitor", "--every", "1000")
    assert report["rows"] == 61
    assert report["reference"] == first["release"]
    assert sum(window["labelled"] for window in report["windows"]) == 1
    assert (project.folder / ".torchyard" / "reports" / "churn.html").exists()

    listed = project.result("releases")["releases"]
    assert [item["release"] for item in listed] == [first["release"], second["release"]]
    assert "churn" in project.result("card")["card"]
    versions = project.result("data", "log")["versions"]
    assert [version["rows"] for version in versions] == [6000]


def test_a_missed_gate_stops_with_status_one_and_says_which_number(
    shipped: tuple[Project, Any],
) -> None:
    project, first = shipped
    project.change("at_least=0.70", "at_least=0.999")
    try:
        refused = project.run("ship", status=1)
    finally:
        project.change("at_least=0.999", "at_least=0.70")
    said = " ".join(refused.stderr.split())
    assert "auroc at least 0.999" in said
    assert "misses at least 0.999 by" in said
    assert refused.stderr.count("unchanged") == 5  # a gate changes, nothing is trained anew
    assert project.result("status")["models"]["churn"]["champion"] == first["release"]


def test_a_changed_release_is_not_deployed(shipped: tuple[Project, Any]) -> None:
    project, first = shipped
    card = (
        project.folder / ".torchyard" / "releases" / first["release"].removeprefix("sha256:")
    ) / "card.md"
    original = card.read_bytes()
    card.write_bytes(original.replace(b"churn", b"CHURN"))
    try:
        refused = project.run("deploy", "1", status=1)
    finally:
        card.write_bytes(original)
    assert "card.md" in refused.stderr


def test_bad_data_is_refused_and_the_last_version_stays(shipped: tuple[Project, Any]) -> None:
    project, _ = shipped
    bad = project.folder / "bad.csv"
    bad.write_text("joined,plan\n2024-01-01T00:00:00,basic\n")
    refused = project.shell("data", "add", "bad.csv", status=1)
    assert "column 'region'" in refused.stderr
    assert len(project.result("data", "log")["versions"]) == 1
