"""A project of texts, pictures and tensors about persons: trained, sealed, served, watched."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.journeys.test_life import Project

PROJECT = """
import torchyard as ty
from model import Net
from rows import rows

project = ty.Project(
    name="parcels",
    task=ty.binary_classification(label="damaged", classes=("whole", "damaged")),
    schema=ty.Schema(
        note=ty.text(max_length=2000),
        photo=ty.image(),
        scan=ty.tensor((2, 2), ge=0, le=1),
        parcel=ty.id(pattern="P[0-9]{6}"),
        sender=ty.text(personal=True, allow=["feature"]),
        phone=ty.id(pattern="[+][0-9]{8,12}", personal=True),
        depot=ty.category(personal=True, allow=["log"]),
        delivered=ty.timestamp(later=True),
    ),
    data=rows,
    split=ty.split_by_hash("parcel", validation=0.2, test=0.3),
    features=ty.Features(
        words=ty.tokenize("note", length=8, vocabulary=50),
        pixels=ty.pixels("photo", size=(8, 8), channels=1),
        scan=ty.passthrough("scan"),
        sender=ty.hash_bucket("sender", buckets=8),
    ),
    model=Net,
    training=ty.Training(max_epochs=12, batch_size=32, learning_rate=0.01, seed=3),
    gates=[ty.gate("auroc", at_least=0.6)],
    checks=ty.Checks(leaks="warn"),
)
"""
MODEL = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.words = nn.Embedding(features["words"].cardinality, 4)
        self.sender = nn.Embedding(features["sender"].cardinality, 2)
        self.last = nn.Linear(4 + 2 + features["pixels"].width + features["scan"].width, 1)

    def forward(self, words, pixels, scan, sender):
        parts = [self.words(words).mean(dim=1), self.sender(sender).flatten(1),
                 pixels.flatten(1), scan.flatten(1)]
        return self.last(torch.cat(parts, dim=1))
"""
ROWS = """
import io
from datetime import datetime

import numpy as np
import polars as pl
from PIL import Image


def rows():
    draw = np.random.default_rng(5)
    damaged = draw.random(600) < 0.4
    noise = draw.random((600, 8, 8)) * 120
    files = []
    for pixels, bad in zip(noise, damaged):
        file = io.BytesIO()
        Image.fromarray((pixels + 100 * bad).astype(np.uint8)).save(file, "PNG")
        files.append(file.getvalue())
    words = np.where(draw.random(600) < 0.2, ~damaged, damaged)
    return pl.DataFrame({
        "note": [f"{'torn' if word else 'fine'} box {n % 7}" for n, word in enumerate(words)],
        "photo": files,
        "scan": pl.Series(draw.random((600, 2, 2)).astype(np.float32)),
        "parcel": [f"P{n:06}" for n in range(600)],
        "sender": [f"Secret Person {n}" for n in range(600)],
        "phone": [f"+49170{n:06}" for n in range(600)],
        "depot": ["Ulm" if n % 2 else "Bonn" for n in range(600)],
        "delivered": [datetime(2026, 1, 1 + n % 28) for n in range(600)],
        "damaged": damaged,
    })
"""
PERSONAL = (b"Secret Person", b"+49170")
PATH = "/v1/models/parcels/predict"


