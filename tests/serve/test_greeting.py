"""A port that speaks TLS, asked by those who do, those who do not, and those who say nothing."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.support.certificates import signed
from torchyard.serve.admission.crowd import SPARE, Crowd
from torchyard.serve.guarding.tls import Tls, TlsFiles
from torchyard.serve.http.answers import Answer
from torchyard.serve.http.connection import Exchange, Limits, Listener
from torchyard.serve.http.door import Door
from torchyard.serve.http.greeting import first_byte

GET = b"GET /secret HTTP/1.1\r\nHost: evil.example\r\nX-Request-Id: r-1\r\n\r\n"
PATIENCE_S = 20.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Files = dict[str, Path]


@pytest.fixture(scope="module", name="files")
def _files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Certificates of a server and a client, of one authority."""
    folder, authority = tmp_path_factory.mktemp("tls"), signed("an authority")
    files: Files = {"authority": authority.write(folder, "authority")[0]}
    for name in ("server", "till"):
        files[name], files[f"{name}.key"] = signed(name, authority).write(folder, name)
    return files


class Bench:
    """A door for TLS on this loop, which answers every request with its client's name."""

    def __init__(
        self,
        files: Files,
        *,
        first_byte_s: float = PATIENCE_S,
        crowd: Crowd | None = None,
        **more: Any,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.files = files
        self.seen: list[tuple[str, str]] = []
        tls = TlsFiles(certificate=files["server"], key=files["server.key"], **more)
        self.listener = Listener(
            handle=lambda exchange: exchange.answer(Answer(200, exchange.client.encode())),
            observe=self._observe,
            limits=Limits(
                head_bytes=4000,
                body_bytes=1 << 20,
                head_s=PATIENCE_S,
                body_s=PATIENCE_S,
                idle_s=PATIENCE_S,
                first_byte_s=first_byte_s,
            ),
            clock=self.loop.time,
            connections=set(),
            tls=Tls(tls),
            crowd=crowd or Crowd(),
        )
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listening.getsockname()
        self.door = Door(self._listening, self.listener, self.loop)
        self.door.open()

    def _observe(self, exchange: Exchange, code: str) -> None:
        self.seen.append((exchange.route, code))

    async def plain(self, content: bytes = b"") -> Streams:
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(content)
        return reader, writer

    async def asked(self, who: str | None = None) -> bytes:
        """What a client that speaks TLS is answered."""
        context = ssl.create_default_context(cafile=str(self.files["authority"]))
        if who is not None:
            context.load_cert_chain(self.files[who], self.files[f"{who}.key"])
        reader, writer = await asyncio.open_connection(*self.address, ssl=context)
        writer.write(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        answer = await reader.read()
        writer.close()
        return answer


Scenario = Callable[[Bench], Awaitable[None]]


@pytest.fixture(name="run")
def _run(files: Files) -> Callable[..., None]:
    """Runs a scenario against a door with other settings where it gives them."""

    async def opened(scenario: Scenario, changes: dict[str, Any]) -> None:
        bench = Bench(files, **changes)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await scenario(bench)
        finally:
            bench.door.close()

    def run(scenario: Scenario, **changes: Any) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(opened(scenario, changes))

    return run


Run = Callable[..., None]


@pytest.mark.parametrize("pieces", [[GET], [b"G", GET[1:]]], ids=["whole", "dripping"])
def test_plain_http_is_told_to_use_https(run: Run, pieces: list[bytes]) -> None:
    async def scenario(bench: Bench) -> None:
        reader, writer = await bench.plain()
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.02)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()

        assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"connection: close" in head
        assert b"r-1" not in head
        assert json.loads(body) == {
            "error": "bad_http",
            "where": "HTTP request",
            "found": "plain HTTP",
            "expected": "TLS, which this port speaks",
            "remedy": "Ask the same host and port with https:// in the place of http://.",
        }
        assert bench.seen == [("unreadable", "400")], "counted, and never answered as a request"

    run(scenario)


def test_a_plain_request_that_goes_on_gets_its_answer_all_the_same(run: Run) -> None:
    """Closing with bytes unread would reset the connection and take the answer away."""

    async def scenario(bench: Bench) -> None:
        reader, writer = await bench.plain(b"POST / HTTP/1.1\r\nContent-Length: 900000\r\n\r\n")
        writer.write(bytes(900_000))
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        assert (await bench.asked()).startswith(b"HTTP/1.1 200 ")
        writer.close()

    run(scenario)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00" * 100,
        b"\x80\x2e\x01",
        b"\r\nGET / HTTP/1.1\r\n\r\n",
        b"\x15\x03\x03\x00\x02",
        b"\xff",
    ],
)
def test_what_is_neither_is_closed_without_a_word(run: Run, garbage: bytes) -> None:
    async def scenario(bench: Bench) -> None:
        reader, writer = await bench.plain(garbage)
        with suppress(ConnectionResetError):  # it was closed with bytes unread
            assert await reader.read() == b""
        writer.close()
        assert bench.seen == []
        assert (await bench.asked()).startswith(b"HTTP/1.1 200 ")

    run(scenario)


