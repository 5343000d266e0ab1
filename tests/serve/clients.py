"""Clients that speak raw HTTP, for what a polite library would not send."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass
from typing import Any

ROW = {"carrier": "DL", "departs": "2026-02-01T09:30:00"}
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def post(body: bytes, *headers: str, path: str = "/v1/models/demo/predict") -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def predict(distance: float, **more: Any) -> bytes:
    return json.dumps({"rows": [{**ROW, "distance": distance}], **more}).encode()


class RawClient:
    """A blocking connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=PATIENCE_S)
        self._rest = b""

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, content: bytes) -> RawClient:
        self._socket.sendall(content)
        return self

    def end(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def read(self) -> Answer:
        """The next answer, interim ones included."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        status, headers = parse_head(head)
        length = int(headers.get("content-length", "0"))
        while len(self._rest) < length:
            self._more()
        body, self._rest = self._rest[:length], self._rest[length:]
        return Answer(status, headers, body)

    def is_closed(self) -> bool:
        """Whether the server closes without another byte."""
        return self._rest == b"" and self._socket.recv(1) == b""

    def _more(self) -> None:
        piece = self._socket.recv(65536)
        assert piece, f"closed after {self._rest!r}"
        self._rest += piece


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    line, *lines = head.decode().split("\r\n")
    pairs = (header.split(": ", 1) for header in lines)
    return int(line.split(" ")[1]), {name.lower(): value for name, value in pairs}


class AsyncClient:
    """One keep-alive connection that opens itself again when the server says it closes."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> Answer:
        """Send one request and read its answer.

        Raises:
            ConnectionRefusedError: nobody listens any more, so nothing was sent.
            OSError: the connection broke after the request was sent.
        """
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        writer.write(request)
        async with asyncio.timeout(PATIENCE_S):
            head = await _until(reader)
            status, headers = parse_head(head)
            body = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.close()
        return Answer(status, headers, body)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _until(reader: asyncio.StreamReader) -> bytes:
    try:
        return (await reader.readuntil(b"\r\n\r\n"))[:-4]
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError(f"closed after {error.partial!r}") from error
