"""A project's own training: what it is given, going on where it stood, and what it does wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from torchyard.core.errors import BadModel, Stopped
from torchyard.records.training import Epoch, FeatureGraph, FeatureTensor, Training
from torchyard.train import Checkpoints, Examples, Moment, Trained, Watch, first_difference
from torchyard.train.fitting import Fitting
from torchyard.train.loop import train
from torchyard.train.own_fit import train_by_fit
from torchyard.train.trace import digest_tensors

SETTINGS = Training(
    max_epochs=2, batch_size=50, learning_rate=1e-2, weight_decay=0.0, clip_norm=None,
    schedule="constant", optimizer="sgd", seed=5, patience=9, checkpoint_seconds=0,
)  # fmt: skip
BATCHES = 4
FEATURES = FeatureGraph(
    digest="sha256:0", inputs=("a",), fitted_rows=201,
    tensors=(FeatureTensor(
        name="x", dtype="float32", shape=(3,), cardinality=0, fields=("a",), operation="numbers"
    ),),
)  # fmt: skip


class Net(nn.Module):
    """Draws random numbers, and has buffers that batches change."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(x)
        return logits


def examples(rows: int, seed: int = 0) -> Examples:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, 3)).astype(np.float32)
    return Examples.from_arrays({"x": x}, x[:, 0] + draw.normal(size=rows) > 0)


def loop(context: Fitting, *, saves: bool = True) -> nn.Module:
    """The loop of torchyard, by hand: saves after every step."""
    module = context.build()
    optimizer = torch.optim.SGD(
        module.parameters(), lr=context.settings.learning_rate, momentum=0.9, nesterov=True,
        fused=True,
    )  # fmt: skip
    at: dict[str, Any] = {"epoch": 1, "batch": 0, "best": float("inf"), "kept": {}, "losses": []}
    if context.resumed:
        at = context.resumed["at"]
        module.load_state_dict(context.resumed["module"])
        optimizer.load_state_dict(context.resumed["optimizer"])
    while at["epoch"] <= context.settings.max_epochs:
        module.train()
        for batch in context.batches(at["epoch"], start=at["batch"]):
            loss = context.loss(module, batch)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            at["batch"] += 1
            at["losses"].append(loss.item())
            context.log(len(at["losses"]), loss=loss.item(), rate=0.01)
            if saves:
                context.save({
                    "at": at, "module": module.state_dict(), "optimizer": optimizer.state_dict(),
                })  # fmt: skip
        validation = context.validation_loss(module)
        if context.epoch(float(np.mean(at["losses"][-BATCHES:])), validation):
            at["kept"] = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        at.update(epoch=at["epoch"] + 1, batch=0)
    module.load_state_dict(at["kept"])
    return module


class Heard(Watch):
    def __init__(self, stop_after: int = 0) -> None:
        self.left = stop_after
        self.epochs: list[Epoch] = []
        self.metrics: list[tuple[int, dict[str, float]]] = []
        self.moments: list[Moment] = []

    def on_epoch(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)

    def on_metrics(self, step: int, values: Mapping[str, float]) -> None:
        self.metrics.append((step, dict(values)))

    def should_stop(self) -> str:
        self.left -= 1
        return "" if self.left > 0 or self.left < -1 else "asked to"


class Asked(Watch):
    def should_stop(self) -> str:
        return "asked to"


def fit(
    function: Any, folder: Path | None = None, watch: Watch | None = None, build: Any = Net
) -> Trained:
    return train_by_fit(
        function, build, training=examples(201), validation=examples(80, seed=1),
        settings=SETTINGS, features=FEATURES, watch=watch,
        checkpoints=Checkpoints(folder, every=0) if folder else None,
    )  # fmt: skip


def test_a_loop_of_ones_own_equals_torchyards() -> None:
    """Same seed, rows, order and arithmetic: the same bits, and the same curve."""
    watch = Heard(-1)
    mine = fit(loop, watch=watch)
    ours = train(Net, training=examples(201), validation=examples(80, seed=1), settings=SETTINGS)
    assert first_difference(mine.trace, ours.trace) is None
    assert digest_tensors(mine.module) == digest_tensors(ours.module)
    assert mine.best_epoch == ours.best_epoch
    validation = [[epoch.validation_loss for epoch in one.curve] for one in (mine, ours)]
    assert validation[0] == validation[1]
    assert tuple(watch.epochs) == mine.curve
    step, values = watch.metrics[-1]
    assert (step, set(values)) == (2 * BATCHES, {"loss", "rate"})
    assert not mine.module.training


def test_stopped_at_every_step_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = fit(loop)
    stops = 0
    while True:
        try:
            resumed = fit(loop, tmp_path, Heard(1))
        except Stopped:
            stops += 1
            continue
        break
    assert stops == resumed.resumes == 2 * BATCHES
    assert digest_tensors(resumed.module) == digest_tensors(whole.module)
    assert first_difference(resumed.trace, whole.trace) is None
    assert [e.validation_loss for e in resumed.curve] == [e.validation_loss for e in whole.curve]


