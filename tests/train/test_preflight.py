"""Pre-flight: legitimate models pass whatever they are made of, broken ones are told how."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from torchyard.core.errors import BadModel
from torchyard.records.schema import Field, Schema
from torchyard.records.training import EXTREMES, Check, Training
from torchyard.train import Examples, Watch, train
from torchyard.train.extremes import RealRow, check_extremes, extremes_of
from torchyard.train.preflight import Preflight, preflight, stopping
from torchyard.train.preflight_answers import ALONE, INPUTS, SAVING, SERVING
from torchyard.train.preflight_learning import GRADIENTS, OVERFITS, check_overfits
from torchyard.train.preflight_memory import (
    MEMORY,
    Needs,
    _group_limits,
    check_memory,
    measure_needs,
)
from torchyard.train.preflight_trial import Trial
from torchyard.train.randomness import random_state, seed_everything
from torchyard.train.trace import digest_tensors

SETTINGS = Training(max_epochs=1, batch_size=32, seed=3)
CPU = torch.device("cpu")


def examples(*names: str, rows: int = 96, classes: int = 2, seed: int = 0) -> Examples:
    draw = np.random.default_rng(seed)
    made: dict[str, Any] = {
        "x": draw.normal(size=(rows, 3)).astype(np.float32),
        "code": draw.integers(0, 20, rows),
        "words": draw.integers(0, 200, (rows, 6)),
        "image": draw.normal(size=(rows, 1, 8, 8)).astype(np.float32),
    }
    labels = draw.random(rows) < 0.5 if classes == 2 else draw.integers(0, classes, rows)
    return Examples.from_arrays({name: made[name] for name in names}, labels)


def fly(build: Any, *names: str, classes: int = 2, **changes: Any) -> dict[str, Check]:
    data = examples(*(names or ("x",)), classes=classes)
    found = preflight(build, training=data, validation=data, settings=SETTINGS, **changes)
    return {check.name: check for check in found.checks}


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Linear(3, 1)

    def forward(self, x: torch.Tensor) -> Any:
        return self.layers(x)


class ZeroAtFirst(Linear):
    def __init__(self) -> None:
        super().__init__()
        nn.init.zeros_(self.layers.weight)
        nn.init.zeros_(self.layers.bias)


class Perceptron(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 32), nn.ReLU(),
            nn.Dropout(0.5), nn.Linear(32, 1),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> Any:
        return self.layers(x).squeeze(1)


class Normalized(Perceptron):
    def __init__(self) -> None:
        super().__init__()
        deep = [(nn.Linear(16, 16), nn.BatchNorm1d(16), nn.ReLU()) for _ in range(5)]
        self.layers = nn.Sequential(
            nn.Linear(3, 16), *(layer for block in deep for layer in block), nn.Linear(16, 1)
        )


class Sigmoids(Perceptron):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3, 32), nn.Sigmoid(), nn.Linear(32, 32), nn.Sigmoid(), nn.Linear(32, 1)
        )


class Embeds(nn.Module):
    """Most rows of its table are in no batch."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(500, 4)
        self.head = nn.Linear(4, 1)

    def forward(self, code: torch.Tensor) -> Any:
        return self.head(self.table(code))


class Convolves(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(8 * 16, 5),
        )  # fmt: skip

    def forward(self, image: torch.Tensor) -> Any:
        return self.layers(image)


class Attends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(200, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 1)

    def forward(self, words: torch.Tensor) -> Any:
        return self.head(self.encoder(self.table(words)).mean(1))


class Recurs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(200, 16)
        self.cell = nn.LSTM(16, 16, 2, batch_first=True, dropout=0.3)
        self.head = nn.Linear(16, 1)

    def forward(self, words: torch.Tensor) -> Any:
        return self.head(self.cell(self.table(words))[0][:, -1])


class Adapted(nn.Module):
    """Frozen weights beside a low-rank change that starts at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(3, 16).requires_grad_(False)
        self.down = nn.Linear(3, 2, bias=False)
        self.up = nn.Linear(2, 16, bias=False)
        nn.init.zeros_(self.up.weight)
        self.head = nn.Linear(16, 1)

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(torch.tanh(self.base(x) + self.up(self.down(x))))


_PRETRAINED = Attends()


class FineTuned(nn.Module):
    """Carries weights that every module of the project shares."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = _PRETRAINED
        self.head = nn.Linear(1, 1)

    def forward(self, words: torch.Tensor) -> Any:
        return self.head(self.encoder(words))


