from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from torchyard.core.errors import BadModel
from torchyard.records.schema import Task
from torchyard.records.training import Epoch, FeatureGraph, FeatureTensor, Training
from torchyard.train import (
    Examples,
    Watch,
    load_weights,
    predict_logits,
    probe,
    save_weights,
    train,
)

SETTINGS = Training(max_epochs=4, batch_size=64, learning_rate=1e-2, seed=3)
GRAPH = FeatureGraph(
    digest="sha256:0",
    inputs=("x",),
    tensors=(
        FeatureTensor(
            name="x", dtype="float32", shape=(3,), cardinality=0, fields=("x",), operation="o"
        ),
    ),
    fitted_rows=1,
)
TWO = Task(kind="binary_classification", label="late", classes=("no", "yes"))
FOUR = Task(kind="multiclass_classification", label="kind", classes=("a", "b", "c", "d"))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(x)
        return logits.squeeze(1)


def examples(rows: int, seed: int = 0) -> Examples:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, 3)).astype(np.float32)
    return Examples.from_arrays({"x": x}, x[:, 0] + draw.normal(size=rows) > 0)


def fit(settings: Training = SETTINGS, **changes: Any) -> Any:
    return train(
        changes.pop("build", Net),
        training=changes.pop("training", examples(512)),
        validation=examples(256, seed=1),
        settings=settings,
        **changes,
    )


def test_training_learns_and_keeps_the_best_epoch() -> None:
    class Seen(Watch):
        def __init__(self) -> None:
            self.epochs: list[Epoch] = []

        def on_epoch(self, epoch: Epoch) -> None:
            self.epochs.append(epoch)

    seen = Seen()
    trained = fit(watch=seen)
    assert tuple(seen.epochs) == trained.curve
    losses = [epoch.validation_loss for epoch in trained.curve]
    assert losses[trained.best_epoch - 1] == min(losses)
    assert min(losses) < 0.65 < np.log(2)
    logits = predict_logits(trained.module, examples(256, seed=1))
    labels = torch.from_numpy(logits), examples(256, seed=1).labels.double()
    again = float(functional.binary_cross_entropy_with_logits(*labels))
    assert again == pytest.approx(min(losses), rel=1e-6)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path: Path) -> None:
    def digest(settings: Training) -> str:
        return save_weights(fit(settings).module, tmp_path / "weights.safetensors")

    first = digest(SETTINGS)
    assert digest(SETTINGS) == first
    assert digest(dataclasses.replace(SETTINGS, seed=4)) != first