def test_who_says_nothing_is_closed_in_time(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        reader, writer = await bench.plain()
        assert await reader.read() == b""
        writer.close()
        assert bench.seen == []

    run(scenario, first_byte_s=0.1)


def test_who_speaks_tls_is_served_beside_all_of_them(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        others = [await bench.plain(said) for said in (b"", b"", GET, b"\x16\x03", b"\x00") * 3]
        for _ in range(5):
            answer = await bench.asked()
            assert answer.endswith(b"\r\n\r\n127.0.0.1")
        assert bench.seen.count(("", "200")) == 5
        for _, writer in others:
            writer.close()

    run(scenario)


def test_without_a_certificate_plain_http_gets_no_further_than_tls(run: Run, files: Files) -> None:
    async def scenario(bench: Bench) -> None:
        reader, writer = await bench.plain(GET * 20)
        assert (await reader.read()).count(b"HTTP/1.1 400 ") == 1
        writer.close()
        assert await turned_away(bench)
        assert (await bench.asked("till")).endswith(b"\r\n\r\ntill")
        assert bench.seen == [("unreadable", "400"), ("", "200")]

    run(scenario, client_ca=files["authority"])


def test_the_silent_are_counted_and_do_not_take_all_there_is(run: Run) -> None:
    """Of one client only so many may be about to speak TLS; the next is closed at once."""

    async def scenario(bench: Bench) -> None:
        silent = [await bench.plain() for _ in range(2)]
        await _greeted(bench, 2)
        reader, writer = await bench.plain()
        assert await reader.read() == b""
        for _, one in (*silent, (reader, writer)):
            one.close()
        await _greeted(bench, 0)
        assert (await bench.asked()).startswith(b"HTTP/1.1 200 ")

    run(scenario, crowd=Crowd(most_per_client=2))


def test_a_client_that_goes_at_once_leaves_nothing_behind(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        for said in (b"", GET, b"\x16"):
            _, writer = await bench.plain(said)
            writer.transport.abort()
        await _greeted(bench, 0)
        assert (await bench.asked()).startswith(b"HTTP/1.1 200 ")

    run(scenario)


async def turned_away(bench: Bench) -> bool:
    try:
        return await bench.asked() == b""
    except (ssl.SSLError, ConnectionError):
        return True


async def _greeted(bench: Bench, count: int) -> None:
    while bench.door._greetings.count != count:
        await asyncio.sleep(0.005)


def test_a_first_byte_is_left_for_others_to_read() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            waiting = loop.create_task(first_byte(ours, loop, most_s=PATIENCE_S))
            await asyncio.sleep(0)
            theirs.sendall(b"GET")
            assert await waiting == b"G"
            assert ours.recv(10) == b"GET"
            assert await first_byte(ours, loop, most_s=0.01) == b""
            theirs.close()
            assert await first_byte(ours, loop, most_s=PATIENCE_S) == b""

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


def test_room_is_for_those_too_who_are_no_connections_yet() -> None:
    crowd = Crowd(most=2)
    crowd.enter("a", is_proxy=False)
    assert crowd.has_room_for(SPARE + 1)
    assert not crowd.has_room_for(SPARE + 2)
    assert crowd.alike().count == 0
