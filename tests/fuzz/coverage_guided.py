"""Fuzzing guided by coverage, of what reads bytes from strangers; needs ``pip install atheris``.

    python tests/fuzz/coverage_guided.py {http,rows,infer} [-max_total_time=60] [CORPUS]

Whatever is not one of the refusals that a request may get ends the run with the input that did it.
The options are libFuzzer's: https://llvm.org/docs/LibFuzzer.html
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

with atheris.instrument_imports(include=["torchyard.serve"]):
    from tests.attacks.test_requests import DECODER, infer
    from torchyard.core.errors import BadData, BadUsage
    from torchyard.serve.http.answers import Answer
    from torchyard.serve.http.reading import KnownHeads, RequestReader
    from torchyard.serve.inference.bodies import decode_infer
    from torchyard.serve.inference.tensors import rows_of

REFUSALS = (BadData, BadUsage)


def http(content: bytes) -> None:
    """A connection's bytes, in two pieces; after a refusal nothing is taken any more."""
    taken: list[object] = []
    refused: list[Answer] = []
    reader = RequestReader(
        take=lambda head, body: taken.append(head),
        refuse=refused.append,
        go_on=lambda: None,
        head_bytes=1000,
        body_bytes=1000,
        heads=KnownHeads(),
    )
    half = content[0] if content else 0
    reader.feed(content[:half])
    reader.feed(content[half:])
    if reader.is_closed:
        before = len(taken)
        reader.feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert len(taken) == before
    assert all(answer.status < 500 or answer.status in (501, 505) for answer in refused)


def rows(content: bytes) -> None:
    """A body of rows."""
    try:
        DECODER.columns(DECODER.decode(content).rows)
    except REFUSALS:
        return


def tensors(content: bytes) -> None:
    """An infer body, the number of its first byte being the length of its JSON."""
    header = str(content[0]).encode() if content and content[0] else None
    try:
        if header is None:
            infer(content[1:])
        else:
            rows_of(decode_infer(content[1:], header).inputs, DECODER, max_rows=4)
    except REFUSALS:
        return


TARGETS: dict[str, Callable[[bytes], None]] = {"http": http, "rows": rows, "infer": tensors}


def main() -> None:
    """Fuzz one target until the time given is over."""
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