def test_what_it_is_given() -> None:
    seen: list[Any] = []

    def looks(context: Fitting) -> nn.Module:
        assert context.resumed is None
        assert (context.training, context.validation) == (201, 80)
        assert context.features["x"].width == 3
        assert context.device.type in ("cpu", "cuda", "mps")
        assert [batch.rows for batch in context.batches(1)] == [50, 50, 50, 51]
        rest = list(context.batches(1, start=3))
        assert torch.equal(rest[0].labels, list(context.batches(1))[3].labels)
        assert list(context.batches(1, start=4)) == []
        assert sum(batch.rows for batch in context.validation_batches()) == 80
        one: Any = context.build()
        two = context.build()
        assert digest_tensors(one) == digest_tensors(two)
        one.train()
        one.layers[1].eval()
        context.validation_loss(one)
        assert one.training
        assert not one.layers[1].training
        seen.append(one)
        return one  # type: ignore[no-any-return]

    trained = fit(looks)
    assert seen
    assert (len(trained.curve), trained.best_epoch) == (1, 1)


def test_a_function_that_never_logs_has_a_curve_of_one_epoch() -> None:
    trained = fit(lambda context: context.build())
    (epoch,) = trained.curve
    again = Fitting(
        Net, training=examples(201), validation=examples(80, seed=1), settings=SETTINGS,
        features=FEATURES,
    ).validation_loss(trained.module)  # fmt: skip
    assert epoch.validation_loss == again
    assert epoch.train_loss > 0
    assert trained.notes == ()


def test_weights_of_no_epoch_are_measured() -> None:
    def averages(context: Fitting) -> nn.Module:
        module = context.build()
        context.epoch(0.7, 0.1)
        return module

    trained = fit(averages)
    assert (len(trained.curve), trained.best_epoch) == (2, 2)
    assert trained.notes == ("the weights that fit returned are of no epoch it told of",)


def test_a_function_that_never_saves_stops_between_two_steps(tmp_path: Path) -> None:
    with pytest.raises(Stopped, match=r"epoch 1, step 1: found asked to.*saved last is kept"):
        fit(lambda context: loop(context, saves=False), tmp_path, Asked())


def test_a_function_that_returns_when_it_was_told_to_stop_is_not_finished() -> None:
    def obeys(context: Fitting) -> nn.Module:
        assert context.should_stop
        return context.build()

    with pytest.raises(Stopped):
        fit(obeys, watch=Asked())


def test_asked_in_its_last_step_it_is_finished() -> None:
    def heard(context: Fitting) -> nn.Module:
        module = context.build()
        for batch in context.batches(1, start=BATCHES - 1):
            assert batch.rows == 51
        return module

    assert fit(heard, watch=Asked()).best_epoch == 1


def test_per_epoch_saves_go_on_from_there(tmp_path: Path) -> None:
    seen: list[int] = []

    def coarse(context: Fitting) -> nn.Module:
        module = context.build()
        first = context.resumed["epoch"] + 1 if context.resumed else 1
        for epoch in range(first, 4):
            seen.append(epoch)
            context.epoch(1.0, 1.0 / epoch)
            context.save({"epoch": epoch, "nested": ({"a": None}, torch.ones(2))})
        return module

    with pytest.raises(Stopped):
        fit(coarse, tmp_path, Asked())
    trained = fit(coarse, tmp_path)
    assert seen == [1, 2, 3]
    assert trained.resumes == 1
    assert [epoch.number for epoch in trained.curve] == [1, 2, 3, 4]


def nan_weights(context: Fitting) -> nn.Module:
    module = context.build()
    with torch.no_grad():
        module.layers[4].bias.fill_(float("nan"))  # type: ignore[index, union-attr]
    return module


def nan_loss(context: Fitting) -> Any:
    module = nan_weights(context)
    for batch in context.batches(1):
        context.log(1, loss=context.loss(module, batch).item())


def divides_by_zero(context: Fitting) -> Any:
    return 1 / 0


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda context: None, "found a return of NoneType; expected the trained nn.Module"),
        (lambda context: nn.Linear(7, 1), r"missing: layers.0.weight \[8, 3\].*unknown: weight"),
        (nan_weights, r"'layers.4.bias': found 1 of 1 values NaN"),
        (nan_loss, "fit, epoch 1, step 1, parameter 'layers.4.bias'"),
        (lambda context: context.log(3, loss=float("inf")), "step 3: found a loss of inf"),
        (lambda context: context.epoch(1.0, float("nan")), "epoch 1, validation_loss: found nan"),
        (divides_by_zero, r"divides_by_zero, .*test_fitting.py:\d+: found ZeroDivisionError"),
    ],
)
def test_what_a_function_does_wrong_is_told(function: Any, said: str) -> None:
    with pytest.raises(BadModel, match=said):
        fit(function)


def test_a_state_with_an_object_is_refused(tmp_path: Path) -> None:
    def pickles(context: Fitting) -> Any:
        context.save({"optimizer": torch.optim.SGD(context.build().parameters(), lr=1.0)})

    with pytest.raises(BadModel, match=r"state\['state'\]\['optimizer'\]: found torch.optim"):
        fit(pickles, tmp_path)


def test_a_compiled_or_wrapped_module_is_taken_for_what_it_wraps() -> None:
    def wraps(context: Fitting) -> nn.Module:
        return nn.Sequential(context.build())

    trained = fit(wraps)
    assert isinstance(trained.module, Net)


def test_settings_are_handed_on_as_they_are() -> None:
    def checks(context: Fitting) -> nn.Module:
        assert dataclasses.asdict(context.settings) == dataclasses.asdict(SETTINGS)
        return context.build()

    fit(checks)
