"""What a person reads when a module, a row or a setting is at fault: field, shape, line, remedy."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from torchyard.core.errors import BadData, BadModel
from torchyard.records.schema import Task
from torchyard.records.training import FeatureGraph, FeatureTensor, Training
from torchyard.train import Examples, probe, train
from torchyard.train.culprits import first_culprit
from torchyard.train.faults import failed, gradient_not_finite, not_finite, outside_classes

SETTINGS = Training(max_epochs=1, batch_size=16, seed=3, accumulate=2)
TWO = Task(kind="binary_classification", label="late", classes=("no", "yes"))
THREE = Task(kind="multiclass_classification", label="kind", classes=("a", "b", "c"))
HERE = rf"\(.*{re.escape(Path(__file__).name)}:\d+\)"


def tensor(name: str, dtype: Any, *shape: int) -> FeatureTensor:
    return FeatureTensor(
        name=name, dtype=dtype, shape=shape, cardinality=0 if shape else 7, fields=(name,),
        operation="o",
    )  # fmt: skip


GRAPH = FeatureGraph(
    digest="sha256:0",
    inputs=("x", "carrier"),
    tensors=(tensor("x", "float32", 3), tensor("carrier", "int64")),
    fitted_rows=1,
)


def examples(rows: int = 32, *, classes: int = 2) -> Examples:
    draw = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        "x": draw.normal(size=(rows, 3)).astype(np.float32),
        "carrier": draw.integers(0, 7, rows),
    }
    return Examples.from_arrays(
        arrays, draw.random(rows) < 0.5 if classes == 2 else draw.integers(0, classes, rows)
    )


class Net(nn.Module):
    """Two blocks and a head."""

    def __init__(self, classes: int = 1) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Linear(3, 8), nn.ReLU())
        self.carriers = nn.Embedding(7, 4)
        self.head = nn.Linear(12, classes)

    def between(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden

    def forward(self, x: torch.Tensor, carrier: torch.Tensor) -> Any:
        both = torch.cat([self.block(x), self.carriers(carrier)], dim=1)
        return self.head(self.between(both)).squeeze(1)


def refusal(build: Any, *, settings: Training = SETTINGS, data: Examples | None = None) -> str:
    with pytest.raises(BadModel) as refused:
        train(build, training=data or examples(), validation=examples(8), settings=settings)
    return str(refused.value)


class Logarithm(Net):
    def between(self, hidden: torch.Tensor) -> torch.Tensor:
        return torch.log(hidden - 1)


def test_an_operation_between_two_layers_is_named_and_not_the_layer_after_it() -> None:
    said = refusal(Logarithm)
    assert re.search(
        rf"epoch 1, step 1, layer 'Logarithm' {HERE}: found \d+ of 96 values NaN", said
    )
    assert re.search(r"shape \[8, 12\], made by log, of values in \[-.*Look for a logarithm", said)


class LateLogarithm(Net):
    def between(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden if self.training else torch.log(hidden - 1)


def test_a_validation_loss_that_is_not_finite_names_the_operation_too() -> None:
    said = refusal(LateLogarithm)
    assert re.search(rf"epoch 1, validation loss, layer 'LateLogarithm' {HERE}: found", said)
    assert "made by log" in said


class Inner(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values / (values * 0)


class Nested(Net):
    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Linear(3, 8), Inner())


def test_the_innermost_layer_is_named_by_its_place_in_the_module() -> None:
    assert re.search(rf"layer 'block\.1' {HERE}: found .*made by div", refusal(Nested))


class Overflow(Net):
    def between(self, hidden: torch.Tensor) -> torch.Tensor:
        return torch.exp(hidden.abs() * 1e4)


def test_values_beyond_32_bits_are_told_as_infinite() -> None:
    data = examples()
    found = str(not_finite(Overflow(), data, where="epoch 1, step 1"))
    assert re.search(rf"epoch 1, step 1, layer 'Overflow' {HERE}: found \d+ of 384 values", found)
    assert "values infinite, shape [32, 12], made by exp, of values in [" in found
    assert "Look for an exponential" in found


class Masked(Net):
    """Minus infinity is meant here: a softmax makes 0 of it. The NaN comes later."""

    def between(self, hidden: torch.Tensor) -> torch.Tensor:
        masked = hidden.masked_fill(hidden > 0, float("-inf"))
        masked[:, 0] = 0.0
        return torch.softmax(masked, dim=1) * torch.sqrt(-1 - hidden.abs())


def test_a_mask_of_an_attention_is_not_blamed_for_a_nan_after_it() -> None:
    assert "made by sqrt" in refusal(Masked)


def test_what_is_finite_has_no_culprit() -> None:
    module, data = Net(), examples()
    assert first_culprit(module, lambda: module(**data.tensors)) is None


def test_a_feature_that_is_not_finite_is_named() -> None:
    data = examples()
    data.tensors["x"][3, 1] = float("inf")
    said = refusal(Net, data=data)
    assert "feature tensor 'x': found 1 of 24 values infinite" in said
    assert "Bound the field in the schema" in said


class Rooted(Net):
    """The root's slope at 0 is infinite, its value 0: the loss is finite, the gradient is not."""

    def between(self, hidden: torch.Tensor) -> torch.Tensor:
        return torch.sqrt(hidden * 0)


