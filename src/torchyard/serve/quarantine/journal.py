"""What a worker runs just now, in memory that outlives it.

The supervisor makes the memory and gives it to the worker. Before a batch runs, its requests are
copied there, which costs next to nothing; when the worker dies, the supervisor reads what was under
way. The memory has no file, so no request's content comes to disk by it.

Layout: 8 bytes with the generation of the list of suspects (written by the supervisor), 8 bytes
with the number of acquittals ever written (by the worker), a ring of these, then the slots: 4 bytes
of length, 0 where nothing runs, and that many bytes of MessagePack.
"""

from __future__ import annotations

import mmap
import os
from collections import deque
from collections.abc import Sequence
from typing import final

import msgspec

from torchyard.serve.quarantine.digests import DIGEST_BYTES, digest_of

SLOTS = 64  # batches of one worker at once that are recorded: its loop's and its lanes'
SLOT_BYTES = 352 << 10  # touched as far as they are used
MOST_COPIED_BYTES = 336 << 10  # what is larger, as no batch on the loop is, is named by its digest
MOST_REQUESTS = 2000  # of one batch: as many digests fit into a slot
RING = 256

_RING_AT = 16
_SLOTS_AT = 8192
_SIZE = _SLOTS_AT + SLOTS * SLOT_BYTES
_ENCODER = msgspec.msgpack.Encoder()


class Batch(msgspec.Struct, array_like=True, gc=False):
    """A batch under way.

    Attributes:
        model: whose it is.
        release: the release that runs it.
        is_alone: nothing else runs in this worker.
        are_digests: whether ``requests`` are the bodies' digests, not the bodies.
        requests: one for each.
    """

    model: str
    release: str
    is_alone: bool
    are_digests: bool
    requests: list[bytes]

    def digests(self) -> list[bytes]:
        """What each of its requests is known by."""
        if self.are_digests:
            return self.requests
        return [digest_of(self.release, body) for body in self.requests]


_DECODER = msgspec.msgpack.Decoder(Batch)


@final
class Journal:
    """One worker's memory, as its supervisor or the worker itself sees it.

    Args:
        fd: of the memory, as ``memory`` made it.

    Attributes:
        fd: as given; a child that inherits it opens the same memory.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, _SIZE)
        self._bytes = memoryview(self._map)
        self._words = self._bytes[:_RING_AT].cast("Q")
        self._slots = [_SLOTS_AT + place * SLOT_BYTES for place in range(SLOTS)]
        self._free = deque(self._slots)

    @property
    def generation(self) -> int:
        """Which list of suspects holds now."""
        return self._words[0]

    @generation.setter
    def generation(self, value: int) -> None:
        self._words[0] = value

    def begin(
        self, model: str, release: str, bodies: Sequence[bytes], *, is_alone: bool = False
    ) -> int | None:
        """A batch is about to run. From any thread of the worker.

        Returns:
            The slot it has until ``end``; None where all are taken.
        """
        if not self._free:
            return None
        are_digests = sum(map(len, bodies)) + 16 * len(bodies) > MOST_COPIED_BYTES
        if are_digests:
            bodies = [digest_of(release, body) for body in bodies[:MOST_REQUESTS]]
        content = _ENCODER.encode((model, release, is_alone, are_digests, bodies))
        slot, length = self._free.pop(), len(content)
        self._bytes[slot + 4 : slot + 4 + length] = content
        self._bytes[slot : slot + 4] = length.to_bytes(4, "little")  # last: now it counts
        return slot

    def end(self, slot: int | None) -> None:
        """The batch is over."""
        if slot is None:
            return
        self._bytes[slot : slot + 4] = b"\0\0\0\0"
        self._free.append(slot)

    def acquit(self, digest: bytes) -> None:
        """Say that a suspect ran alone and harmed nobody. From one thread at a time."""
        at = _RING_AT + (self._words[1] % RING) * DIGEST_BYTES
        self._bytes[at : at + DIGEST_BYTES] = digest
        self._words[1] += 1

    def acquitted(self, since: int) -> tuple[list[bytes], int]:
        """Who was acquitted since so many acquittals, as far as known, and how many there are."""
        until = self._words[1]
        places = range(max(since, until - RING), until)
        at = [_RING_AT + (place % RING) * DIGEST_BYTES for place in places]
        return [bytes(self._bytes[one : one + DIGEST_BYTES]) for one in at], until

    def under_way(self) -> list[Batch]:
        """What runs, or ran when the worker died. A dead worker's last bytes may be anything."""
        found = []
        for slot in self._slots:
            length = int.from_bytes(self._bytes[slot : slot + 4], "little")
            if 0 < length <= SLOT_BYTES - 4:
                try:
                    found.append(_DECODER.decode(self._bytes[slot + 4 : slot + 4 + length]))
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    continue
        return found

    def clear(self) -> None:
        """Nothing runs: the worker is dead, and the next one has not begun."""
        for slot in self._slots:
            self._bytes[slot : slot + 4] = b"\0\0\0\0"

    def close(self) -> None:
        """Let go of the memory; it lives while another process has it."""
        self._words.release()
        self._bytes.release()
        self._map.close()
        os.close(self.fd)


def memory() -> int:
    """The file descriptor of zeroed memory for a journal, which a child may inherit."""
    fd = os.memfd_create("torchyard-journal")
    os.ftruncate(fd, _SIZE)
    return fd
