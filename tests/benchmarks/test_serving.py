"""The serving benchmark's own arithmetic: what wrk says, ratios, bodies, wrong answers, reports."""

from __future__ import annotations

import json
import shutil
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from benchmarks.serving import bodies, report, tables, wrk
from benchmarks.serving.asking import Asker, Questions, Told, distinct
from benchmarks.serving.measuring import Measured
from benchmarks.serving.ratios import overhead_us, paired, summary

SAID = (
    "Running 2s test @ http://127.0.0.1:8000\n  1 threads and 64 connections\n"
    "RESULT requests=1000 seconds=2.000000 p50_us=900 p90_us=1500 p99_us=2500 max_us=9000 "
    "non_2xx=100 connect=1 read=2 write=3 timeout=4\n"
)


def test_refusals_are_no_requests_answered() -> None:
    load = wrk.parse(SAID)
    assert load.requests_per_s == 450
    assert (load.p50_us, load.p99_us, load.max_us) == (900, 2500, 9000)
    assert (load.non_2xx, load.broken, load.timeouts) == (100, 6, 4)


def test_a_load_without_a_result_says_what_wrk_said() -> None:
    with pytest.raises(wrk.NoResult, match="unable to connect"):
        wrk.parse("", "unable to connect to 127.0.0.1:8000 Connection refused")


def test_ratios_are_taken_within_a_round() -> None:
    found = paired([10.0, 40.0, None, 9.0], [5.0, 10.0, 7.0, None])
    assert found == {"repeats": [2.0, 4.0], "median": 3.0, "min": 2.0, "max": 4.0}
    assert paired([None, 1.0], [2.0, None]) is None


def test_summary_and_overhead() -> None:
    assert summary([2.0, 8.0, 5.0])["median"] == 5.0
    assert overhead_us(150.0, 30.0) == 120.0


@pytest.mark.parametrize(
    ("style", "answered"),
    [
        ("rows", {"predictions": [{"probabilities": {"no": 0.25, "yes": 0.75}}]}),
        ("rows", [[0.25, 0.75]]),
        ("plain", {"probabilities": [0.25, 0.75]}),
        (
            "oip",
            {
                "outputs": [
                    {"name": "label", "data": ["yes"]},
                    {"name": "probabilities", "data": [[0.25, 0.75]]},
                ]
            },
        ),
    ],
)
def test_an_answer_is_read_in_the_words_of_its_server(style: str, answered: object) -> None:
    assert bodies.answer(style, {}, json.dumps(answered).encode()) == [0.25, 0.75]


def test_binary_tensors_both_ways() -> None:
    row = {"x": [0.5, -1.0], "ids": [3, 4], "age": 30.5, "city": "Lyon"}
    head, _, body = bodies.request("oip_binary", "/v2/models/m/infer", row).partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"inference-header-content-length: ")[2].split()[0])
    told = {item["name"]: item for item in json.loads(body[:length])["inputs"]}
    sizes = [item["parameters"]["binary_data_size"] for item in told.values()]
    assert [told[name]["datatype"] for name in row] == ["FP32", "INT64", "FP64", "BYTES"]
    assert [told[name]["shape"] for name in row] == [[1, 2], [1, 2], [1, 1], [1, 1]]
    assert sizes == [8, 16, 8, 8]
    assert body[length:] == struct.pack("<2f2qdI4s", 0.5, -1.0, 3, 4, 30.5, 4, b"Lyon")
    outputs = [
        {"name": "label", "parameters": {"binary_data_size": 7}},
        {"name": "probabilities", "parameters": {"binary_data_size": 8}},
    ]
    start = json.dumps({"outputs": outputs}).encode()
    answer = start + b"\x03\0\0\0yes" + struct.pack("<2f", 0.25, 0.75)
    headers = {"inference-header-content-length": str(len(start))}
    assert bodies.answer("oip_binary", headers, answer) == [0.25, 0.75]


def test_rows_that_are_asked_for_answer_differently() -> None:
    answers = [[0.1, 0.9], [0.1001, 0.8999], [0.5, 0.5], [0.2, 0.8]]
    assert distinct(answers, 3) == [0, 2, 3]


def test_the_answer_of_another_row_is_wrong() -> None:
    rows = [{"x": [0.0]}, {"x": [1.0]}]
    requests = [bodies.request("plain", "/predict", row) for row in rows]
    with answering(b'{"probabilities":[0.25,0.75]}') as port:
        asker = Asker(port, Questions("plain", requests, [[0.25, 0.75], [0.75, 0.25]]))
        assert asker.fault(0) is None
        assert "right is [0.75, 0.25]" in str(asker.fault(1))
        asker.close()


