"""Which worker gets a connection: the least loaded, by chance, or in turn. A simulation.

64 workers answer one request after another, 10 ms each on average (exponential). Clients ask, wait
for the answer, pause, and ask again, at three quarters of what the workers can do. ``alike``: they
pause alike and open a new connection after 50 requests on average. ``unlike``: pauses differ by a
log-normal factor (sigma 1). ``for good``: unlike, and connections stay open.

Chance is what a socket shared by several processes comes to: the kernel wakes whoever sleeps.
Handing out by load uses ``choose`` of the server itself. Seeded: the same figures on every machine.

    clients   handing          connections    busy   p50 ms   p99 ms     most over mean
    alike     by chance               1.80    1.31     22.0    150.1
    alike     in turn                 1.54    1.19     20.5    120.6
    alike     least loaded            1.00    1.04     19.4    103.8
    unlike    by chance               2.15    1.15     52.5    270.5
    unlike    in turn                 1.97    1.09     50.7    231.7
    unlike    least loaded            1.00    1.04     51.3    159.4
    for good  by chance               1.94    1.08     54.0    196.0
    for good  in turn                 1.00    1.04     51.2    156.2
    for good  least loaded            1.00    1.04     51.2    157.7

Of 64 connections of ``wrk`` to two real workers, each got 32, 32 and 33 to 31 in three turns;
accepting on a shared socket they got 27 to 37, 37 to 27 and 31 to 33.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from itertools import count

from torchyard.serve.processes.choosing import Candidate, choose

WORKERS, CLIENTS, REQUESTS = 64, 1_024, 300_000
SERVICE_S, BUSY, LIFE = 0.010, 0.75, 50

Pick = Callable[[list[int], list[int]], int]


def by_chance(random_: random.Random) -> Pick:
    """Any worker."""
    return lambda open_, waiting: random_.randrange(WORKERS)


def in_turn(_: random.Random) -> Pick:
    """One after the other."""
    turn = count()
    return lambda open_, waiting: next(turn) % WORKERS


def least_loaded(_: random.Random) -> Pick:
    """As the server does."""
    last = [WORKERS - 1]

    def pick(open_: list[int], waiting: list[int]) -> int:
        loads = zip(open_, waiting, strict=True)
        place = choose([Candidate(True, False, *load) for load in loads], last[0])
        assert place is not None
        last[0] = place
        return place

    return pick


def simulate(make: Callable[[random.Random], Pick], *, sigma: float, life: float) -> list[float]:
    """Most connections over mean ones (averaged over time), busy likewise, p50 and p99 in ms."""
    draw = random.Random(7)
    pick = make(draw)
    pause_s = CLIENTS / (BUSY * WORKERS / SERVICE_S) - SERVICE_S
    factors = [math.exp(draw.gauss(0, sigma) - sigma**2 / 2) for _ in range(CLIENTS)]
    open_, free_at, busy = [0] * WORKERS, [0.0] * WORKERS, [0.0] * WORKERS
    waiting = [deque[float]() for _ in range(WORKERS)]
    at = [-1] * CLIENTS
    events = [(draw.random(), client) for client in range(CLIENTS)]
    heapq.heapify(events)
    spans: list[float] = []
    uneven: list[float] = []
    while len(spans) < REQUESTS:
        now, client = heapq.heappop(events)
        if at[client] < 0 or draw.random() < 1 / life:
            if at[client] >= 0:
                open_[at[client]] -= 1
            for queue in waiting:
                while queue and queue[0] <= now:
                    queue.popleft()
            at[client] = pick(open_, [len(queue) for queue in waiting])
            open_[at[client]] += 1
            uneven.append(max(open_) * WORKERS / sum(open_))
        worker = at[client]
        service_s = draw.expovariate(1 / SERVICE_S)
        done = max(now, free_at[worker]) + service_s
        free_at[worker] = done
        busy[worker] += service_s
        waiting[worker].append(done)
        spans.append(done - now)
        heapq.heappush(events, (done + draw.expovariate(1 / (pause_s * factors[client])), client))
    settled = sorted(spans[REQUESTS // 10 :])
    late = uneven[-max(CLIENTS, len(uneven) // 2) :] if life < math.inf else uneven[-1:]
    return [
        sum(late) / len(late),
        max(busy) * WORKERS / sum(busy),
        1000 * settled[len(settled) // 2],
        1000 * settled[int(len(settled) * 0.99)],
    ]


def main() -> None:
    """Print the table."""
    print(f"{'clients':10}{'handing':16}{'connections':>12}{'busy':>8}{'p50 ms':>9}{'p99 ms':>9}")
    for name, sigma, life in (("alike", 0, LIFE), ("unlike", 1, LIFE), ("for good", 1, math.inf)):
        for make in (by_chance, in_turn, least_loaded):
            found = simulate(make, sigma=sigma, life=life)
            words = make.__name__.replace("_", " ")
            numbers = "{:>12.2f}{:>8.2f}{:>9.1f}{:>9.1f}".format(*found)
            print(f"{name:10}{words:16}{numbers}")


if __name__ == "__main__":
    main()
