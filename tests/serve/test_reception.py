"""Handing connections over: to whom, and that none is lost whatever a worker does."""

from __future__ import annotations

import array
import errno
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.serve.processes.choosing import Candidate, choose
from torchyard.serve.processes.loads import Load, Loads, memory
from torchyard.serve.processes.reception import LATE_S, MOST_UNTAKEN, NO_ROOM, TAKEN, Reception

IDLE = Candidate(is_ready=True, is_late=False, connections=0, rows=0)


class Worker:
    """The far end of a channel, which takes what the test tells it to."""

    def __init__(self, scene: Scene, place: int) -> None:
        self.channel = scene.reception.join(place)
        self.channel.setblocking(False)
        self.taken: list[socket.socket] = []
        scene.stack.callback(self.leave)

    def receive(self) -> socket.socket:
        """A connection from the channel, not yet said to be taken."""
        _, rights, _, _ = self.channel.recvmsg(1, socket.CMSG_SPACE(4))
        return socket.socket(fileno=array.array("i", rights[0][2])[0])

    def take(self) -> None:
        """Take all there are."""
        while True:
            try:
                self.taken.append(self.receive())
            except (BlockingIOError, IndexError):  # nothing there, or the end
                return
            with suppress(BrokenPipeError):
                self.channel.send(TAKEN)

    def leave(self) -> None:
        self.channel.close()
        for connection in self.taken:
            connection.close()


class Scene:
    """A reception on a real socket, with a clock that the test moves."""

    def __init__(self, stack: ExitStack, workers: int) -> None:
        self.stack = stack
        self.now = 0.0
        self.told: list[str] = []
        door = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=200))
        self.address = door.getsockname()
        self.loads = Loads(memory(workers), workers)
        self.reception = Reception(
            door, self.loads, workers=workers, tell=self.told.append, clock=lambda: self.now
        )

        stack.callback(self.close, door)

    def close(self, door: socket.socket) -> None:
        if door.fileno() != -1:
            self.reception.close(0)

    def connect(self, count: int = 1) -> list[socket.socket]:
        return [
            self.stack.enter_context(socket.create_connection(self.address, timeout=5))
            for _ in range(count)
        ]

    def run(self) -> None:
        """Some turns without waiting."""
        for _ in range(5):
            self.reception.run(0)

    def load(self, *numbers: int) -> None:
        for place, number in enumerate(numbers):
            self.loads.write(place, Load(True, number, 0))


@pytest.fixture(name="scene")
def _scene() -> Iterator[Scene]:
    with ExitStack() as stack:
        yield Scene(stack, 2)


def is_open(client: socket.socket, taken: list[socket.socket]) -> bool:
    """Whether one of these is the other end of that connection, and it works."""
    for one in taken:
        if one.getpeername() == client.getsockname():
            one.sendall(b"hello")
            return client.recv(5) == b"hello"
    return False


@given(loads=st.lists(st.integers(0, 3), min_size=1, max_size=9), after=st.integers(0, 8))
@settings(deadline=None, max_examples=60)
def test_the_least_loaded_is_chosen_and_equals_take_turns(loads: list[int], after: int) -> None:
    after %= len(loads)
    chosen = choose([Candidate(True, False, load, 0) for load in loads], after)

    assert chosen is not None
    least = [place for place, load in enumerate(loads) if load == min(loads)]
    assert chosen == next((place for place in least if place > after), least[0])


def test_late_and_unready_workers_come_last() -> None:
    late, new = IDLE._replace(is_late=True), IDLE._replace(is_ready=False)
    assert choose([late, new, IDLE._replace(connections=99)], 0) == 2
    assert choose([late, new], 0) == 1
    assert choose([late, None], 0) == 0
    assert choose([None, None], 0) is None


def test_of_equally_many_connections_the_fewest_waiting_rows_decide() -> None:
    assert choose([IDLE._replace(rows=5), IDLE._replace(rows=2), IDLE._replace(rows=5)], 0) == 1
    assert choose([IDLE._replace(rows=5000), IDLE._replace(connections=1)], 0) == 0


def test_a_slot_holds_what_its_worker_wrote() -> None:
    loads = Loads(memory(3), 3)
    loads.write(1, Load(True, 7, 9))
    same = Loads(os.dup(loads.fd), 3)
    assert [same.read(place) for place in range(3)] == [
        Load(False, 0, 0), Load(True, 7, 9), Load(False, 0, 0)
    ]  # fmt: skip
    loads.close()
    assert same.read(1) == Load(True, 7, 9)
    same.close()


