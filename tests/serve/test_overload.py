"""More load than there is capacity, in simulation: what is answered in time, and for whom."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator

import pytest

from tests.serve.simulated import Model, Outcome, Worker, poisson

DEAR = Model(0.005, 0.004, max_batch_rows=8, is_cheap=False, jitter=0.1)
SLOW_ROWS = Model(0.0, 0.020, max_batch_rows=1, is_cheap=False, jitter=0.3)
ON_LOOP = Model(0.0001, 0.0003, max_batch_rows=6, is_cheap=True, jitter=0.1)


def seconds_of(model: Model) -> float:
    """So long that thousands ask."""
    return 1.0 if model.is_cheap else 4.0


def load(
    model: Model, factor: float, *, objective_s: float, promised_s: float | None = None
) -> tuple[float, Outcome]:
    """The goodput as a share of the capacity, and what became of the requests."""
    capacity, seconds = model.rows_per_s(2), seconds_of(model)
    worker = Worker(model)

    def ask(at: float) -> None:
        worker.ask("c", arrived=at, objective_s=objective_s, promised_s=promised_s)

    worker.loop.run(poisson(factor * capacity, seconds, ask, seed=3))
    (outcome,) = worker.outcomes
    return outcome.goodput() / (capacity * seconds), outcome


@pytest.mark.parametrize(
    ("model", "objective_s"), [(DEAR, 0.25), (DEAR, 0.1), (SLOW_ROWS, 0.15), (ON_LOOP, 0.05)]
)
def test_goodput_stays_at_five_times_the_capacity(model: Model, objective_s: float) -> None:
    goodput = {factor: load(model, factor, objective_s=objective_s)[0] for factor in (0.5, 1, 2)}
    at_five, outcome = load(model, 5, objective_s=objective_s)

    assert goodput[0.5] == pytest.approx(0.5, rel=0.1)
    floor = 0.9 if model is not ON_LOOP else 0.75  # there the loop itself reads and refuses
    assert at_five >= floor * max(goodput.values())
    assert sum(outcome.late.values()) <= 0.01 * outcome.asked["c"]
    refusal_s = sorted(outcome.refusal_s)
    assert refusal_s[int(0.99 * len(refusal_s))] < 0.005


def test_without_admission_almost_nothing_is_answered_in_time() -> None:
    goodput, outcome = load(DEAR, 2, objective_s=0.25, promised_s=1e9)

    assert goodput < 0.2
    assert not outcome.refused


@pytest.mark.parametrize("sealed", [0.2, 5.0])
def test_measurements_from_another_machine_are_put_right(sealed: float) -> None:
    model = Model(0.005, 0.004, max_batch_rows=8, is_cheap=False, sealed=sealed)
    goodput, outcome = load(model, 2, objective_s=0.25)

    assert goodput > 0.9
    assert sum(outcome.late.values()) <= 0.01 * outcome.asked["c"]


def test_batches_are_no_longer_than_requests_have_time_for() -> None:
    large = Model(0.001, 0.004, max_batch_rows=64, is_cheap=False, jitter=0.1)  # 257 ms a batch
    goodput = {factor: load(large, factor, objective_s=0.25)[0] for factor in (1, 5)}

    assert goodput[5] >= 0.9
    assert goodput[1] >= 0.9


def test_batches_stay_large_where_small_ones_would_waste_the_lanes() -> None:
    fixed = Model(0.05, 0.001, max_batch_rows=32, is_cheap=False, jitter=0.1)
    goodput, _ = load(fixed, 5, objective_s=0.3)

    assert goodput >= 0.9


def test_the_same_load_has_the_same_outcome() -> None:
    assert load(DEAR, 2, objective_s=0.1) == load(DEAR, 2, objective_s=0.1)


def together(
    worker: Worker, *streams: Iterator[tuple[float, Callable[[], None]]]
) -> tuple[Outcome, ...]:
    worker.loop.run(heapq.merge(*streams, key=lambda arrival: arrival[0]))
    return tuple(worker.outcomes)


@pytest.mark.parametrize("model", [DEAR, ON_LOOP])
@pytest.mark.parametrize("share", [0.1, 0.45])
def test_a_polite_client_is_answered_beside_a_flood(model: Model, share: float) -> None:
    capacity, seconds = model.rows_per_s(2), seconds_of(model)
    worker = Worker(model)

    def ask(client: str) -> Callable[[float], None]:
        return lambda at: worker.ask(client, arrived=at, objective_s=0.25)

    (outcome,) = together(
        worker,
        poisson(4 * capacity, seconds, ask("flood"), seed=1),
        poisson(share * capacity, seconds, ask("polite"), seed=2),
    )

    assert outcome.in_time["polite"] >= 0.97 * outcome.asked["polite"]
    assert outcome.goodput() >= (0.9 if model is DEAR else 0.7) * capacity * seconds


def test_clients_that_all_want_too_much_get_equal_parts() -> None:
    capacity = DEAR.rows_per_s(2)
    worker = Worker(DEAR)

    def ask(client: str) -> Callable[[float], None]:
        return lambda at: worker.ask(client, arrived=at, objective_s=0.25)

    factors = {"a": 0.6, "b": 1.0, "c": 3.0}
    (outcome,) = together(
        worker,
        *(
            poisson(factor * capacity, 5.0, ask(client), seed=seed)
            for seed, (client, factor) in enumerate(factors.items())
        ),
    )

    for client in factors:
        assert outcome.in_time[client] == pytest.approx(capacity * 5 / 3, rel=0.12)


def test_a_dear_model_does_not_starve_one_that_is_less_dear() -> None:
    dear = Model(0.0, 0.025, max_batch_rows=8, is_cheap=False)  # 200 ms a batch
    light = Model(0.0, 0.005, max_batch_rows=1, is_cheap=False)
    worker = Worker(dear, light)

    def ask(model: int) -> Callable[[float], None]:
        return lambda at: worker.ask("c", model=model, arrived=at, objective_s=1.0)

    of_dear, of_light = together(
        worker,
        poisson(5 * dear.rows_per_s(2), 10.0, ask(0), seed=1),
        poisson(0.05 * light.rows_per_s(2), 10.0, ask(1), seed=2),
    )

    assert of_light.in_time["c"] >= 0.99 * of_light.asked["c"]
    assert of_dear.goodput() >= 0.8 * 0.95 * dear.rows_per_s(2) * 10.0