@pytest.mark.parametrize(
    ("build", "tensor", "classes"),
    [
        (Linear, "x", 2), (ZeroAtFirst, "x", 2), (Perceptron, "x", 2), (Normalized, "x", 2),
        (Sigmoids, "x", 2), (Embeds, "code", 2), (Convolves, "image", 5), (Attends, "words", 2),
        (Recurs, "words", 2), (Adapted, "x", 2), (FineTuned, "words", 2),
    ],
)  # fmt: skip
def test_a_legitimate_model_is_not_stopped(build: Any, tensor: str, classes: int) -> None:
    found = fly(build, tensor, classes=classes)
    wrong = {name: check for name, check in found.items() if check.outcome != "pass"}
    if build in (Linear, ZeroAtFirst):  # one may not fit all of eight rows
        wrong.pop(OVERFITS, None)
    assert not wrong
    assert list(found) == [OVERFITS, GRADIENTS, INPUTS, ALONE, SAVING, MEMORY]


@pytest.mark.parametrize("seed", range(12))
def test_a_linear_model_is_never_failed_for_rows_that_it_cannot_fit(seed: int) -> None:
    trial = Trial(Linear, examples("x", seed=seed), dataclasses.replace(SETTINGS, seed=seed), CPU)
    assert check_overfits(trial).outcome in ("pass", "warn")


class Narrow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 1)

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(x[:, :1])


def test_a_model_too_small_for_eight_rows_warns_with_the_loss_that_is_left() -> None:
    check = fly(Narrow)[OVERFITS]
    assert check.outcome == "warn"
    assert "nats in 120 steps" in check.found
    assert check.found.endswith(": it stays high")
    assert check.remedy.startswith("A small or linear model cannot learn eight rows by heart")


class Detached(Perceptron):
    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x).detach()


class Signs(Perceptron):
    def forward(self, x: torch.Tensor) -> Any:
        return torch.sign(super().forward(x))


class Frozen(Perceptron):
    def __init__(self) -> None:
        super().__init__()
        self.requires_grad_(False)


def test_a_module_whose_loss_cannot_fall_fails() -> None:
    check = fly(Signs)[OVERFITS]
    assert check.outcome == "fail"
    assert check.found.endswith("in 120 steps: it does not fall")
    assert "Look for detach(), no_grad() or a sign" in check.remedy


def test_an_answer_that_is_cut_off_from_the_weights_fails_in_words() -> None:
    check = fly(Detached)[OVERFITS]
    assert check.outcome == "fail"
    assert "does not require grad" in check.found
    assert "take detach(), no_grad(), .item() and torch.tensor(...) out" in check.remedy


def test_a_frozen_module_has_nothing_to_learn() -> None:
    found = fly(Frozen)
    assert [*found] == [OVERFITS]
    assert found[OVERFITS].outcome == "fail"
    assert found[OVERFITS].found == "no parameter that can be trained"


class NaN(Perceptron):
    def forward(self, x: torch.Tensor) -> Any:
        return torch.log(super().forward(x) - 9)


def test_a_first_loss_that_is_not_finite_names_the_layer() -> None:
    check = fly(NaN)[OVERFITS]
    assert check.outcome == "fail"
    assert "layer 'NaN'" in check.found
    assert "made by log" in check.found


def test_rows_that_are_all_alike_are_told_to_be_few() -> None:
    data = examples("x")
    same = Examples({"x": torch.zeros_like(data.tensors["x"])}, data.labels)
    check = check_overfits(Trial(Perceptron, same, SETTINGS, CPU))
    assert "on the 1 rows that differ" in check.found


def test_the_eight_rows_differ_and_are_of_several_classes() -> None:
    labels = np.repeat(np.arange(3), 40)
    x = np.repeat(np.arange(60, dtype=np.float32), 2)[:, None]
    rows = Trial(Perceptron, Examples.from_arrays({"x": x}, labels), SETTINGS, CPU).eight()
    assert sorted(set(rows.labels.tolist())) == [0, 1, 2]
    assert len(set(rows.tensors["x"].reshape(-1).tolist())) == rows.rows == 8