def test_the_first_parameter_whose_gradient_is_not_finite_is_named_with_the_derivative() -> None:
    said = refusal(Rooted, settings=dataclasses.replace(SETTINGS, accumulate=1))
    assert re.search(r"step 1, gradient of 'block\.0\.weight': found \d+ of 24 values NaN", said)
    assert "by the derivative of mul" in said or "by the derivative of sqrt" in said
    assert "add a small number inside" in said


def test_gradients_that_are_finite_each_may_have_a_norm_that_is_not() -> None:
    found = gradient_not_finite(Net(), examples(), where="step 1")
    assert "a norm of all gradients that is not finite, though each gradient is" in str(found)


def test_without_clipping_the_weight_that_broke_is_named_at_the_next_step() -> None:
    said = refusal(Rooted, settings=dataclasses.replace(SETTINGS, clip_norm=None))
    assert "step 2, parameter 'block.0.weight': found" in said
    assert "The step before broke them: lower learning_rate" in said


class TooWide(Net):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(13, 1)


def test_wrong_shapes_name_the_layer_its_input_and_the_line() -> None:
    said = refusal(TooWide)
    assert re.search(rf"step 1, TooWide\.forward, layer 'head' {HERE}: found RuntimeError: ", said)
    assert "cannot be multiplied (8x12 and 13x1)" in said
    assert "Linear(in_features=13, out_features=1, bias=True) got input [8, 12]" in said
    assert "x [8, 3], carrier [8]. Compare the module's layers" in said


class FewCarriers(Net):
    def __init__(self) -> None:
        super().__init__()
        self.carriers = nn.Embedding(3, 4)


def test_a_code_beyond_an_embedding_says_how_large_it_must_be() -> None:
    said = refusal(FewCarriers)
    assert "FewCarriers.forward, layer 'carriers'" in said
    assert "found IndexError: index out of range" in said
    assert "as many rows as its tensor's cardinality" in said


class Raises(Net):
    def between(self, hidden: torch.Tensor) -> torch.Tensor:
        raise ValueError("the user's own words")


def test_an_exception_of_the_users_code_keeps_its_file_and_line() -> None:
    said = refusal(Raises)
    line = next(
        n for n, text in enumerate(Path(__file__).read_text().splitlines(), 1)
        if "raise ValueError(\"the user's own words\")" in text
    )  # fmt: skip
    assert f"{Path(__file__).name}:{line}): found ValueError: the user's own words" in said