def test_connections_are_shared_evenly(scene: Scene) -> None:
    workers = [Worker(scene, place) for place in range(2)]
    scene.load(0, 0)
    clients = scene.connect(20)
    for _ in range(5):
        scene.run()
        for worker in workers:
            worker.take()
        scene.load(*(len(worker.taken) for worker in workers))
    assert [len(worker.taken) for worker in workers] == [10, 10]
    assert all(is_open(one, workers[0].taken + workers[1].taken) for one in clients)


def test_a_worker_that_carries_more_gets_fewer(scene: Scene) -> None:
    workers = [Worker(scene, place) for place in range(2)]
    scene.load(12, 0)
    scene.connect(8)
    scene.run()
    for worker in workers:
        worker.take()
    assert [len(worker.taken) for worker in workers] == [0, 8]


def test_a_connection_closes_when_its_worker_closes_it(scene: Scene) -> None:
    worker = Worker(scene, 0)
    (client,) = scene.connect()
    scene.run()
    worker.take()
    worker.taken.pop().close()
    scene.run()  # hears that it was taken, and lets go of its copy
    assert client.recv(1) == b""


def test_what_a_dead_worker_did_not_take_goes_to_another(scene: Scene) -> None:
    first, second = Worker(scene, 0), Worker(scene, 1)
    scene.load(0, 0)
    clients = scene.connect(6)
    scene.run()
    first.taken.append(first.receive())  # taken without a word: it is this worker's no more
    first.leave()
    for _ in range(3):
        scene.run()
        second.take()
    assert len(second.taken) == 6
    assert all(is_open(client, second.taken) for client in clients)


def test_what_a_leaving_worker_took_stays_its_own(scene: Scene) -> None:
    first, second = Worker(scene, 0), Worker(scene, 1)
    scene.load(0, 0)
    scene.connect(8)
    scene.run()
    for _ in range(2):
        first.taken.append(first.receive())
        first.channel.send(TAKEN)
    kept = list(first.taken)
    first.channel.close()  # with two unread: our end is told of a reset before it hears the words
    for _ in range(3):
        scene.run()
        second.take()
    names = {one.getpeername() for one in second.taken}
    assert len(names) == 6
    assert names.isdisjoint(one.getpeername() for one in kept)


def test_a_late_worker_is_passed_over_until_it_takes(scene: Scene) -> None:
    first, second = Worker(scene, 0), Worker(scene, 1)
    scene.load(0, 5)
    scene.connect(2)
    scene.run()
    scene.now += 2 * LATE_S  # the first one has two and does not move
    scene.connect(4)
    scene.run()
    second.take()
    assert len(second.taken) == 4
    scene.load(0, 9)
    first.take()
    scene.connect(1)
    scene.run()
    first.take()
    assert len(first.taken) == 3


def test_more_than_the_channels_hold_wait_with_the_kernel(scene: Scene) -> None:
    workers = [Worker(scene, place) for place in range(2)]
    clients = scene.connect(2 * MOST_UNTAKEN + 10)
    scene.run()
    for worker in workers:
        worker.take()
    assert sum(len(worker.taken) for worker in workers) <= 2 * MOST_UNTAKEN + 1
    for _ in range(3):
        scene.run()
        for worker in workers:
            worker.take()
    everybody = [one for worker in workers for one in worker.taken]
    assert len(everybody) == len(clients)
    assert all(is_open(client, everybody) for client in clients)


def test_a_worker_without_room_sends_them_on(scene: Scene) -> None:
    first, second = Worker(scene, 0), Worker(scene, 1)
    scene.load(0, 9)
    (client,) = scene.connect()
    scene.run()
    first.receive().close()
    first.channel.send(NO_ROOM)
    for _ in range(2):
        scene.run()
        second.take()
    assert is_open(client, second.taken)


def test_nobody_is_lost_while_no_worker_is_there(scene: Scene) -> None:
    first = Worker(scene, 0)
    clients = scene.connect(3)
    scene.run()
    first.leave()
    scene.run()
    late = Worker(scene, 0)
    scene.run()
    late.take()
    assert all(is_open(client, late.taken) for client in clients)


def test_running_out_of_file_descriptors_is_told_and_waited_out(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(scene, 0)
    (client,) = scene.connect()

    def full(_door: object) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket.socket, "accept", full)
    scene.run()
    assert scene.told == ["accepting failed: Too many open files"]
    monkeypatch.undo()
    scene.now += 1
    scene.run()
    worker.take()
    assert is_open(client, worker.taken)


def test_closing_hands_over_whom_the_kernel_has_let_in(scene: Scene) -> None:
    worker = Worker(scene, 0)
    clients = scene.connect(5)
    scene.reception.close(0)
    worker.take()
    assert all(is_open(client, worker.taken) for client in clients)
    with pytest.raises(OSError, match=r"refused"):
        scene.connect()
    worker.channel.setblocking(True)
    assert worker.channel.recv(1) == b""