def test_time_bounds_what_eight_rows_take() -> None:
    times = iter([0.0, 1.0, 2.0, 99.0])
    trial = Trial(Narrow, examples("x"), SETTINGS, CPU)
    assert "in 3 steps" in check_overfits(trial, clock=lambda: next(times)).found


class HalfDetached(Perceptron):
    def forward(self, x: torch.Tensor) -> Any:
        return self.layers[3:](self.layers[:3](x).detach()).squeeze(1)


class Unused(Perceptron):
    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Linear(3, 3)


class Dead(Perceptron):
    def __init__(self) -> None:
        super().__init__()
        with torch.no_grad():
            self.layers[0].bias.fill_(-1e6)  # type: ignore[operator]

    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x) + x[:, 0]


@pytest.mark.parametrize(
    ("build", "named"),
    [(HalfDetached, "'layers.0.weight', 'layers.0.bias'"), (Unused, "'spare.weight'")],
)
def test_parameters_that_no_gradient_can_reach_fail_by_name(build: Any, named: str) -> None:
    check = fly(build)[GRADIENTS]
    assert check.outcome == "fail"
    assert check.found.startswith("none for ")
    assert named in check.found
    assert "% of what is to be learnt" in check.found
    assert "requires_grad_(False) where they are to stay" in check.remedy


def test_a_gradient_that_is_zero_in_every_step_warns_by_name() -> None:
    check = fly(Dead)[GRADIENTS]
    assert check.outcome == "warn"
    assert check.found.startswith("exactly zero in every step for 'layers.0.weight'")
    assert "a ReLU after large negative weights" in check.remedy


class Centred(Perceptron):
    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x - x.mean(0))


def test_an_answer_that_depends_on_the_other_rows_of_its_batch_fails() -> None:
    check = fly(Centred)[ALONE]
    assert check.outcome == "fail"
    assert check.found.startswith("other answers, by up to ")
    assert check.found.endswith("when other rows are in the batch")
    assert "Take what reduces over rows out of forward" in check.remedy


class InAList(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = [nn.Linear(3, 16), nn.Linear(16, 16)]
        self.head = nn.Linear(16, 1)

    def forward(self, x: torch.Tensor) -> Any:
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.head(x)


class OutsideItsState(Perceptron):
    def __init__(self) -> None:
        super().__init__()
        self.offset = torch.randn(1)

    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x) + self.offset


class NotPersistent(Perceptron):
    """Counts what it saw in a buffer that is not saved."""

    seen: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def forward(self, x: torch.Tensor) -> Any:
        if self.training:
            self.seen += len(x)
        return super().forward(x) + self.seen


class Positions(Perceptron):
    """A table that is not saved and the same every time is none of anybody's business."""

    table: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.arange(3.0), persistent=False)

    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x + self.table)


@pytest.mark.parametrize(
    ("build", "named"), [(InAList, "hidden"), (OutsideItsState, "offset"), (NotPersistent, "seen")]
)
def test_what_is_not_among_the_saved_weights_fails_by_name(build: Any, named: str) -> None:
    check = fly(build)[SAVING]
    assert check.outcome == "fail"
    assert check.found.startswith("other answers after loading, by up to ")
    assert check.found.endswith(f"outside its state_dict: {named}")
    assert "nn.ModuleList" in check.remedy


def test_a_buffer_that_is_the_same_every_time_need_not_be_saved() -> None:
    assert fly(Positions)[SAVING].outcome == "pass"


class AlwaysDrops(Perceptron):
    def forward(self, x: torch.Tensor) -> Any:
        return functional.dropout(super().forward(x), 0.5)


def test_chance_in_evaluation_mode_fails() -> None:
    check = fly(AlwaysDrops)[SAVING]
    assert check.outcome == "fail"
    assert "from call to call in evaluation mode" in check.found
    assert "training=self.training" in check.remedy


class Ignores(Perceptron):
    def forward(self, x: torch.Tensor, code: torch.Tensor) -> Any:  # type: ignore[override]
        return super().forward(x) + 0 * code


