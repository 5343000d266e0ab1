"""Who is suspect after a death, who runs alone, who is refused: the parts, without processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serve.calling import Asked
from torchyard.core.errors import Quarantined
from torchyard.serve.engine import Engine, Scores
from torchyard.serve.quarantine.court import FILE, KEPT_S, Court, read_cases
from torchyard.serve.quarantine.digests import digest_of
from torchyard.serve.quarantine.guard import Guard, Turns
from torchyard.serve.quarantine.journal import (
    MOST_COPIED_BYTES,
    RING,
    SLOT_BYTES,
    SLOTS,
    Journal,
    memory,
)
from torchyard.serve.running import Waiting

GOOD, POISON = b'{"rows": [1]}', b'{"rows": [2]}'


@pytest.fixture(name="journal")
def _journal() -> Iterator[Journal]:
    journal = Journal(memory())
    yield journal
    journal.close()


class Trial:
    """A court over one worker, and that worker's guard."""

    def __init__(self, state: Path, engine: Engine) -> None:
        self.now = 1000.0
        self.state, self.engine = state, engine
        self.court = Court(state, workers=1, clock=lambda: self.now)
        self.restart()
        self.ran: list[list[bytes]] = []

    def restart(self) -> None:
        """The worker's process is another one, over the same memory."""
        self.journal = self.court.journals[0]
        self.guard = Guard(self.journal, lambda: read_cases(self.state / FILE))

    def die_of(self, *bodies: bytes, is_alone: bool = False) -> list[str]:
        slot = self.journal.begin("demo", self.engine.release, bodies, is_alone=is_alone)
        news = self.court.died(0)
        self.journal.end(slot)
        return news

    def run(self, *bodies: bytes) -> list[Scores | Exception]:
        batch = [waiting(body) for body in bodies]

        def score(rows: Sequence[Any]) -> Scores:
            running = [body for one in self.journal.under_way() for body in one.requests]
            self.ran.append(running)
            return [[float(row)] for row in rows]

        return self.guard.of(self.engine)(score, batch)


@pytest.fixture(name="trial")
def _trial(tmp_path: Path, engine: Engine) -> Iterator[Trial]:
    trial = Trial(tmp_path, engine)
    yield trial
    trial.court.close()


def waiting(body: bytes) -> Waiting:
    return Waiting(Asked(body=body), [1.0], len(body), 99.0, lambda _: None, 0.0, 99.0)


def test_what_runs_is_known_and_what_ended_is_not(journal: Journal) -> None:
    one = journal.begin("a", "sha256:aa", [GOOD, POISON])
    two = journal.begin("b", "sha256:bb", [GOOD], is_alone=True)
    found = {batch.model: batch for batch in journal.under_way()}
    assert found["a"].requests == [GOOD, POISON]
    assert found["a"].digests() == [digest_of("sha256:aa", GOOD), digest_of("sha256:aa", POISON)]
    assert (found["a"].is_alone, found["b"].is_alone) == (False, True)
    journal.end(one)
    assert [batch.model for batch in journal.under_way()] == ["b"]
    journal.end(two)
    assert journal.under_way() == []


def test_large_bodies_are_known_by_their_digests_alone(journal: Journal) -> None:
    large = bytes(MOST_COPIED_BYTES)
    journal.begin("a", "sha256:aa", [large, GOOD])
    (batch,) = journal.under_way()
    assert batch.are_digests
    assert batch.digests() == [digest_of("sha256:aa", large), digest_of("sha256:aa", GOOD)]


def test_a_batch_of_very_many_requests_fits(journal: Journal) -> None:
    journal.begin("a" * 64, "sha256:" + 64 * "a", [b""] * 100_000)
    journal.begin("a" * 64, "sha256:" + 64 * "a", [b"x" * 6] * 1400)
    assert [len(batch.requests) for batch in journal.under_way()] == [1400, 2000]


def test_more_batches_than_slots_run_without_being_known(journal: Journal) -> None:
    slots = [journal.begin("a", "r", [GOOD]) for _ in range(SLOTS + 3)]
    assert slots[SLOTS:] == [None, None, None]
    for slot in slots:
        journal.end(slot)
    assert journal.begin("a", "r", [GOOD]) is not None


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_whatever_a_dying_worker_wrote_is_read(content: bytes, length: int) -> None:
    journal = Journal(memory())
    slot = journal.begin("a", "r", [GOOD])
    assert slot is not None
    journal._bytes[slot : slot + 4] = length.to_bytes(4, "little")
    journal._bytes[slot + 4 : slot + 4 + len(content)] = content
    assert len(journal.under_way()) <= 1
    assert length <= SLOT_BYTES or journal.under_way() == []
    journal.close()


