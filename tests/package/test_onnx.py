"""A release as one ONNX file: the same bytes, described; nothing replaced unasked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.support.kinds import number_onnx, with_number
from tests.support.releases import sample_release
from torchyard.cli.main import run
from torchyard.core.digest import digest_file
from torchyard.core.errors import BadRecord, BadUsage
from torchyard.package import package_onnx
from torchyard.release import Release


@pytest.fixture(name="release")
def _release(tmp_path: Path) -> Release:
    return sample_release(tmp_path / ".torchyard", ladder=("onnx-int8", "onnx-fp32"))


def test_the_first_variant_is_written_byte_for_byte_and_described(
    release: Release, tmp_path: Path
) -> None:
    made = package_onnx(release, tmp_path / "out" / "model.onnx")
    assert made.file.read_bytes() == release.variant_path("onnx-int8").read_bytes()
    assert (made.release, made.model, made.variant) == (release.id, "demo", "onnx-int8")
    assert made.sha256 == digest_file(made.file)
    assert made.size_bytes == made.file.stat().st_size
    assert [(v.name, v.type, v.shape) for v in made.inputs] == [
        ("distance", "tensor(double)", ("rows", 1)),
        ("carrier", "tensor(string)", ("rows", 1)),
        ("departs", "tensor(int64)", ("rows", 1)),
        ("seat", "tensor(string)", ("rows", 1)),
    ]
    assert (made.output.name, made.output.shape) == ("probabilities", ("rows", 2))
    assert (made.columns, made.unit) == (release.task.classes, None)
    assert made.host_steps == ()


def test_of_a_number_the_columns_are_value_and_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / ".torchyard"
    release = sample_release(folder, onnx=number_onnx(), change=with_number)
    made = package_onnx(release, tmp_path / "delay.onnx")
    assert (made.output.name, made.output.shape) == ("predictions", ("rows", 3))
    assert (made.columns, made.unit) == (("value", "low", "high"), "minutes")
    session = onnxruntime.InferenceSession(str(made.file))
    (row, *_) = release.golden_requests()
    feed = {
        "distance": np.array([[row["distance"]]]),
        "carrier": np.array([[row["carrier"]]], dtype=object),
        "departs": np.array([[0]]),
        "seat": np.array([[""]], dtype=object),
    }
    assert session.run(None, feed)[0][0].tolist() == pytest.approx(release.golden_answers()[0])
    (tmp_path / "project.py").write_text("")
    assert run(["package", "onnx", "-o", str(made.file), "--force", "-C", str(tmp_path)]) == 0
    assert "value, low, high in minutes" in capsys.readouterr().out


def test_a_file_is_replaced_only_when_asked(release: Release, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("mine")
    with pytest.raises(BadUsage, match=r"found a file; expected a new file's path.*--force"):
        package_onnx(release, path)
    assert path.read_text() == "mine"
    assert package_onnx(release, path, force=True).size_bytes == path.stat().st_size > 4
    with pytest.raises(BadUsage, match="found a folder"):
        package_onnx(release, tmp_path, force=True)


def test_a_variant_that_is_no_onnx_graph_is_refused(tmp_path: Path) -> None:
    release = sample_release(tmp_path, onnx=b"something else")
    with pytest.raises(BadRecord, match=r"variant 'onnx-fp32'.*expected an ONNX graph"):
        package_onnx(release, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_the_command_writes_and_describes(
    release: Release, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "project.py").write_text("")
    path = tmp_path / "model.onnx"
    command = ["package", "onnx", "1", "-o", str(path), "--project", str(tmp_path)]
    assert run([*command, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["release"] == release.id
    assert said["inputs"][1] == {"name": "carrier", "type": "tensor(string)", "shape": ["rows", 1]}
    assert said["output"]["name"] == "probabilities"
    assert run(command) == 2
    assert run([*command, "--force"]) == 0
    text = capsys.readouterr().out
    assert "tensor(int64)" in text
    assert "probabilities" in text


def test_a_release_that_was_changed_is_not_packaged(
    release: Release, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "project.py").write_text("")
    file = release.variant_path("onnx-int8")
    file.chmod(0o644)
    file.write_bytes(file.read_bytes() + b" ")
    command = ["package", "onnx", "-o", str(tmp_path / "model.onnx"), "-C", str(tmp_path)]
    assert run([*command, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"] == "not_trusted"
    assert not (tmp_path / "model.onnx").exists()
