"""Every calibration of every kind of task: one answer by definition, in PyTorch and as served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from torchyard.evaluate import apply_calibration
from torchyard.evaluate.calibrating.calibrated import log_odds
from torchyard.evaluate.calibrating.calibrators import methods, one_hot
from torchyard.evaluate.calibrating.conformal import fit_interval
from torchyard.features.export import IR_VERSION, OPSET
from torchyard.optimize.build import EagerModel
from torchyard.optimize.export import merge
from torchyard.records.calibration import AS_TRAINED, Calibration, Curve, Interval, Scale
from torchyard.records.schema import Task

# of float32 answers to the definition in float64: the rounding of the answer itself
TOLERANCE = 6e-8

BINARY = Task(kind="binary_classification", label="late", classes=("no", "yes"))
MANY = Task(kind="multiclass_classification", label="kind", classes=tuple("abcde"))
LABELS = Task(kind="multilabel_classification", label="tags", classes=tuple("abcde"))
NUMBER = Task(kind="regression", label="minutes", classes=())

Float32 = np.ndarray[Any, np.dtype[np.float32]]


def width_of(task: Task) -> int:
    return 1 if task.is_binary or task.is_regression else len(task.classes)


def drawn(task: Task, rows: int) -> Any:
    """Logits of which some lie far out, tie or are exactly on a curve's points, and truths."""
    generator = np.random.default_rng(0)
    logits = generator.normal(0.0, 3.0, size=(rows, width_of(task)))
    logits[::7] = logits[::7].round()
    extremes = np.array([0.0, -0.0, 1.0, -1.0, 1e4, -1e4, 88.0, -104.0, 1e-30, 300.0])
    logits[: 2 * extremes.size] = np.concatenate([extremes, extremes])[:, None]
    logits[extremes.size : 2 * extremes.size, 0] = -1e4
    if task.kind == "multiclass_classification":
        truth = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
    else:
        truth = logits + 2.0 * generator.logistic(size=logits.shape) > 0.0
    return logits.astype(np.float32), truth


def calibrations(task: Task) -> dict[str, Calibration]:
    """One of each method, fitted."""
    logits, truth = drawn(task, 3000)
    z = logits.astype(np.float64)
    if not task.is_regression:
        joint = task.kind == "multiclass_classification"
        known = methods(joint=joint, classes=width_of(task))
        return {name: fit(truth, z) for name, fit in known.items()}
    number = z[40:, 0]
    noise = np.random.default_rng(1).normal(size=number.size)
    even, skewed, growing = noise, np.exp(noise), noise * np.exp(0.3 * number)
    scale = Scale(mean=12.5, deviation=3.1)
    found = {
        kind: fit_interval(12.5 + 3.1 * number + e, number, scale=scale, coverage=0.9, seed=0)
        for kind, e in (("symmetric", even), ("asymmetric", skewed), ("normalised", growing))
    }
    assert all(one.interval and one.interval.kind == kind for kind, one in found.items())
    return {"none": AS_TRAINED, **found}


CASES = [
    pytest.param(task, calibration, id=f"{task.kind}-{name}")
    for task in (BINARY, MANY, LABELS, NUMBER)
    for name, calibration in calibrations(task).items()
]


def served(task: Task, calibration: Calibration, folder: Path) -> onnxruntime.InferenceSession:
    """A file whose module passes on the logits that it is given."""
    width = width_of(task)

    def passing(name: str, given: str, made: str) -> Path:
        graph = helper.make_graph(
            [helper.make_node("Identity", [given], [made])], name,
            [helper.make_tensor_value_info(given, TensorProto.FLOAT, ["rows", width])],
            [helper.make_tensor_value_info(made, TensorProto.FLOAT, ["rows", width])],
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        path = folder / f"{name}.onnx"
        onnx.save(model, path)
        return path

    features = passing("features", "raw", "feature/given")
    module = passing("module", "given", "logits")
    merge(features, module, task=task, calibration=calibration, path=folder / "whole.onnx")
    return onnxruntime.InferenceSession(folder / "whole.onnx")


def answered(session: onnxruntime.InferenceSession, logits: Float32) -> Float32:
    (answer,) = session.run(None, {"raw": logits})
    assert isinstance(answer, np.ndarray)
    return answer


class Passing(nn.Module):
    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return given


class Given:
    def encode(self, columns: Any) -> Any:
        return columns


def eager(task: Task, calibration: Calibration, logits: Float32) -> Any:
    model = EagerModel(Given(), Passing(), task=task, calibration=calibration)
    return model.run({"given": logits})


@pytest.mark.parametrize(("task", "calibration"), CASES)
def test_one_answer_everywhere(task: Task, calibration: Calibration, tmp_path: Path) -> None:
    logits, _ = drawn(task, 2000)
    expected = apply_calibration(logits, calibration, task)
    assert expected.shape == (2000, len(task.outputs))
    session = served(task, calibration, tmp_path)
    (output,) = session.get_outputs()
    assert (output.name, output.shape) == (task.output_name, ["rows", len(task.outputs)])
    plain = eager(task, calibration, logits)
    relative = TOLERANCE if task.is_regression else 0.0
    for found in (answered(session, logits), plain):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=relative, atol=TOLERANCE)
    if task.is_regression:
        return
    assert ((expected >= 0.0) & (expected <= 1.0)).all()
    if not task.is_multilabel:
        assert answered(session, logits).sum(axis=1) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("task", "calibration"), CASES)