def test_acquittals_are_read_once_and_the_last_ones_if_there_are_many(journal: Journal) -> None:
    digests = [digest_of("r", str(number).encode()) for number in range(RING + 10)]
    journal.acquit(digests[0])
    found, since = journal.acquitted(0)
    assert (found, since) == (digests[:1], 1)
    for digest in digests[1:]:
        journal.acquit(digest)
    found, since = journal.acquitted(0)
    assert found == digests[10:]
    assert journal.acquitted(since) == ([], RING + 10)


def test_a_death_makes_suspects_and_the_second_one_names_the_culprit(trial: Trial) -> None:
    assert trial.die_of(GOOD, POISON) == []
    assert {case.kills for case in read_cases(trial.state / FILE)} == {1}
    trial.restart()
    assert trial.run(GOOD) == [[[1.0]]]
    trial.court.look()
    assert [case.digest for case in read_cases(trial.state / FILE)] == [
        digest_of(trial.engine.release, POISON).hex()
    ]
    (news,) = trial.die_of(POISON, is_alone=True)
    (case,) = read_cases(trial.state / FILE)
    assert (case.kills, case.is_quarantined, case.model) == (2, True, "demo")
    assert news == (
        "quarantine: a request to demo stopped workers 2 times and is refused from now on,"
        f" incident {case.incident}"
    )
    trial.restart()
    good, refused = trial.run(GOOD, POISON)
    assert good == [[1.0]]
    assert isinstance(refused, Quarantined)
    assert refused.found == f"one that stopped workers 2 times, incident {case.incident}"
    assert "torchyard status" in refused.remedy
    assert trial.guard.quarantined == 1


def test_a_suspect_runs_alone_and_after_the_others(trial: Trial) -> None:
    trial.die_of(POISON, GOOD)
    trial.restart()
    answers = trial.run(POISON, b"a", GOOD, b"b")
    assert answers == [[[1.0]]] * 4
    assert trial.ran == [[b"a", b"b"], [POISON], [GOOD]]


def test_nobody_is_condemned_by_a_death_in_company(trial: Trial) -> None:
    for _ in range(5):
        assert trial.die_of(GOOD, POISON) == []
    assert {case.kills for case in read_cases(trial.state / FILE)} == {1}


def test_beside_a_suspect_that_ran_alone_nobody_is_accused(trial: Trial) -> None:
    trial.die_of(POISON, b"other")
    trial.journal.begin("demo", trial.engine.release, [GOOD])  # began when the suspect hung
    (news,) = trial.die_of(POISON, is_alone=True)
    assert "stopped workers 2 times" in news
    digests = {case.digest for case in read_cases(trial.state / FILE)}
    assert digest_of(trial.engine.release, GOOD).hex() not in digests


def test_a_death_at_rest_accuses_nobody(trial: Trial) -> None:
    assert trial.court.died(0) == []
    assert not (trial.state / FILE).exists()


def test_another_release_may_answer_what_killed_one(trial: Trial) -> None:
    assert digest_of("sha256:aa", POISON) != digest_of("sha256:bb", POISON)


def test_the_list_outlives_the_server_for_a_day(trial: Trial) -> None:
    trial.die_of(POISON)
    trial.die_of(POISON)
    later = Court(trial.state, workers=2, clock=lambda: trial.now)
    assert len(later._cases) == 1
    trial.now += KEPT_S
    later.look()
    assert read_cases(trial.state / FILE) == ()
    later.close()


def test_a_damaged_list_is_none(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")
    assert read_cases(tmp_path / FILE) == ()


def test_alone_is_alone_and_waits_for_no_one_forever() -> None:
    turns, inside = Turns(5.0), threading.Event()
    order: list[str] = []

    def stay() -> None:
        turns.enter()
        inside.set()
        order.append("shared")
        turns.leave()

    with ThreadPoolExecutor(1) as pool, turns.alone() as is_alone:
        assert is_alone
        future = pool.submit(stay)
        assert not inside.wait(0.05)
        order.append("alone")
    future.result()
    assert order == ["alone", "shared"]


def test_who_cannot_be_alone_in_time_is_told_so() -> None:
    turns = Turns(0.01)
    turns.enter()
    with turns.alone() as is_alone:
        assert not is_alone
    turns.leave()
    with turns.alone() as is_alone:
        assert is_alone
        turns.enter()  # the one who is alone hangs: others go on
        turns.enter()
        turns.leave()
        turns.leave()
