"""A search as a person runs it: killed, gone on with, shipped, reproduced; by the command line."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

TORCHYARD = str(Path(sys.executable).parent / "torchyard")
SEARCH = """
    search=ty.Search(
        trials=8,
        learning_rate=ty.log_uniform(1e-4, 1e-1),
        batch_size=ty.choice(128, 256),
        model=dict(hidden=ty.whole(8, 64, log=True), activation=ty.choice("relu", "tanh")),
    ),
"""
MODEL = (
    ("(self, features):", '(self, features, hidden=32, activation="relu"):'),
    ("nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 1)",
     "nn.Linear(width, hidden), {'relu': nn.ReLU, 'tanh': nn.Tanh}[activation](), "
     "nn.Linear(hidden, 1)"),
)  # fmt: skip

pytestmark = pytest.mark.slow


def changed(path: Path, *pairs: tuple[str, str]) -> None:
    text = path.read_text()
    for before, after in pairs:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    path.write_text(text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project that ``init`` writes, with a search added to it."""
    place = tmp_path_factory.mktemp("tune")
    subprocess.run([TORCHYARD, "init", "churn"], cwd=place, check=True, capture_output=True)
    folder = place / "churn"
    changed(
        folder / "project.py", ("    slices=", SEARCH[1:] + "    slices="),
        ("p99_ms=20", "p99_ms=10_000"), ("max_epochs=15", "max_epochs=6"),
        ("at_most=0.10", "at_most=0.30"), ("at_most=0.20", "at_most=0.90"),
    )  # fmt: skip
    changed(folder / "model.py", *MODEL)
    return folder


def run(folder: Path, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [TORCHYARD, *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


def result(folder: Path, *words: str) -> Any:
    return json.loads(run(folder, *words, "--json").stdout.splitlines()[-1])


def ended(folder: Path) -> int:
    """How many trials have ended."""
    found = list(folder.glob(".torchyard/studies/*/study.json"))
    return len(json.loads(found[0].read_text())["trials"]) if found else 0


def end_after(folder: Path, trials: int, number: signal.Signals) -> int:
    """Send a search a signal once so many trials have ended."""
    with subprocess.Popen(
        [TORCHYARD, "tune"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while ended(folder) < trials and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(number)
    return process.returncode


def test_a_search_is_stopped_gone_on_with_shipped_and_reproduced(folder: Path) -> None:
    refused = run(folder, "ship", "--tuned", status=1)
    assert "no search" in refused.stderr
    assert end_after(folder, 2, signal.SIGKILL) == -signal.SIGKILL
    assert end_after(folder, 4, signal.SIGTERM) == 143
    shown = run(folder, "tune")
    assert "8 tried" in shown.stdout
    assert "The best of 8 is optimistic" in shown.stdout
    assert "torchyard evaluate --tuned" in shown.stdout
    assert re.search(r"^trial +validation loss +epochs +learning_rate", shown.stdout, re.MULTILINE)
    found = result(folder, "tune")
    assert set(found) == {"study", "tried", "pruned", "failed", "best", "importance"}
    assert (found["tried"], found["failed"]) == (8, 0)
    best = found["best"]
    assert set(best) == {"trial", "value", "settings", "model"}
    assert set(best["settings"]) == {"learning_rate", "batch_size"}
    assert set(best["model"]) == {"hidden", "activation"}
    assert sum(found["importance"].values()) == pytest.approx(1.0)

    released = result(folder, "ship", "--tuned")
    trained = result(folder, "train", "--tuned")
    assert trained["metrics"]["validation_loss"] == best["value"]
    card = run(folder, "card").stdout
    assert f"Settings chosen among 8 tried ({found['pruned']} pruned, 0 failed)" in card
    assert "Its settings were chosen among 8 tried" in card
    assert "| model.hidden | " in card.replace("\\", "")
    page = folder / ".torchyard" / "releases" / released["release"].removeprefix("sha256:")
    assert "chosen among 8 tried" in (page / "card.html").read_text()
    assert result(folder, "reproduce", trained["run"][:8], "--here")["identical"] is True
    assert result(folder, "tune", "--trials", "9")["tried"] == 9