class UsesNumpy(Net):
    def between(self, hidden: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(hidden.numpy())


def test_numpy_inside_forward_is_refused_before_the_first_step() -> None:
    with pytest.raises(BadModel) as refused:
        probe(UsesNumpy(), GRAPH, examples(), TWO)
    said = str(refused.value)
    assert re.search(rf"a first look, UsesNumpy\.forward {HERE}: found RuntimeError", said)
    assert "Compute with torch instead of numpy" in said


class InPlaceOnGradient(Net):
    def between(self, hidden: torch.Tensor) -> torch.Tensor:
        self.head.weight += 1
        return hidden


def test_a_weight_that_is_changed_in_place_is_told_how_to_write_it() -> None:
    assert "Write y = y + 1 instead of y += 1" in refusal(InPlaceOnGradient)


class ChangesInput(Net):
    def forward(self, x: torch.Tensor, carrier: torch.Tensor) -> Any:
        x.mul_(2)
        return super().forward(x, carrier)


def test_an_input_that_is_changed_in_place_is_named() -> None:
    with pytest.raises(BadModel, match=r"the tensor 'x' \[2, 3\] changed in place.*x\.clone\(\)"):
        probe(ChangesInput(), GRAPH, examples(), TWO)


class Forgets(Net):
    def forward(self, x: torch.Tensor) -> Any:  # type: ignore[override]
        return self.block(x)[:, 0]


class Wants(Net):
    def forward(self, x: torch.Tensor, carier: torch.Tensor) -> Any:
        return super().forward(x, carier)


class WantsMore(Net):
    def forward(self, x: torch.Tensor, carrier: torch.Tensor, dest: Any = None) -> Any:
        return super().forward(x, carrier)


class TakesAll(Net):
    def forward(self, **tensors: torch.Tensor) -> Any:  # type: ignore[override]
        return super().forward(**tensors)


def test_a_feature_that_forward_has_no_parameter_for_is_named() -> None:
    said = (
        r"Forgets\.forward: found no parameter for the feature 'carrier'; expected parameters "
        r"named as the features: x float32 \[rows, 3\], carrier int64 \[rows\]\. Add the parameter"
    )
    with pytest.raises(BadModel, match=said):
        probe(Forgets(), GRAPH, examples(), TWO)


def test_a_parameter_that_no_feature_makes_is_named_with_the_nearest() -> None:
    said = r"found parameter 'carier', which no feature makes.*Did you mean 'carrier'\?"
    with pytest.raises(BadModel, match=said):
        probe(Wants(), GRAPH, examples(), TWO)


def test_a_parameter_with_a_default_and_a_module_that_takes_all_are_fine() -> None:
    probe(WantsMore(), GRAPH, examples(), TWO)
    probe(TakesAll(), GRAPH, examples(), TWO)


class Returns(Net):
    def __init__(self, made: Any) -> None:
        super().__init__()
        self.made = made

    def forward(self, x: torch.Tensor, carrier: torch.Tensor) -> Any:
        return self.made(super().forward(x, carrier))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda y: (y, y), r"for 2 rows a tuple of 2: \[2\], \[2\]; .*Return the logits alone"),
        (lambda y: {"loss": None, "logits": y}, r"a dict of 2: 'loss': NoneType, 'logits': \[2\]"),
        (lambda y: None, r"an answer of type NoneType.*Return the logits alone"),
        (lambda y: (y > 0).long(), r"found logits of int64; expected real numbers"),
        (lambda y: y.mean(), r"an answer of shape \[\]; expected one logit per row"),
    ],
)
def test_an_answer_that_is_no_logits_is_told_as_what_it_is(made: Any, said: str) -> None:
    with pytest.raises(BadModel, match=said):
        probe(Returns(made), GRAPH, examples(), TWO)


def three() -> nn.Module:
    class Three(Net):
        def forward(self, x: torch.Tensor, carrier: torch.Tensor) -> Any:
            return self.head(torch.cat([self.block(x), self.carriers(carrier)], dim=1))

    return Three(3)


def test_a_label_outside_the_classes_is_refused_with_its_row_and_value() -> None:
    said = (
        r"label 'kind', training rows: found \d+ of 32 labels that are not 0 to 2, such as 3, 4, "
        r"first in row \d+; expected the places of the task's 3 classes"
    )
    with pytest.raises(BadData, match=said):
        probe(three(), GRAPH, examples(classes=5), THREE)


def test_a_label_beyond_the_answers_is_told_in_a_step_too() -> None:
    said = refusal(three, data=examples(classes=5))
    assert re.search(r"step 1, labels: found \d+ of 8 labels that are not 0 to 2, such as", said)
    assert "Give the last layer one output per class of the task" in said


def test_labels_between_0_and_1_are_none_of_two_classes() -> None:
    assert outside_classes(torch.tensor([0.0, 1.0, 0.5]), 2) == (
        "1 of 3 labels that are not 0 and 1, such as 0.5, first in row 2"
    )
    assert outside_classes(torch.tensor([0, 5]), 0) == ""


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to ..."),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        MemoryError(),
    ],
)
def test_a_batch_that_memory_does_not_suffice_for_says_what_to_set(error: Exception) -> None:
    found = failed(error, Net(), examples(8), settings=SETTINGS, where="epoch 1, step 1")
    said = str(found)
    assert "found no memory for a part of 8 rows (x [8, 3], carrier [8])" in said
    assert "Set batch_size=8, or keep 16 and compute it in more parts: accumulate=4." in said


class Huge(Net):
    def between(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden + torch.empty(1 << 50)[:1]


def test_memory_that_is_really_not_there_is_told_so() -> None:
    said = refusal(Huge)
    assert "found no memory for a part of 8 rows" in said
    assert "allocate" in said


def test_one_row_for_batch_norm_names_the_settings() -> None:
    class Normed(Net):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8))

    settings = dataclasses.replace(SETTINGS, batch_size=1, accumulate=1)
    with pytest.raises(BadModel, match=r"layer 'block.1'.*Raise batch_size, or lower accumulate"):
        train(Normed, training=examples(), validation=examples(), settings=settings)


def test_an_error_that_is_no_matter_of_shapes_points_at_its_line() -> None:
    class Looks(Net):
        def forward(self, x: Any, carrier: Any) -> Any:
            raise KeyError("weights")

    with pytest.raises(BadModel, match=rf"{HERE}: found KeyError: 'weights'.*Mend that line"):
        probe(Looks(), GRAPH, examples(), TWO)
