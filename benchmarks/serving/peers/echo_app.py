"""No model: reads a request by httptools on uvloop and answers the same 40 bytes to all.

What the socket path alone allows one Python process on these cores.
"""

import asyncio
import os

import httptools
import uvloop

BODY = b'{"probabilities":[0.25,0.75]}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)


class Echo(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport):
        """Keep it."""
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data):
        """Parse."""
        self.parser.feed_data(data)

    def on_body(self, body):
        """Take the body in, as a server must."""
        self.body = body

    def on_message_complete(self):
        """Answer."""
        self.transport.write(ANSWER)


async def main():
    """Listen until ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", int(os.environ["BENCH_PORT"]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