def test_an_input_that_changes_no_answer_warns_by_name() -> None:
    check = fly(Ignores, "x", "code")[INPUTS]
    assert check.outcome == "warn"
    assert check.found == "the same answers whatever 'code' holds"
    assert "take it out of ty.Features" in check.remedy


def test_whole_numbers_that_never_vary_are_not_said_to_be_ignored() -> None:
    data = examples("x", "code")
    data.tensors["code"].zero_()
    found = preflight(Ignores, training=data, validation=data, settings=SETTINGS)
    assert {check.name: check.outcome for check in found.checks}[INPUTS] == "pass"


def row_of(encode: Any = None, **fields: Field) -> RealRow:
    """A row of zeros whose numbers are the tensor ``x``."""
    schema = Schema(fields=tuple(fields.values()))

    def plain(columns: Any) -> dict[str, Any]:
        numbers = [columns[name] for name, one in fields.items() if one.kind == "number"]
        return {"x": np.nan_to_num(np.concatenate(numbers, axis=1)).astype(np.float32)}

    columns: dict[str, Any] = {
        name: np.zeros((1, 1)) if one.kind == "number" else np.array([["a"]], dtype=object)
        for name, one in fields.items()
    }
    return RealRow(schema, columns, encode or plain)


def number(name: str, **limits: Any) -> Field:
    return Field(name=name, kind="number", **limits)


class Inverse(nn.Module):
    """Not finite where the second number is 100."""

    def forward(self, x: torch.Tensor) -> Any:
        return 1 / (x[:, 1] - 100)


def test_a_declared_limit_that_gives_no_finite_logits_fails_with_the_field() -> None:
    row = row_of(a=number("a", ge=0, le=9), b=number("b", ge=0, le=100))
    check = check_extremes(Inverse(), row, settings=SETTINGS)
    assert check.outcome == "fail"
    assert check.found == "field 'b' at 100: logits that are not finite"
    assert "ty.clip(...)" in check.remedy


