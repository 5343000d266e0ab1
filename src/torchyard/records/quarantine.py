"""Requests that were under way when a worker died, as the state folder keeps them."""

from __future__ import annotations

from dataclasses import dataclass

MOST_KILLS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request, known by a digest of its bytes; nothing of its content is kept.

    Attributes:
        digest: 32 hex digits.
        model: the model it asked.
        release: the release that ran it; another one may answer it.
        kills: times a worker died of it, or may have: from 2 on it is refused.
        since: seconds since the epoch, of the last death.
        until: when it is forgotten.
        incident: stands in the server's output and in the refusal.
    """

    digest: str
    model: str
    release: str
    kills: int
    since: float
    until: float
    incident: str

    @property
    def is_quarantined(self) -> bool:
        """Whether it is refused; until then it is a suspect, which runs alone."""
        return self.kills >= MOST_KILLS


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseList:
    """All of them."""

    cases: tuple[Case, ...]