def test_an_answer_does_not_depend_on_its_batch(
    task: Task, calibration: Calibration, tmp_path: Path
) -> None:
    logits, _ = drawn(task, 331)
    session = served(task, calibration, tmp_path)
    whole = answered(session, logits)
    for step in (1, 2, 7, 64):
        parts = [answered(session, logits[at : at + step]) for at in range(0, 331, step)]
        assert (np.concatenate(parts) == whole).all()
    assert (answered(session, logits[::-1].copy())[::-1] == whole).all()


@pytest.mark.parametrize("task", [BINARY, MANY, LABELS], ids=lambda task: task.kind)
def test_far_logits_are_certain_until_a_curve_says_otherwise(task: Task) -> None:
    far = np.full((1, width_of(task)), -1e4)
    far[0, -1] = 1e4
    for name, calibration in calibrations(task).items():
        (answer,) = apply_calibration(far, calibration, task)
        certain = answer[-1] == 1.0
        assert certain or name == "isotonic", name
        assert answer[-1] > 0.9


def test_curves_of_different_lengths_are_read_side_by_side(tmp_path: Path) -> None:
    """One point, many, and two that lie as near as numbers can."""
    task = Task(kind="multilabel_classification", label="tags", classes=tuple("abc"))
    near = float(np.nextafter(0.5, 1.0))
    curves = (
        Curve(x=(0.0,), y=(0.25,)),
        Curve(x=(-3.0, -1.0, 0.0, 2.0, 5.0), y=(0.1, 0.1, 0.4, 0.4, 0.9)),
        Curve(x=(0.5, near), y=(0.2, 0.7)),
    )
    calibration = Calibration(method="isotonic", curves=curves)
    session = served(task, calibration, tmp_path)
    logits = np.repeat(
        np.array([-1e4, -3.0, -2.0, -1.0, 0.0, 0.25, 0.5, 2.0, 5.0, 1e4], np.float32)[:, None],
        3, axis=1,
    )  # fmt: skip
    expected = np.stack([np.interp(logits[:, 0], c.x, c.y) for c in curves], axis=1)
    np.testing.assert_allclose(answered(session, logits), expected, atol=TOLERANCE)
    np.testing.assert_allclose(eager(task, calibration, logits), expected, atol=TOLERANCE)


def test_one_column_of_a_binary_task_and_none_are_alike() -> None:
    logits, _ = drawn(BINARY, 50)
    for calibration in calibrations(BINARY).values():
        flat = apply_calibration(logits[:, 0], calibration, BINARY)
        assert (flat == apply_calibration(logits, calibration, BINARY)).all()


def test_odds_and_one_hot_agree_on_their_columns() -> None:
    logits, truth = drawn(MANY, 100)
    z = logits.astype(np.float64)
    assert log_odds(z).shape == one_hot(truth, z).shape == (100, 5)
    assert (one_hot(truth, z).argmax(axis=1) == truth).all()


def test_an_interval_of_any_number_is_finite() -> None:
    width = Curve(x=(-1.0, 1.0), y=(0.5, 2.0))
    interval = Interval(
        kind="normalised", coverage=0.9, lower=2.0, upper=2.0, rows=100, width=width
    )
    calibration = Calibration(method="conformal", interval=interval)
    found = apply_calibration(np.array([-1e4, 0.0, 1e4]), calibration, NUMBER)
    assert (found[:, 2] - found[:, 1]).tolist() == [2.0, 5.0, 8.0]