class Explodes(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        return torch.exp(x[:, 0])


def test_a_number_that_is_only_far_warns() -> None:
    check = check_extremes(Explodes(), row_of(a=number("a", ge=0)), settings=SETTINGS)
    assert check.outcome == "warn"
    assert check.found.startswith("field 'a' at 1e+09: logits")
    assert "declare the field's true limits" in check.remedy


class TooFew(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(2, 1)

    def forward(self, code: torch.Tensor) -> Any:
        return self.table(code)


def test_a_category_that_nobody_saw_and_the_layer_that_it_breaks_are_named() -> None:
    def encode(columns: Any) -> dict[str, Any]:
        return {"code": np.array([0 if v == "a" else 5 for v in columns["plan"][:, 0]])}

    row = row_of(encode, plan=Field(name="plan", kind="category"))
    check = check_extremes(TooFew(), row, settings=SETTINGS)
    assert check.outcome == "fail"
    assert check.found.startswith("field 'plan' that nobody saw before: pre-flight, TooFew.forward")
    assert "layer 'table'" in check.found
    assert "index out of range" in check.found


def test_features_that_are_not_finite_are_told_by_their_tensor() -> None:
    def encode(columns: Any) -> dict[str, Any]:
        return {"x": np.log(columns["a"]).astype(np.float32)}

    with np.errstate(divide="ignore"):
        row = row_of(encode, a=number("a", ge=0, le=1))
        check = check_extremes(Explodes(), row, settings=SETTINGS)
    assert check.found == "field 'a' at 0: the feature tensor 'x' is not finite"


@pytest.mark.parametrize(
    ("field", "whats"),
    [
        (number("a", optional=True, ge=-1, le=1), ["missing", "at -1", "at 1", "at 0"]),
        (Field(name="a", kind="integer", ge=0.5), ["at 1", "at 9.0072e+15"]),
        (Field(name="a", kind="boolean"), ["false", "true"]),
        (Field(name="a", kind="timestamp"), ["in 1", "in 9999"]),
        (Field(name="a", kind="category", values=("x", "y")), ["of 'x'", "of 'y'"]),
        (Field(name="a", kind="id", pattern="N[0-9]+"), []),
        (
            Field(name="a", kind="text", max_length=30),
            ["of 1 characters", "of other alphabets", "of 30 characters"],
        ),
        (
            Field(name="a", kind="image"),
            ["of one pixel", "all black", "all white", "of noise", "of 400 by 2 pixels"],
        ),
        (
            Field(name="a", kind="tensor", shape=(2,), dtype="int64", ge=0, le=9),
            ["full of 0", "full of 9"],
        ),
        (Field(name="a", kind="tensor", shape=(2,), dtype="int64"), []),
        (Field(name="a", kind="tensor", shape=(2,)), ["full of -1e+09", "full of 1e+09"]),
    ],
)
def test_extremes_are_what_the_schema_allows(field: Field, whats: list[str]) -> None:
    assert [one.what for one in extremes_of(field)] == whats


def test_texts_keep_to_the_declared_lengths() -> None:
    field = Field(name="a", kind="text", min_length=4, max_length=7)
    assert {len(one.value) for one in extremes_of(field)} == {4, 7}


def trial_and_fabric(build: Any, settings: Training = SETTINGS) -> Any:
    from lightning_fabric import Fabric

    fabric = Fabric(accelerator="cpu", devices=1, precision=settings.precision)
    return Trial(build, examples("x"), settings, CPU), fabric


class Wide(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 1000), nn.ReLU(), nn.Linear(1000, 1))

    def forward(self, x: torch.Tensor) -> Any:
        return self.layers(x)


def test_what_training_takes_is_counted_from_weights_and_activations() -> None:
    trial, fabric = trial_and_fabric(Wide)
    needs = measure_needs(trial, examples("x"), fabric)
    weights = 4 * (3 * 1000 + 1000 + 1000 + 1)
    rows = 2 * 96 * (3 * 4 + 4)
    # weights, gradients, two states of AdamW, the best weights; states count their steps
    assert needs.fixed == pytest.approx(5 * weights + rows, abs=1000)
    # the layer after the ReLU and the ReLU itself keep the same 1000 numbers
    assert needs.per_row == pytest.approx(4 * 1000 + 3 * 4 + 4, abs=16)


def test_memory_that_does_not_suffice_names_the_parts_that_fit() -> None:
    settings = dataclasses.replace(SETTINGS, batch_size=64)
    trial, fabric = trial_and_fabric(Wide, settings)
    needs = measure_needs(trial, examples("x"), fabric)
    free = round(1.25 * needs.of(16)) + 10
    check = check_memory(trial, examples("x"), fabric, available=lambda device: free)
    assert check.outcome == "fail"
    assert check.remedy == "Set accumulate=4, which computes a batch in parts, or batch_size=16."
    assert "for a part of 64 rows) of 0." in check.found
    again = dataclasses.replace(settings, accumulate=4)
    trial, fabric = trial_and_fabric(Wide, again)
    assert check_memory(trial, examples("x"), fabric, available=lambda d: free).outcome == "pass"


def test_processes_on_one_processor_share_its_memory() -> None:
    trial, fabric = trial_and_fabric(Wide, dataclasses.replace(SETTINGS, devices=2))
    needs = measure_needs(trial, examples("x"), fabric)
    enough = round(1.25 * 2 * needs.of(16)) + 1
    check = check_memory(trial, examples("x"), fabric, available=lambda device: enough)
    assert check.outcome == "pass"
    assert "for a part of 16 rows on each of 2 devices) of " in check.found
    check = check_memory(trial, examples("x"), fabric, available=lambda device: enough // 2)
    assert check.outcome == "fail"


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_memory_is_measured_in_the_precision_of_the_run(precision: str) -> None:
    trial, fabric = trial_and_fabric(Wide, dataclasses.replace(SETTINGS, precision=precision))
    assert check_memory(trial, examples("x"), fabric).outcome == "pass"


def test_memory_that_barely_suffices_warns_and_a_model_too_large_has_another_remedy() -> None:
    trial, fabric = trial_and_fabric(Wide)
    needs = measure_needs(trial, examples("x"), fabric)
    check = check_memory(trial, examples("x"), fabric, available=lambda d: needs.of(32) + 1)
    assert check.outcome == "warn"
    check = check_memory(trial, examples("x"), fabric, available=lambda d: needs.fixed)
    assert check.outcome == "fail"
    assert check.remedy.startswith("Make the module smaller")


def test_needs_grow_with_the_rows_of_a_part() -> None:
    assert Needs(fixed=100, per_row=7).of(10) == 170


@pytest.mark.parametrize(
    ("limit", "left"), [("1000", [700]), ("max", [])], ids=["a limit", "no limit"]
)
def test_a_control_groups_limit_counts_and_files_that_can_be_dropped_do_not(
    tmp_path: Path, limit: str, left: list[int]
) -> None:
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text("500")
    (tmp_path / "memory.stat").write_text("anon 300\ninactive_file 200\n")
    assert list(_group_limits(tmp_path)) == left
    assert list(_group_limits(tmp_path / "none")) == []


def test_the_way_to_serving_is_compared_with_pytorch() -> None:
    assert fly(Linear, serve=lambda module: 3e-8)[SERVING].found == "exported, and within 3e-08"
    check = fly(Linear, serve=lambda module: 0.2)[SERVING]
    assert check.outcome == "fail"
    assert check.found == "answers that differ by 0.2 from PyTorch's"


def test_a_module_that_cannot_be_exported_fails_with_the_exporters_words() -> None:
    line = 0

    def serve(module: nn.Module) -> float:
        nonlocal line
        line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
        raise BadModel(
            where="Net, export to ONNX", found="a branch on a tensor", expected="none",
            remedy="Take it out.",
        )  # fmt: skip

    check = fly(Linear, serve=serve)[SERVING]
    assert (check.outcome, check.remedy) == ("fail", "Take it out.")
    assert check.found.startswith("Net, export to ONNX (")
    assert check.found.endswith(f"test_preflight.py:{line}): a branch on a tensor")


def test_a_failed_check_is_the_reason_and_the_others_are_named() -> None:
    data = examples("x")
    found = preflight(Signs, training=data, validation=data, settings=SETTINGS)
    assert not found.passed
    refusal = stopping(found)
    assert refusal is not None
    said = str(refusal)
    assert said.startswith("pre-flight, 'overfits eight rows': found loss")
    assert "(failed too: 'a gradient reaches every parameter')" in said
    assert "If it is meant so: ty.Training(preflight=False)." in said


def test_warnings_stop_nothing_and_are_counted() -> None:
    found = Preflight(
        (
            Check(name="a", outcome="pass", found=""),
            Check(name="b", outcome="warn", found="few", remedy="Do."),
        ),
        1.25,
    )
    assert found.passed
    assert stopping(found) is None
    assert found.summary == "pre-flight: 1 passed, 1 warned, 1.2 s"


def test_the_same_run_gives_the_same_checks() -> None:
    data = examples("x")
    first, second = (
        preflight(Perceptron, training=data, validation=data, settings=SETTINGS) for _ in range(2)
    )

    def but_memory(found: Preflight) -> list[Check]:
        return [check for check in found.checks if check.name != MEMORY]

    assert but_memory(first) == but_memory(second)


def test_training_is_the_same_to_the_bit_with_and_without_it() -> None:
    data = examples("words")

    def trained(*, checked: bool) -> Any:
        torch.manual_seed(5)
        module = Attends()
        seed_everything(11)
        before = random_state()
        if checked:
            # a project that hands the same module out every time
            preflight(lambda: module, training=data, validation=data, settings=SETTINGS)
        after = random_state()
        assert torch.equal(before["torch"], after["torch"])
        assert before["python"] == after["python"]
        assert np.array_equal(before["numpy"]["state"]["key"], after["numpy"]["state"]["key"])
        run = train(
            lambda: module, training=data, validation=data, settings=SETTINGS, watch=Watch()
        )
        return digest_tensors(run.module), run.trace.losses

    assert trained(checked=False) == trained(checked=True)


def test_rows_are_left_as_they_were() -> None:
    data = examples("x", "code")
    before = {name: tensor.clone() for name, tensor in data.tensors.items()}
    preflight(Ignores, training=data, validation=data, settings=SETTINGS)
    assert all(torch.equal(before[name], tensor) for name, tensor in data.tensors.items())


def test_extremes_are_a_check_of_their_own() -> None:
    row = row_of(a=number("a", ge=0, le=1), b=number("b"), c=number("c"))
    check = fly(Linear, row=row)[EXTREMES]
    assert (check.outcome, check.found) == ("pass", "8 rows, 3 fields at limits")
