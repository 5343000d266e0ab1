"""Who answers whom: a sticky split of one model's traffic. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from torchyard.records.live import ModelState

_SPAN = float(1 << 64)


@dataclass(frozen=True, slots=True)
class Split:
    """One model's releases and where each one's share of the line from 0 to 1 ends.

    The challenger has the start of the line, so raising its share only moves keys to it.

    Attributes:
        releases: ids, the challenger first, the champion last.
        ends: ascending, one for each release, the last 1.
        salt: keeps the split of one canary independent of another's.
    """

    releases: tuple[str, ...]
    ends: tuple[float, ...]
    salt: bytes

    def pick(self, key: str) -> str:
        """The release that answers this key; the same one as long as the shares stay."""
        if len(self.releases) == 1:
            return self.releases[0]
        place = position(key, salt=self.salt)
        for release, end in zip(self.releases, self.ends, strict=True):
            if place < end:
                return release
        return self.releases[-1]


def split_of(state: ModelState) -> Split:
    """The split that a model's state asks for; releases without a share are left out.

    Example:
        >>> state = ModelState(model="m", champion="old", challenger="new", previous=(),
        ...                    routes={"old": 0.75, "new": 0.25}, last_event=2)
        >>> split_of(state).releases, split_of(state).ends
        (('new', 'old'), (0.25, 1.0))
    """
    shares = {release: weight for release, weight in state.routes.items() if weight > 0}
    order = sorted(shares, key=lambda release: (release == state.champion, release))
    ends: list[float] = []
    for release in order:
        ends.append((ends[-1] if ends else 0.0) + shares[release])
    ends[-1:] = [1.0] if ends else []
    canary = f"{state.model}\n{state.challenger}".encode()
    salt = blake2b(canary, digest_size=32).digest()
    return Split(releases=tuple(order), ends=tuple(ends), salt=salt)


def position(key: str, *, salt: bytes) -> float:
    """Where a key lies on the line, in [0, 1): 64 bits of keyed BLAKE2b (RFC 7693), uniform.

    Args:
        key: the request's routing key.
        salt: at most 64 bytes.
    """
    hashed = blake2b(key.encode(errors="surrogatepass"), digest_size=8, key=salt)
    return int.from_bytes(hashed.digest(), "big") / _SPAN