def trained_plainly(build: Any, data: Examples, loss_of: Any) -> dict[str, torch.Tensor]:
    """The weights after an epoch of 512 rows."""
    torch.manual_seed(SETTINGS.seed)
    plain = build()
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-2, weight_decay=1e-4, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8)
    order = torch.Generator().manual_seed(SETTINGS.seed * 1_000_003 + 1)
    for chosen in torch.randperm(512, generator=order).reshape(-1, 64):
        loss = loss_of(plain(data.tensors["x"][chosen]), data.labels[chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    weights: dict[str, torch.Tensor] = plain.state_dict()
    return weights


def test_the_loop_equals_a_plain_pytorch_loop() -> None:
    """Same seed, same order, same arithmetic: what Fabric adds must change no bit."""
    data = examples(512)
    plain = trained_plainly(Net, data, functional.binary_cross_entropy_with_logits)
    ours = fit(dataclasses.replace(SETTINGS, max_epochs=1)).module
    for name, weight in plain.items():
        assert torch.equal(weight, ours.state_dict()[name]), name


def test_training_stops_when_validation_no_longer_improves() -> None:
    class Fixed(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * 0

    trained = fit(dataclasses.replace(SETTINGS, max_epochs=50, patience=2), build=Fixed)
    assert (len(trained.curve), trained.best_epoch) == (3, 1)


def test_a_loss_that_is_not_a_number_is_refused() -> None:
    class Wild(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * float("nan")

    with pytest.raises(BadModel, match=r"step 1, layer 'Wild' \(.*py:\d+\): found 64 of 64"):
        fit(build=Wild)


class TakesOther(Net):
    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return super().forward(numbers)


class TwoLogits(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :2]


class FourLogits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(x)
        return logits


class Triple(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x, x, x  # type: ignore[return-value]


class NotFinite(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) / 0


class WrongSize(Net):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 1))


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (TakesOther, r"'numbers', which no feature makes; .*x float32 \[rows, 3\]"),
        (TwoLogits, r"an answer of shape \[2, 2\]; expected one logit per row"),
        (NotFinite, "not finite"),
        (WrongSize, "shapes cannot be multiplied"),
    ],
)
def test_a_module_that_does_not_fit_is_refused_before_training(build: Any, said: str) -> None:
    with pytest.raises(BadModel, match=said):
        probe(build(), GRAPH, examples(8), TWO)


def test_a_module_that_fits_passes_the_probe() -> None:
    probe(Net(), GRAPH, examples(8), TWO)
    probe(FourLogits(), GRAPH, examples(8), FOUR)


@pytest.mark.parametrize(
    ("build", "found"),
    [
        (Net, r"answer of shape \[2\]"),
        (TwoLogits, r"shape \[2, 2\]"),
        (Triple, r"a tuple of 3: .*"),
    ],
)
def test_logits_of_other_classes_are_refused(build: Any, found: str) -> None:
    said = rf"{found}; expected a logit of each of the 4 classes per row, shape \[2, 4\]"
    with pytest.raises(BadModel, match=said):
        probe(build(), GRAPH, examples(8), FOUR)


def classed(rows: int, seed: int = 0) -> Examples:
    """Rows of the class whose direction they lie in, of four."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, 3)).astype(np.float32)
    return Examples.from_arrays({"x": x}, (x[:, 0] > 0) * np.int64(2) + (x[:, 1] > 0))


def test_many_classes_are_learnt_by_their_cross_entropy() -> None:
    trained = train(
        FourLogits, training=classed(512), validation=classed(256, seed=1), settings=SETTINGS
    )
    losses = [epoch.validation_loss for epoch in trained.curve]
    assert min(losses) < 1.3 < np.log(4)
    logits = predict_logits(trained.module, classed(256, seed=1))
    assert (logits.shape, logits.dtype) == ((256, 4), np.float64)
    again = functional.cross_entropy(torch.from_numpy(logits), classed(256, seed=1).labels)
    assert float(again) == pytest.approx(min(losses), rel=1e-6)


def test_many_classes_train_as_a_plain_pytorch_loop() -> None:
    data = classed(512)
    plain = trained_plainly(FourLogits, data, functional.cross_entropy)
    settings = dataclasses.replace(SETTINGS, max_epochs=1)
    ours = train(FourLogits, training=data, validation=classed(64), settings=settings).module
    for name, weight in plain.items():
        assert torch.equal(weight, ours.state_dict()[name]), name


def test_weights_come_back_and_another_module_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    module = fit().module
    save_weights(module, path)
    again = load_weights(Net(), path)
    assert not again.training
    assert all(
        torch.equal(a, b) for a, b in zip(module.parameters(), again.parameters(), strict=True)
    )
    with pytest.raises(BadModel, match=r"the weights of WrongSize.*train it again"):
        load_weights(WrongSize(), path)


class Normalized(Net):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))


@pytest.mark.parametrize("size", [64, 1])
def test_a_single_row_left_over_goes_with_the_batch_before_it(size: int) -> None:
    seen: list[int] = []

    class Counts(Normalized if size > 1 else Net):  # type: ignore[misc]
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training:
                seen.append(len(x))
            return super().forward(x)  # type: ignore[no-any-return]

    settings = dataclasses.replace(SETTINGS, batch_size=size, max_epochs=1)
    fit(settings, build=Counts, training=examples(2 * size + 1))
    assert seen == ([64, 65] if size > 1 else [1, 1, 1])


def test_a_module_without_anything_to_learn_is_refused() -> None:
    frozen = Net().requires_grad_(False)
    with pytest.raises(BadModel, match="Net: found no parameter that can be trained"):
        fit(build=lambda: frozen)


def test_what_fails_only_in_training_is_refused_before_it() -> None:
    class Fails(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.reshape(3, -1) if self.training else x)

    with pytest.raises(BadModel, match=r"Fails.forward.*: found RuntimeError"):
        probe(Fails(), GRAPH, examples(8), TWO)


def test_tied_weights_are_kept_and_come_back(tmp_path: Path) -> None:
    class Tied(Net):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 1))
            self.layers[1].weight = self.layers[0].weight

    module = fit(build=Tied).module
    save_weights(module, tmp_path / "weights.safetensors")
    again: Any = load_weights(Tied(), tmp_path / "weights.safetensors")
    first, second, _ = again.layers
    assert first.weight is second.weight
    assert torch.equal(first.weight, module.layers[0].weight)
