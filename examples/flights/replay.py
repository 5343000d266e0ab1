"""Live traffic: sends flights to a server one by one over HTTP, and the late labels after them."""

import asyncio
import json
import time
from dataclasses import dataclass, field

CONNECTIONS = 16


@dataclass
class Sent:
    """What came back: answers by id, failures with their text, seconds per request."""

    answers: dict = field(default_factory=dict)
    failures: list = field(default_factory=list)
    latencies: list = field(default_factory=list)
    seconds: float = 0.0

    @property
    def releases(self):
        counts = {}
        for release, _ in self.answers.values():
            counts[release] = counts.get(release, 0) + 1
        return counts


async def send(port, model, rows, ids, per_second=None):
    """POST each row under its id, as fast as answers come or at most `per_second`."""
    sent, work = Sent(), enumerate(zip(ids, rows, strict=True))
    started = time.perf_counter()

    async def connection():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number, (identity, row) in work:
            if per_second:
                await asyncio.sleep(started + number / per_second - time.perf_counter())
            body = json.dumps({"rows": [row], "ids": [identity]}).encode()
            tick = time.perf_counter()
            status, answer = await post(reader, writer, f"/v1/models/{model}/predict", body)
            sent.latencies.append(time.perf_counter() - tick)
            if status == 200:
                prediction = answer["predictions"][0]
                late = (prediction["probabilities"] or {}).get("late")  # None: it abstains
                sent.answers[identity] = (answer["release"], late)
            else:
                sent.failures.append(f"{status}: {answer}")
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    sent.seconds = time.perf_counter() - started
    return sent


async def send_labels(port, model, labels, batch=1000):
    """POST what became of the flights: pairs of id and whether it was late."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    accepted = 0
    for first in range(0, len(labels), batch):
        part = [{"id": name, "label": late} for name, late in labels[first : first + batch]]
        body = json.dumps({"labels": part}).encode()
        status, answer = await post(reader, writer, f"/v1/models/{model}/labels", body)
        if status != 202:
            raise RuntimeError(f"labels were refused: {status} {answer}")
        accepted += answer["accepted"]
    writer.close()
    await writer.wait_closed()
    return accepted


async def ask(port, path, value):
    """One POST on a connection of its own: status and answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await post(reader, writer, path, json.dumps(value).encode())
    finally:
        writer.close()
        await writer.wait_closed()


async def post(reader, writer, path, body):
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += "X-Deadline-Ms: 10000\r\n"  # without it: ten times the objective's 20 ms
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    status = int((await reader.readline()).split()[1])
    length = 0
    while (line := await reader.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return status, json.loads(await reader.readexactly(length) or b"null")
