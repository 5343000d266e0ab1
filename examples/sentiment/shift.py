"""What a shift looks like: a model made for films meets tweets, products and news.

Serves the newest release, asks it for sentences of each source with their labels after them, and
lets the monitor say what it sees. Run `torchyard ship` first, then:

    python shift.py
"""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from sentences import SOURCES, sentences

import torchyard as ty

HERE = Path(__file__).resolve().parent
TORCHYARD = str(Path(sys.executable).parent / "torchyard")
ROWS, BATCH = 800, 50


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def send(url, source):
    """Held-out sentences of a source as requests, then their labels."""
    rows = sentences(source).filter(part="test")
    rows = rows.sample(min(ROWS, rows.height), seed=1)
    ids = [f"{source}-{number}" for number in range(rows.height)]
    for first in range(0, rows.height, BATCH):
        part = slice(first, first + BATCH)
        texts = [{"text": text} for text in rows["text"][part]]
        post(f"{url}/predict", {"rows": texts, "ids": ids[part]})
    labels = [
        {"id": name, "label": label} for name, label in zip(ids, rows["positive"], strict=True)
    ]
    post(f"{url}/labels", {"labels": labels})


def main():
    server = subprocess.Popen([TORCHYARD, "serve", "--port", "0", "--workers", "1"], cwd=HERE)
    try:
        yard = ty.Yard(HERE)
        while not any(worker.ready for worker in yard.status().workers):
            if server.poll() is not None:
                sys.exit("the server ended before it was ready")
            time.sleep(0.2)
        url = f"http://127.0.0.1:{yard.status().server.port}/v1/models/sentiment"
        for source in SOURCES:
            send(url, source)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)
    subprocess.run([TORCHYARD, "monitor", "--every", str(ROWS)], cwd=HERE, check=True)


if __name__ == "__main__":
    main()
