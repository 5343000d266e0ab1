"""Ids never repeat, also across workers and restarts."""

from __future__ import annotations

import secrets

from torchyard.serve.ids import Ids


def test_ids_of_one_worker_differ() -> None:
    ids = Ids("a")
    made = [name for rows in (1, 3, 100, 1) for name in ids.make(rows)]

    assert len(set(made)) == len(made) == 105


def test_ids_of_two_starts_differ() -> None:
    first, second = (set(Ids(secrets.token_hex(6)).make(1000)) for _ in range(2))

    assert not first & second
    assert max(map(len, first)) < 40
