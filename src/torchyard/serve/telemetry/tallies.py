"""What one release answered: totals, and by the size of its batches. Counted batch by batch.

Histograms say how times are spread, by model; a tally says how many and how long in all, by release
and batch size, which is what the statistics extension asks for. No protocol here.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:  # whoever reads tallies runs no model
    from torchyard.serve.running import Ran, Waiting

MOST_SIZES = 128  # that are told apart; batches of any other size count in the totals alone


class Batches(msgspec.Struct):
    """Batches of one size that were answered, in whole or in part, and their requests.

    Seconds add up over requests, each of which waits for the whole batch in ``model_s``; in
    ``batch_model_s`` over batches.
    """

    batches: int = 0
    requests: int = 0
    rows: int = 0
    decode_s: float = 0.0
    queue_s: float = 0.0
    model_s: float = 0.0
    answer_s: float = 0.0
    batch_model_s: float = 0.0
    encode_s: float = 0.0

    def add(self, other: Batches) -> None:
        """Add others."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Tally(msgspec.Struct):
    """What a release answered, and what not. One thread counts, any may take a copy.

    Attributes:
        sizes: by rows of a batch.
        others: batches of sizes that found no room among them.
        failed: requests that waited for the release and got no answer from it.
        failed_s: from their arrival to their refusal.
        last_at: when a batch ran last, seconds since the epoch; 0 for never.
        is_torn: one of the requests of the batch that will be counted next got no answer.
    """

    sizes: dict[int, Batches] = {}
    others: Batches = msgspec.field(default_factory=Batches)
    failed: int = 0
    failed_s: float = 0.0
    last_at: float = 0.0
    is_torn: bool = False

    @property
    def total(self) -> Batches:
        """All batches."""
        total = copy(self.others)
        for one in self.sizes.copy().values():
            total.add(one)
        return total

    def count(
        self,
        size: int,
        requests: int,
        decode_s: float,
        queue_s: float,
        ran: Ran,
        landed: float,
        now: float,
    ) -> None:
        """Count a batch all of whose requests have their answers.

        Args:
            size: its rows.
            requests: how many had them.
            decode_s: from their arrival to the queue, added up.
            queue_s: from there to the model, added up.
            ran: how the batch ran.
            landed: when its answers were begun to be put into words, on the worker's clock.
            now: when they were out.
        """
        seen = self.sizes.get(size) or self._new(size)
        seen.batches += 1
        seen.requests += requests
        seen.rows += size
        seen.decode_s += decode_s
        seen.queue_s += queue_s
        seen.model_s += requests * ran.seconds
        seen.answer_s += decode_s + queue_s + requests * (now - ran.began)
        seen.batch_model_s += ran.seconds
        seen.encode_s += now - landed

    def count_torn(self, batch: Sequence[Waiting], ran: Ran, landed: float, now: float) -> None:
        """Count a batch some of whose requests have no answer: as if it had had the others alone.

        Their rows count, the size of the batch stays. What answers nobody is no execution.
        """
        self.is_torn = False
        size = sum([len(one.rows) for one in batch])
        answered = [
            (one, answer)
            for one, answer in zip(batch, ran.answers, strict=True)
            if not isinstance(answer, Exception)
        ]
        if not answered:
            return
        decode_s = sum([one.queued_at - one.call.arrived for one, _ in answered])
        queue_s = sum([ran.began - one.queued_at for one, _ in answered])
        self.count(size, len(answered), decode_s, queue_s, ran, landed, now)
        seen = self.sizes.get(size, self.others)
        seen.rows += sum([len(answer) for _, answer in answered]) - size

    def fail(self, seconds: float, *, in_batch: bool) -> None:
        """Count a request that got no answer, ``seconds`` after it arrived.

        Args:
            seconds: see there.
            in_batch: whether the model was asked; its batch is counted next.
        """
        self.failed += 1
        self.failed_s += seconds
        self.is_torn = self.is_torn or in_batch

    def add(self, other: Tally) -> None:
        """Add what another worker counted of the release."""
        for size, seen in other.sizes.items():
            (self.sizes.get(size) or self._new(size)).add(seen)
        self.others.add(other.others)
        self.failed += other.failed
        self.failed_s += other.failed_s
        self.last_at = max(self.last_at, other.last_at)

    def taken(self) -> Tally:
        """A copy that another thread may keep."""
        sizes = {size: copy(seen) for size, seen in self.sizes.copy().items()}
        return Tally(sizes, copy(self.others), self.failed, self.failed_s, self.last_at)

    def _new(self, size: int) -> Batches:
        if len(self.sizes) >= MOST_SIZES:
            return self.others
        found = self.sizes[size] = Batches()
        return found
