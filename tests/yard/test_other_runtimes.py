"""A release whose first variant is no ONNX file: sealed, compared with, served, predicted with."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.yard.explained import make_yard
from torchyard.release import open_release
from torchyard.serve import replay

# MLflow warns of its own libraries; a release takes some seconds
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

PARTS = """runtimes=["openvino"],
    gates=[ty.gate("auroc", against="champion", drop_at_most=0.2)],"""


def test_a_release_of_openvino_lives_as_any_other(tmp_path: Path) -> None:
    yard = make_yard(tmp_path, daily=6, more=PARTS)
    first = yard.ship()
    yard.deploy(first.id)
    release = open_release(
        yard.workspace.releases / first.id.removeprefix("sha256:"), trusted=yard.workspace.trusted
    )
    assert release.manifest.ladder[0].startswith("openvino-")
    assert replay(release) <= release.golden_tolerance
    again = tmp_path / "project.py"
    again.write_text(again.read_text().replace("max_epochs=4", "max_epochs=5"))
    second = yard.ship()
    compared = [one for one in second.verdicts if "champion" in one.gate]
    assert compared
    assert all(one.measured is not None for one in compared)

    rows = pl.DataFrame(release.golden_requests())
    made = yard.predict(rows, tmp_path / "answers.parquet", release=first.id)
    assert (made.rows, made.refused) == (rows.height, 0)