def test_a_refusal_is_no_wrong_answer() -> None:
    requests = [bodies.request("plain", "/predict", {"x": [0.0]})]
    told = Told()
    with answering(b"", status=b"503 Busy") as port:
        asker = Asker(port, Questions("plain", requests, [[0.25, 0.75]]))
        told.note(asker.fault(0))
        asker.close()
    assert (told.right, told.refused, told.wrong) == (0, 1, 0)
    assert told.first_faults == ["row 0: refused with status 503"]


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_every_request_is_sent_in_turn_as_it_stands(tmp_path: Path) -> None:
    rows = [{"x": [float(n)]} for n in range(5)]
    requests = [bodies.request("plain", "/predict", row) for row in rows]
    file = wrk.write_requests(requests, tmp_path / "requests")
    seen: list[bytes] = []
    with answering(b'{"probabilities":[0.25,0.75]}', seen) as port:
        load = wrk.run_wrk(port, file, connections=1, seconds=1)
    assert load.requests > 5
    assert (load.non_2xx, load.broken, load.timeouts) == (0, 0, 0)
    sent = [request.rpartition(b"\r\n\r\n")[2] for request in seen[:5]]
    assert sorted(sent) == sorted(request.rpartition(b"\r\n\r\n")[2] for request in requests)


def test_a_result_has_every_repeat_and_torchyards_ratios() -> None:
    result: dict[str, Any] = {
        "load": {"repeats": 2, "concurrency": [1, 64]}, "models": {"m1": {}}, "servers": {},
        "ratios": {}, "overhead_us": {},
    }  # fmt: skip
    raw = {
        "one_thread": {"p50_us": 10.0}, "all_cores": {"p50_us": 9.0},
        "rows_per_s": {"32": {"one_process": 1000.0, "processes": 4000.0}},
    }  # fmt: skip
    for turn, (ours, theirs) in enumerate([(2000, 1000), (3000, 1000)]):
        report.add(result, turn, "m1", [loaded("torchyard", ours)])
        report.add(result, turn, "m1", [loaded("mosec", theirs, wrong=turn)])
        report.add(result, turn, "m1", [Measured("raw", "raw", {}, {}, raw=raw)])
    report.add(result, 0, "m1", [Measured("ray", "ray", {}, {}, skipped="uv: not found")])
    ratio = result["ratios"]["m1"]["64"]["torchyard"]
    assert ratio["mosec"]["requests_per_s"]["repeats"] == [2.0, 3.0]
    assert ratio["raw"]["requests_per_s"]["median"] == 0.625
    assert "raw" not in result["ratios"]["m1"]["1"]["torchyard"]
    assert result["overhead_us"]["m1"]["torchyard"]["median"] == 90.0
    printed = tables.table(result)
    assert "skipped: uv: not found" in printed
    assert "1 WRONG ANSWERS" in printed
    assert "torchyard 2.50 (2.00-3.00)" in printed


def test_without_one_connection_nothing_is_said_of_what_a_server_adds() -> None:
    result: dict[str, Any] = {
        "load": {"repeats": 1, "concurrency": [64]}, "models": {"m1": {}}, "servers": {},
    }  # fmt: skip
    load = wrk.Load(500, 1.0, 100, 150, 200, 300, 0, 0, 0)
    report.add(result, 0, "m1", [Measured("echo", "echo", {}, {}, loads={64: (load, Told())})])
    assert result["overhead_us"] == {}
    assert result["servers"]["echo"]["models"]["m1"]["loads"]["64"]["p99_ms"]["median"] == 0.2


def loaded(way: str, rate: int, *, wrong: int = 0) -> Measured:
    """A round of a way at one and at sixty-four connections."""
    load = wrk.Load(rate, 1.0, 100, 150, 200, 300, 0, 0, 0)
    told = Told(right=10, wrong=wrong)
    return Measured(way, way, {}, {}, loads={1: (load, Told()), 64: (load, told)})


@contextmanager
def answering(
    body: bytes, seen: list[bytes] | None = None, *, status: bytes = b"200 OK"
) -> Iterator[int]:
    """A server for one connection after the other that answers the same to every request."""
    whole = b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(ConnectionError):  # a load that is over resets what it has
                buffer = b""
                while data := connection.recv(65536):
                    buffer += data
                    head, _, rest = buffer.partition(b"\r\n\r\n")
                    length = int(head.lower().partition(b"content-length: ")[2].split()[0])
                    if len(rest) >= length:
                        if seen is not None and len(seen) < 10:
                            seen.append(buffer)
                        connection.sendall(whole)
                        buffer = b""

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
