"""Batches: who shares one, who is refused, and that nobody gets another's answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.serve.calling import Asked
from torchyard.core.errors import Overloaded
from torchyard.serve.admission.cost import BatchCost
from torchyard.serve.admission.lanes import Lanes
from torchyard.serve.batching import LARGEST_ON_LOOP_BYTES, Batcher
from torchyard.serve.engine import Scores

FOREVER = 1e9


class Bench:
    """A batcher over a recording model that answers each row with its own value."""

    def __init__(self, score: Callable[[Sequence[Any]], Scores] | None = None, **changes: Any):
        self.batches: list[list[Any]] = []
        self.observed: list[int] = []
        self.answers: dict[str, Scores | Exception] = {}
        self.now = 0.0
        lane_count, is_cheap = changes.pop("lane_count", 1), changes.pop("is_cheap", True)
        self._score = score or (lambda rows: [[float(row)] for row in rows])
        loop = asyncio.get_running_loop()
        self.lanes = Lanes(
            ThreadPoolExecutor(lane_count), count=lane_count, loop=loop, clock=lambda: self.now
        )
        measured = changes.pop("measured", [(1, 1e-6), (8, 2e-6)])

        def batcher(lanes: Lanes | None, larger: Batcher | None) -> Batcher:
            settings = {"max_batch_rows": 8, "max_queue_bytes": 1_000_000, **changes}
            return Batcher(
                self._record,
                loop=loop,
                lanes=lanes,
                larger=larger,
                cost=BatchCost(measured),
                clock=lambda: self.now,
                observe=lambda batch, *_: self.observed.append(sum(len(one.rows) for one in batch)),
                **settings,
            )

        on_lanes = batcher(self.lanes, None)
        self.batcher = batcher(None, on_lanes) if is_cheap else on_lanes

    def _record(self, rows: Sequence[Any]) -> Scores:
        self.batches.append(list(rows))
        return self._score(rows)

    def ask(
        self,
        name: str,
        *rows: float,
        deadline: float = FOREVER,
        size_bytes: int = 10,
        client: str = "a client",
    ) -> None:
        def done(answer: Scores | Exception) -> None:
            assert name not in self.answers, "answered twice"
            self.answers[name] = answer

        call = Asked(size_bytes=size_bytes, client=client)
        self.batcher.submit(call, list(rows), deadline, done)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.answers) < count:
                await asyncio.sleep(0.001)


def run(scenario: Callable[[], Any]) -> None:
    asyncio.run(scenario())


def test_what_came_in_one_turn_shares_a_batch() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.ask("a", 1)
        bench.ask("b", 2, 3)
        bench.ask("c", 4)
        assert bench.batches == []
        await bench.until(3)
        assert bench.batches == [[1, 2, 3, 4]]
        assert bench.answers == {"a": [[1.0]], "b": [[2.0], [3.0]], "c": [[4.0]]}
        assert bench.observed == [4]

    run(scenario)


def test_a_lone_request_waits_for_nobody() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.ask("a", 1)
        await asyncio.sleep(0)  # exactly one turn of the loop
        assert bench.answers == {"a": [[1.0]]}

    run(scenario)


def test_batches_are_capped_and_keep_requests_whole() -> None:
    async def scenario() -> None:
        bench = Bench(max_batch_rows=4)
        for name, count in {"a": 3, "b": 2, "c": 2, "d": 1}.items():
            bench.ask(name, *[1] * count)
        await bench.until(4)
        assert [len(batch) for batch in bench.batches] == [3, 4, 1]

    run(scenario)


def test_a_request_larger_than_the_cap_leaves_the_loop() -> None:
    async def scenario() -> None:
        threads: list[str] = []

        def score(rows: Sequence[Any]) -> Scores:
            threads.append(threading.current_thread().name)
            return [[float(row)] for row in rows]

        bench = Bench(score, max_batch_rows=4)
        bench.ask("big", *range(5))
        bench.ask("small", 1)
        await bench.until(2)
        assert bench.answers["big"] == [[float(n)] for n in range(5)]
        assert sorted(name.split("-")[0] for name in threads) == [
            "MainThread",
            "ThreadPoolExecutor",
        ]

    run(scenario)


def test_a_dear_model_batches_what_queued_while_it_ran() -> None:
    async def scenario() -> None:
        gate = threading.Event()

        def score(rows: Sequence[Any]) -> Scores:
            assert gate.wait(5)
            return [[float(row)] for row in rows]

        bench = Bench(score, is_cheap=False)
        bench.ask("first", 0)
        await asyncio.sleep(0.01)
        for number in range(1, 6):
            bench.ask(str(number), number)
        await asyncio.sleep(0.01)
        gate.set()
        await bench.until(6)
        assert bench.batches == [[0], [1, 2, 3, 4, 5]]
        assert bench.answers["4"] == [[4.0]]

    run(scenario)


def test_lanes_run_side_by_side() -> None:
    async def scenario() -> None:
        both = threading.Barrier(2)

        def score(rows: Sequence[Any]) -> Scores:
            both.wait(5)  # breaks unless two calls are in it at once
            return [[float(row)] for row in rows]

        bench = Bench(score, is_cheap=False, lane_count=2, max_batch_rows=1)
        bench.ask("a", 1)
        bench.ask("b", 2)
        await bench.until(2)
        assert bench.answers == {"a": [[1.0]], "b": [[2.0]]}

    run(scenario)


def test_a_bad_row_fails_its_own_request_only() -> None:
    async def scenario() -> None:
        def score(rows: Sequence[Any]) -> Scores:
            return [[1 / row] for row in rows]

        bench = Bench(score)
        for name, row in {"a": 1, "b": 0, "c": 2}.items():
            bench.ask(name, row)
        await bench.until(3)
        assert (bench.answers["a"], bench.answers["c"]) == ([[1.0]], [[0.5]])
        assert isinstance(bench.answers["b"], ZeroDivisionError)

    run(scenario)


def test_a_client_that_fails_to_take_its_answer_costs_no_other() -> None:
    async def scenario() -> None:
        problems: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: problems.append(context)
        )
        bench = Bench()

        def broken(_: Scores | Exception) -> None:
            raise ConnectionError("gone")

        bench.ask("a", 1)
        bench.batcher.submit(Asked(), [9], FOREVER, broken)
        bench.ask("b", 2)
        await bench.until(2)
        assert bench.answers == {"a": [[1.0]], "b": [[2.0]]}
        assert [problem["message"] for problem in problems] == ["delivering an answer failed"]

    run(scenario)


def test_a_queue_that_takes_too_long_refuses_at_once_and_says_when_to_come_back() -> None:
    async def scenario() -> None:
        bench = Bench(measured=[(1, 1.0), (8, 4.5)])  # seconds: 0.5 and 0.5 a row
        bench.ask("a", *range(8), deadline=100.0)
        with pytest.raises(Overloaded) as caught:
            bench.ask("b", 1, deadline=9.0)  # a batch of 4.5 s and one of up to 4.5 s
        assert caught.value.found == "a wait of 9000 ms"
        assert caught.value.expected == "an answer before the deadline"
        assert caught.value.remedy.startswith("Try again after 5 s, ")
        assert caught.value.retry_after_s == 5
        bench.ask("c", 1, deadline=11.3)  # a fifth of the time stays in hand
        await bench.until(2)

    run(scenario)


def test_a_model_at_rest_is_asked_whatever_it_is_expected_to_take() -> None:
    async def scenario() -> None:
        bench = Bench(measured=[(1, 1000.0)])
        bench.ask("a", 1, deadline=1.0)
        await bench.until(1)
        assert bench.answers == {"a": [[1.0]]}

    run(scenario)


def test_a_queue_that_is_full_of_large_bodies_refuses_too() -> None:
    async def scenario() -> None:
        bench = Bench(max_queue_bytes=1000)
        bench.ask("a", 1, size_bytes=600)
        with pytest.raises(Overloaded) as caught:
            bench.ask("b", 2, size_bytes=401)
        assert caught.value.found == "600 bytes waiting"
        assert caught.value.expected == "at most 1000 with this request's"
        bench.ask("c", 3, size_bytes=400)
        await bench.until(2)
        bench.ask("larger than the queue, but alone", 4, size_bytes=5000)
        await bench.until(3)

    run(scenario)


def test_a_large_body_leaves_the_loop_and_small_ones_do_not_wait_for_it() -> None:
    async def scenario() -> None:
        gate = threading.Event()

        def score(rows: Sequence[Any]) -> Scores:
            if rows[0] == 9:
                assert gate.wait(5)
            return [[float(row)] for row in rows]

        bench = Bench(score, lane_count=2)
        bench.ask("small", 1)
        bench.ask("large", 9, size_bytes=LARGEST_ON_LOOP_BYTES + 1)
        bench.ask("after", 2)
        bench.ask("too", 3)
        await bench.until(3)
        assert bench.answers.keys() == {"small", "after", "too"}
        assert sorted(bench.batches) == [[1, 2, 3], [9]]
        assert "large" not in bench.answers
        gate.set()
        await bench.until(4)

    run(scenario)


def test_what_batches_take_is_learnt() -> None:
    async def scenario() -> None:
        bench: Bench

        def score(rows: Sequence[Any]) -> Scores:
            bench.now += 1.0 * len(rows)
            return [[float(row)] for row in rows]

        bench = Bench(score, measured=[(1, 0.3), (8, 2.4)])
        with pytest.raises(Overloaded, match="found a deadline that passed"):
            bench.ask("late already", 1, deadline=0.0)
        for _ in range(200):
            count = len(bench.answers)
            bench.ask(f"warm {count}", 1)
            await bench.until(count + 1)
        bench.ask("ahead", 1, 2, 3)
        with pytest.raises(Overloaded, match=r"found a wait of (39|40)\d\d ms"):
            bench.ask("too late", 1, deadline=bench.now + 4.8)
        bench.ask("just right", 1, deadline=bench.now + 5.2)

    run(scenario)


def test_a_client_that_has_less_waiting_takes_the_place_of_one_that_has_more() -> None:
    async def scenario() -> None:
        bench = Bench(measured=[(1, 1.0), (8, 8.0)], max_batch_rows=1)
        for number in range(9):
            bench.ask(f"flood {number}", number, deadline=12.0, client="flood")
        with pytest.raises(Overloaded, match="found a wait of 10000 ms"):
            bench.ask("one too many", 9, deadline=12.0, client="flood")
        bench.ask("polite", 100, deadline=12.0, client="polite")
        await bench.until(10)
        refusal = bench.answers["flood 8"]
        assert isinstance(refusal, Overloaded)
        assert (refusal.found, refusal.expected) == ("more of this client's waiting", "its share")
        assert [100] in bench.batches[:2]
        assert [8] not in bench.batches

    run(scenario)


def test_large_bodies_of_one_client_leave_room_for_another() -> None:
    async def scenario() -> None:
        bench = Bench(max_queue_bytes=1000)
        for number in range(5):
            bench.ask(f"flood {number}", number, size_bytes=200, client="flood")
        with pytest.raises(Overloaded, match="found 1000 bytes waiting"):
            bench.ask("greedy", 1, size_bytes=600, client="polite")
        bench.ask("polite", 100, size_bytes=300, client="polite")
        await bench.until(6)
        refused = {name for name, answer in bench.answers.items() if isinstance(answer, Overloaded)}
        assert refused == {"flood 3", "flood 4"}

    run(scenario)


def test_a_request_is_refused_before_it_is_decoded() -> None:
    async def scenario() -> None:
        bench = Bench(measured=[(1, 1.0), (8, 8.0)], max_batch_rows=1)
        crowded = [bench.batcher.is_crowded]
        bench.batcher.check(Asked(), 0.1)  # at rest: the one way to learn
        bench.ask("a", 1, deadline=100.0)
        assert [*crowded, bench.batcher.is_crowded] == [False, True]
        with pytest.raises(Overloaded, match="found a wait of 2000 ms"):
            bench.batcher.check(Asked(), 2.0)
        bench.batcher.check(Asked(), 3.0)
        await bench.until(1)

    run(scenario)


def test_what_waited_past_its_deadline_is_refused_and_not_run() -> None:
    async def scenario() -> None:
        gate = threading.Event()

        def score(rows: Sequence[Any]) -> Scores:
            assert gate.wait(5)
            return [[float(row)] for row in rows]

        bench = Bench(score, is_cheap=False)
        bench.ask("running", 1)
        await asyncio.sleep(0.01)
        bench.ask("impatient", 2, deadline=0.01)
        bench.ask("patient", 3)
        bench.now = 0.02
        await bench.until(1)  # the timer refuses it while the lane is still taken
        assert isinstance(bench.answers["impatient"], Overloaded)
        assert "a deadline that passed" in str(bench.answers["impatient"])
        gate.set()
        await bench.until(3)
        assert bench.batches == [[1], [3]]

    run(scenario)
