"""How many connections there may be, or calls, in all and of one client."""

from __future__ import annotations

import resource
import sys
from typing import final

from torchyard.core.errors import Overloaded

SPARE = 64  # connections beyond the limit that are still told why they end
_OTHER_FILES = 256  # descriptors that a worker needs besides: logs, models, lanes, gRPC


@final
class Crowd:
    """Counts a worker's connections, or what else clients have open.

    Args:
        most: connections at once; see ``room_for``. None for no limit.
        most_per_client: of one client.
        of: what is counted, for refusals.
        remedy: what a client can do about having too many.
    """

    def __init__(
        self,
        *,
        most: int | None = None,
        most_per_client: int | None = None,
        of: str = "connections",
        remedy: str = "Use connections again and close those that rest, or start more workers.",
    ) -> None:
        self._most = sys.maxsize if most is None else most
        self._most_per_client = sys.maxsize if most_per_client is None else most_per_client
        self._what = of
        self._remedy = remedy
        self._of: dict[str, int] = {}
        self.count = 0

    @property
    def is_overfull(self) -> bool:
        """Whether there are so many that nobody is told why."""
        return self.count > self._most + SPARE

    def enter(self, client: str, *, is_proxy: bool) -> Overloaded | None:
        """Count a connection; why it is one too many, if it is. It is counted in any case.

        Args:
            client: whose.
            is_proxy: it brings many clients: only the limit of all holds.
        """
        self.count += 1
        own = self._of[client] = self._of.get(client, 0) + 1
        if self.count > self._most:
            return self._full(f"{self._most} {self._what}")
        if own > self._most_per_client and not is_proxy:
            return self._full(f"{self._most_per_client} {self._what} of this client")
        return None

    def has_room_for(self, more: int) -> bool:
        """Whether there may be some more, if only to be told why they end."""
        return self.count + more <= self._most + SPARE

    def alike(self) -> Crowd:
        """Another count, of nothing yet, with the same limits."""
        return Crowd(most=self._most, most_per_client=self._most_per_client)

    def leave(self, client: str) -> None:
        """A connection that was counted is gone."""
        self.count -= 1
        own = self._of[client] - 1
        if own:
            self._of[client] = own
        else:
            del self._of[client]

    def _full(self, found: str) -> Overloaded:
        return Overloaded(where="this worker", found=found, expected="fewer", remedy=self._remedy)


def room_for(connections: int) -> int:
    """Connections that this process may have, at most as many as wanted.

    The process's limit of open files is raised as far as the system allows; running out of
    descriptors would hurt everybody, while a connection too many is one client's trouble.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(1, min(connections, soft - SPARE - _OTHER_FILES))