def encoded(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def row(**changes: Any) -> dict[str, Any]:
    return {
        "note": "fine box 3",
        "photo": base64.b64encode(encoded(Image.new("L", (20, 9), 50), "PNG")).decode(),
        "scan": [[0, 0.25], [0.5, 1]],
        "parcel": "P123456",
        "sender": "Secret Person of Ulm",
        "phone": "+491700000001",
        "depot": "Ulm",
        **changes,
    }


def bomb(side: int) -> bytes:
    """A PNG file of a hundred bytes that says it has so many pixels on each side."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 3_751)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def photo(content: bytes) -> dict[str, Any]:
    return row(photo=base64.b64encode(content).decode())


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("parcels")
    for name, text in (("project.py", PROJECT), ("model.py", MODEL), ("rows.py", ROWS)):
        (folder / name).write_text(text)
    project = Project(folder)
    assert project.result("ship")["verdict"] == "pass"
    return project


@pytest.fixture(scope="module", name="client")
def _client(shipped: Project) -> Iterator[httpx.Client]:
    with shipped.serving() as client:
        yield client


def released(project: Project) -> Path:
    (folder,) = (project.folder / ".torchyard" / "releases").iterdir()
    return folder


@pytest.mark.slow
def test_a_release_shows_nothing_of_a_person(shipped: Project) -> None:
    folder = released(shipped)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        content = path.read_bytes()
        assert not any(secret in content for secret in PERSONAL), path
    golden = [
        json.loads(line)
        for line in (folder / "golden" / "requests.jsonl").read_bytes().splitlines()
    ]
    assert all(line["sender"].startswith("stand-in") for line in golden)
    assert {line["depot"] for line in golden} == {"Ulm", "Bonn"}
    assert all("delivered" not in line for line in golden)
    schema = json.loads((folder / "schema.json").read_bytes())
    assert "delivered" not in [field["name"] for field in schema["fields"]]


@pytest.mark.slow
def test_rows_of_all_kinds_are_answered(client: httpx.Client) -> None:
    answer = client.post(PATH, json={"rows": [row(), row(note="torn 👜 \u202e\x00" * 100)]})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["predictions"]) == 2
    inputs = [
        {"name": "scan", "datatype": "FP32", "shape": [1, 2, 2], "data": [0, 0.25, 0.5, 1]},
        *(
            {"name": name, "datatype": "BYTES", "shape": [1], "data": [row()[name]]}
            for name in ("note", "photo", "parcel", "sender", "phone", "depot")
        ),
    ]
    tensors = client.post("/v2/models/parcels/infer", json={"inputs": inputs}).json()
    first = answer.json()["predictions"][0]["probabilities"]
    assert tensors["outputs"][0]["data"] == pytest.approx(list(first.values()), abs=1e-6)
    described = client.get("/v2/models/parcels").json()["inputs"]
    assert {one["name"]: (one["datatype"], one["shape"]) for one in described}["scan"] == (
        "FP32",
        [-1, 2, 2],
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"GIF? no.", "8 bytes: in no format that is known"),
        (encoded(Image.effect_noise((200, 200), 90), "JPEG")[:5000], "5000 bytes: "),
        (bomb(9_000), "9000 x 9000 pixels"),
        (bomb(30_000), "900000000 pixels"),
    ],
    ids=["no picture", "cut off", "large", "bomb"],
)
def test_a_bad_picture_costs_its_own_request_only(
    client: httpx.Client, content: bytes, found: str
) -> None:
    def ask(rows: list[dict[str, Any]]) -> httpx.Response:
        return client.post(PATH, json={"rows": rows})

    bodies = [[row()], [row(), photo(content)]] * 8
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, bodies))

    assert [answer.status_code for answer in answers] == [200, 422] * 8, answers[0].text
    for refusal in (answer.json() for answer in answers[1::2]):
        assert refusal["error"] == "bad_data"
        assert refusal["where"] == "field 'photo', row 2"
        assert found in refusal["found"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "where", "found"),
    [
        ({"scan": [[0, 0], [0, 2]]}, "$.rows[0].scan[1][1]", "a number above 1"),
        ({"parcel": "P12"}, "$.rows[0].parcel", "a text of 3 characters"),
        ({"photo": "data:image/png;base64,AAAA"}, "$.rows[0].photo", "a data: URL"),
        ({"delivered": "2026-01-01T00:00:00"}, "$.rows[0]", "field 'delivered'"),
    ],
)
def test_rules_hold_over_http(
    client: httpx.Client, changes: dict[str, Any], where: str, found: str
) -> None:
    answer = client.post(PATH, json={"rows": [row(**changes)]})
    assert answer.status_code == 422
    assert (answer.json()["where"], answer.json()["found"]) == (where, found)


@pytest.mark.slow
def test_the_log_keeps_what_may_be_kept_and_is_watched(
    shipped: Project, client: httpx.Client
) -> None:
    draw = np.random.default_rng(1)
    for _ in range(5):
        rows = [row(note=f"torn box {n}", parcel=f"P{n:06}") for n in draw.integers(0, 999, 40)]
        assert client.post(PATH, json={"rows": rows}).status_code == 200
    report = shipped.result("monitor", "--every", "100000")
    assert report["rows"] >= 200
    (log,) = (shipped.folder / ".torchyard" / "predictions" / "parcels").glob("*.jsonl")
    assert not any(secret in log.read_bytes() for secret in PERSONAL)
    last = json.loads(log.read_text().splitlines()[-1])["row"]
    assert set(last) == {"note", "parcel", "depot"}
