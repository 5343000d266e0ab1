"""Clients that load a server from several connections and count what goes wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.serve.clients import AsyncClient, post, predict
from tests.serve.running import Server
from tests.support.releases import answer


class Load:
    """Clients that ask without pause, each for values of its own, until told to stop.

    ``lost`` counts requests that were sent and not answered rightly.
    """

    def __init__(self, server: Server, *, clients: int = 8) -> None:
        self.releases: Counter[str] = Counter()
        self.lost: list[str] = []
        self._server = server
        self._clients = clients
        self._stop = False

    async def during(self, act: Callable[[], None]) -> None:
        """Ask while something happens in another thread."""
        asking = [asyncio.create_task(self._ask(number)) for number in range(self._clients)]
        while self.releases.total() < 50:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(act)
        self._stop = True
        await asyncio.gather(*asking)

    async def _ask(self, number: int) -> None:
        client = AsyncClient(self._server.address)
        for turn in range(10**9):
            if self._stop:
                break
            distance = float((number * 500 + turn) % 5000)
            try:
                found = await client.ask(post(predict(distance, ids=[f"{number}-{turn}"])))
            except ConnectionRefusedError:
                break
            except OSError as error:
                self.lost.append(f"{number}-{turn}: {error!r}")
                break
            self._check(found.status, found.json(), f"{number}-{turn}", distance)
        client.close()

    def _check(self, status: int, content: dict[str, Any], name: str, distance: float) -> None:
        if status != 200:
            self.lost.append(f"{name}: {status} {content}")
            return
        row = content["predictions"][0]
        if row["id"] != name or abs(row["probabilities"]["late"] - answer(distance)[1]) > 1e-6:
            self.lost.append(f"{name}: {row}")
        self.releases[str(content["release"])] += 1
