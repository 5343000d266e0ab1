"""Output: one line for one thing, nothing of a request's content, and nobody waits for a reader."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import select
import warnings
from collections.abc import Iterator
from io import FileIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.serve.telemetry.captured import capture
from torchyard.serve.telemetry.lines import Line, Lines, readable, to_json, whole
from torchyard.serve.telemetry.request_ids import well_formed

ANYTHING = st.text() | st.sampled_from(["\n", "\r\nFAKE", "\x1b[2J", "\u2028", "\x85"])


@given(ANYTHING, ANYTHING, ANYTHING)
@settings(deadline=None, max_examples=100)
def test_a_line_is_one_line_whatever_it_says(text: str, model: str, client: str) -> None:
    line = Line(1.0, "info", "answered", 0, model=model, client=client, text=text)
    for content in (to_json(line), readable(line)):
        assert content.endswith(b"\n")
        assert len(content.decode().splitlines()) == 1
        assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", content)


def test_json_leaves_out_what_is_not_known() -> None:
    found = json.loads(to_json(Line(1700000000.1234, "error", "fault", 2, incident="i-7", ms=1.5)))
    assert found == {
        "time": "2023-11-14T22:13:20.123Z", "level": "error", "event": "fault", "worker": 2,
        "incident": "i-7", "ms": 1.5,
    }  # fmt: skip


def test_of_a_fault_kind_and_place_are_told_and_no_word() -> None:
    lines = Lines(worker=1)
    try:
        try:
            int("a value of the body")
        except ValueError as error:
            raise RuntimeError("quotes: a value of the body") from error
    except RuntimeError as error:
        lines.tell("error", "fault", fault=error, text="decoding")
    (line,) = lines.taken()
    assert line.text == "decoding: RuntimeError"
    assert [place for place in line.stack if ":" not in place] == ["ValueError", "RuntimeError"]
    assert "test_lines.py" in line.stack[0]
    assert "a value of the body" not in to_json(line).decode() + readable(line).decode()
    assert len(readable(line).splitlines()) == 1 + len(line.stack)


Pipe = tuple[FileIO, FileIO]


@pytest.fixture(name="pipe")
def _pipe() -> Iterator[Pipe]:
    """Both ends, each closed once: a number that is closed again may be somebody else's by then."""
    reading, writing = os.pipe()
    with FileIO(reading, "rb") as reader, FileIO(writing, "wb") as writer:
        yield reader, writer


def test_what_is_told_is_written_in_order(pipe: Pipe) -> None:
    lines = Lines(worker=0, descriptor=pipe[1].fileno(), clock=lambda: 1.0)
    lines.start()
    for number in range(100):
        lines.tell("info", "answered", rows=number)
    lines.close()
    written = os.read(pipe[0].fileno(), 1 << 16).splitlines()
    assert [json.loads(line)["rows"] for line in written] == [*range(100)]


def test_a_reader_who_does_not_read_costs_lines_and_nothing_else(
    pipe: tuple[FileIO, FileIO],
) -> None:
    lines = Lines(worker=0, descriptor=pipe[1].fileno(), most_waiting=50)
    lines.start()
    told = 0
    while not lines.dropped:  # the pipe fills, then the queue does; telling never waits
        lines.tell("info", "said", text="x" * 500)
        told += 1
    assert told > 50
    assert lines.take_dropped() == 1
    assert lines.take_dropped() == 0
    pipe[0].close()  # or the writer would wait for ever
    lines.close()


def test_a_reader_who_is_gone_is_no_fault(pipe: Pipe) -> None:
    pipe[0].close()
    lines = Lines(descriptor=pipe[1].fileno())
    lines.start()
    lines.tell("info", "said", text="to nobody")
    lines.close()
    assert lines.take_dropped() == 1


@pytest.mark.parametrize(
    "given",
    [b"a" * 129, b"", b"a b", b"a\nb", b"a\r\nSet-Cookie: x", "ä".encode(), b"-x", b'"', b"a\x00"],
)
def test_an_id_that_may_not_stand_in_a_log_is_not_taken(given: bytes) -> None:
    assert well_formed(given) == ""


def test_an_id_of_the_usual_forms_is_taken() -> None:
    for name in ("6f1f3f4e-8b1a-4c6e-9d53-1f1b2c3d4e5f", "req_1.2:3/4+5=", "a" * 128):
        assert well_formed(name.encode()) == name


def test_what_python_says_becomes_lines_without_arguments() -> None:
    before, lines = logging.getLogger().handlers, Lines(worker=4)

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        capture(lines, loop)
        logging.getLogger("torchyard.serve").error("accepting failed: %s", "too many files")
        logging.getLogger("PIL").warning("Corrupt data b'secret'")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("secret", stacklevel=1)
        loop.call_exception_handler(
            {"message": "Exception in callback f(b'secret')", "exception": ValueError("secret")}
        )

    try:
        asyncio.run(scenario())
    finally:
        logging.getLogger().handlers = before
        logging.captureWarnings(False)
    found = lines.taken()
    assert [(line.level, line.event, line.text) for line in found] == [
        ("error", "said", "accepting failed: too many files"),
        ("warning", "said", "PIL: Corrupt data b"),
        ("warning", "said", "py.warnings: "),
        ("error", "fault", "Exception in callback f: ValueError"),
    ]
    assert "secret" not in str(found)


@given(st.lists(st.integers(1, 3000), max_size=50))
@settings(deadline=None, max_examples=50)
def test_lines_of_several_workers_on_one_pipe_stay_whole(lengths: list[int]) -> None:
    lines = [b"x" * length + b"\n" for length in lengths]
    pieces = list(whole(lines))
    assert b"".join(pieces) == b"".join(lines)
    assert all(len(piece) <= select.PIPE_BUF and piece.endswith(b"\n") for piece in pieces)


def test_the_longest_line_is_written_in_one_piece() -> None:
    def deep(levels: int) -> None:
        if levels:
            deep(levels - 1)
        raise ValueError

    lines = Lines(worker=0)
    try:
        deep(30)
    except ValueError as error:
        lines.tell("error", "fault", text="x" * 5000, fault=error, client="y" * 100)
    (line,) = lines.taken()
    assert len(to_json(line)) < select.PIPE_BUF
    assert line.stack[-1] == "ValueError"
