"""The supervisor's side: who was under way at a death, who is suspect, who is refused."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import final

from torchyard.core.errors import BadRecord
from torchyard.core.record import read_record, write_record
from torchyard.records.quarantine import Case, CaseList
from torchyard.serve.quarantine.journal import Batch, Journal, memory

KEPT_S = 86_400.0
MOST_CASES = 10_000  # the oldest suspects give way
FILE = "quarantine.json"


@final
class Court:
    """Judges requests by the deaths of workers. Use from one thread.

    Args:
        state: the state folder; the list outlives the server there.
        workers: a journal is made for each.
        clock: seconds since the epoch.

    Attributes:
        journals: one for each worker, to be handed to it.
    """

    def __init__(self, state: Path, *, workers: int, clock: Callable[[], float]) -> None:
        self._path = state / FILE
        self._clock = clock
        self.journals = [Journal(memory()) for _ in range(workers)]
        self._acquittals = [0] * workers
        self._cases = {case.digest: case for case in read_cases(self._path)}
        self._publish(self._cases.values())

    def died(self, worker: int) -> list[str]:
        """A worker is dead and the next one not begun: hold what it ran to account.

        Returns:
            A sentence for each request that is refused from now on.
        """
        journal = self.journals[worker]
        self._acquit(worker)
        batches = journal.under_way()
        journal.clear()
        if not batches:
            return []
        named = [(batch, digest.hex()) for batch in batches for digest in batch.digests()]
        alone = [one for one in named if one[0].is_alone]
        is_sure = len(named) == 1 or len(alone) == 1
        accused = alone if len(alone) == 1 else named
        news = [text for one in accused if (text := self._accuse(*one, is_sure=is_sure))]
        self._publish(self._cases.values())
        return news

    def look(self) -> None:
        """Let go of those that ran alone and harmed nobody, and of what is long ago."""
        before = len(self._cases)
        for worker in range(len(self.journals)):
            self._acquit(worker)
        now = self._clock()
        self._cases = {name: case for name, case in self._cases.items() if case.until > now}
        if len(self._cases) < before:
            self._publish(self._cases.values())

    def close(self) -> None:
        """Let go of the journals."""
        for journal in self.journals:
            journal.close()

    def _accuse(self, batch: Batch, digest: str, *, is_sure: bool) -> str | None:
        now, case = self._clock(), self._cases.get(digest)
        if case is None:
            case = Case(
                digest=digest, model=batch.model, release=batch.release, kills=1, since=now,
                until=now + KEPT_S, incident=secrets.token_hex(6),
            )  # fmt: skip
        elif is_sure:
            case = replace(case, kills=case.kills + 1, since=now, until=now + KEPT_S)
        self._cases[digest] = case
        if not (case.is_quarantined and is_sure):
            return None
        return (
            f"quarantine: a request to {case.model} stopped workers {case.kills} times and is"
            f" refused from now on, incident {case.incident}"
        )

    def _acquit(self, worker: int) -> None:
        digests, until = self.journals[worker].acquitted(self._acquittals[worker])
        self._acquittals[worker] = until
        for digest in digests:
            case = self._cases.get(digest.hex())
            if case is not None and not case.is_quarantined:
                del self._cases[digest.hex()]

    def _publish(self, cases: Iterable[Case]) -> None:
        """Write the list, then tell every worker that there is another."""
        kept = sorted(cases, key=lambda case: (case.is_quarantined, case.since))[-MOST_CASES:]
        if kept or self._path.exists():
            write_record(self._path, CaseList(cases=tuple(kept)), mode=0o600)
        generation = 1 + max((journal.generation for journal in self.journals), default=0)
        for journal in self.journals:
            journal.generation = generation


def read_cases(path: Path) -> tuple[Case, ...]:
    """The list in the state folder; none where there is none or it is damaged."""
    try:
        return read_record(CaseList, path).cases
    except BadRecord:
        return ()
