"""Threads that the models of a worker share: each lane runs one batch at a time.

No lane rests while a model has something to run. When several have, the one whose batches took the
least lane time so far is next, so a dear model gets no more of the lanes than a cheap one, and a
batch that has begun is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple, final

from torchyard.serve.running import Ran


class Work(NamedTuple):
    """A batch for a lane: how to run it (in a thread), whom to give the outcome (on the loop), and
    the seconds it is expected to take.
    """

    run: Callable[[], Ran]
    land: Callable[[Ran, float], None]
    expected_s: float


@final
class Tenant:
    """One model's claim on the lanes.

    Attributes:
        take: gives the next batch, or None when there is nothing to run.
        wants: whether it has asked and not been served to the end.
        held: lanes that it has now.
        used_s: lane time that it has had, or would have had at least, had it been here all along.
    """

    __slots__ = ("held", "take", "used_s", "wants")

    def __init__(self, take: Callable[[], Work | None]) -> None:
        self.take = take
        self.wants = False
        self.held = 0
        self.used_s = 0.0


@final
class Lanes:
    """Use from the loop's thread only.

    Args:
        executor: has ``count`` threads.
        count: batches that may run at once.
        loop: where outcomes are given.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        count: int,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
    ) -> None:
        self.count = count
        self._executor = executor
        self._loop = loop
        self._clock = clock
        self._tenants: list[Tenant] = []  # those that want or hold a lane
        self._ends: list[float] = []  # when each running batch is expected to end

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs."""
        return not self._ends

    def ask(self, tenant: Tenant) -> None:
        """A tenant has something to run: now, if a lane is free, or else when it is its turn."""
        if not tenant.wants:
            tenant.wants = True
            if tenant not in self._tenants:
                least = min((other.used_s for other in self._tenants), default=0.0)
                tenant.used_s = max(tenant.used_s, least)
                self._tenants.append(tenant)
        self._fill()

    def start_s(self, tenant: Tenant, batches: int, batch_s: float, now: float) -> float:
        """Seconds until a tenant's next batch begins, if some of its own are ahead of it.

        Args:
            tenant: whose it is.
            batches: of its own, ahead.
            batch_s: seconds that each of them takes.
            now: on the clock.
        """
        if len(self._ends) + batches < self.count:
            return 0.0
        # What is overdue by some time is expected to take that time again: it may hang.
        left_s = sum(abs(end - now) for end in self._ends)
        rivals = sum(other is not tenant for other in self._tenants)
        own_s = batches * batch_s * (1 + rivals)
        return (left_s + own_s) / self.count

    def _fill(self) -> None:
        while len(self._ends) < self.count:
            ready = [tenant for tenant in self._tenants if tenant.wants]
            if not ready:
                return
            tenant = min(ready, key=lambda one: one.used_s)
            work = tenant.take()
            if work is None:
                tenant.wants = False
                self._forget(tenant)
            else:
                self._begin(tenant, work)

    def _begin(self, tenant: Tenant, work: Work) -> None:
        began = self._clock()
        end = began + work.expected_s
        tenant.held += 1
        tenant.used_s += work.expected_s
        self._ends.append(end)
        future = self._loop.run_in_executor(self._executor, work.run)
        future.add_done_callback(partial(self._land, tenant, work, began, end))

    def _land(
        self, tenant: Tenant, work: Work, began: float, end: float, future: asyncio.Future[Ran]
    ) -> None:
        took_s = self._clock() - began
        tenant.held -= 1
        tenant.used_s += took_s - work.expected_s
        self._ends.remove(end)
        self._forget(tenant)
        self._fill()  # before the answers are delivered: a lane is dearer than the loop
        work.land(future.result(), took_s)

    def _forget(self, tenant: Tenant) -> None:
        if not (tenant.wants or tenant.held) and tenant in self._tenants:
            self._tenants.remove(tenant)
