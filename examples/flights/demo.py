"""The whole life of a model, on real flights. Run it with: make demo

Works on a copy of this example in build/demo, made anew each time. Every number it prints was
computed in this run.
"""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console

import torchyard as ty

HERE = Path(__file__).parent
FOLDER = HERE.parents[1] / "build" / "demo"
TORCHYARD = str(Path(sys.executable).parent / "torchyard")
MODEL = "flight-delay"
PACE = 1500  # requests a second while a decision is awaited
screen = Console(highlight=False, soft_wrap=True)


def chapter(title, text):
    screen.print()
    screen.rule(f"[bold]{title}", align="left")
    screen.print(f"[dim]{text}")


def command(*words):
    """Run a command as a person would, on the screen; stop the demo when it fails."""
    screen.print(f"[bold cyan]$ torchyard {' '.join(words)}")
    done = subprocess.run([TORCHYARD, *words], cwd=FOLDER, check=False)
    if done.returncode:
        sys.exit(f"torchyard {words[0]} ended with exit status {done.returncode}")


def result(*words):
    """Run a command for its JSON result, its progress on the screen."""
    screen.print(f"[bold cyan]$ torchyard {' '.join(words)}")
    done = subprocess.run(
        [TORCHYARD, *words, "--json"], cwd=FOLDER, check=False, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        sys.exit(f"torchyard {words[0]} ended with exit status {done.returncode}: {done.stdout}")
    return json.loads(done.stdout.splitlines()[-1])


async def decide(*words):
    """Run a command while traffic flows: seconds until every worker followed it, and when."""
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        TORCHYARD, *words, "--json", cwd=FOLDER, stdout=subprocess.PIPE
    )
    line = await process.stdout.readline()  # printed once the workers follow
    followed = time.perf_counter()
    await process.wait()
    if process.returncode:
        sys.exit(f"torchyard {words[0]} ended with exit status {process.returncode}: {line}")
    return followed - started, followed


@contextlib.contextmanager
def server():
    """`torchyard serve` on a free port while the block lasts."""
    screen.print("[bold cyan]$ torchyard serve --port 0 --workers 2 &")
    process = subprocess.Popen([TORCHYARD, "serve", "--port", "0", "--workers", "2"], cwd=FOLDER)
    try:
        yield wait_for_port(process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def wait_for_port(process):
    yard = ty.Yard(FOLDER)
    for _ in range(600):
        status = yard.status()
        if status.server and status.workers and all(worker.ready for worker in status.workers):
            return status.server.port
        if process.poll() is not None:
            sys.exit("the server ended before it was ready")
        time.sleep(0.1)
    sys.exit("the server was not ready within a minute")


def traffic(first, before):
    """Flights of a period as requests, their ids, and what became of them (None: cancelled)."""
    from torchyard.data.rows import request_rows

    sys.path.insert(0, str(FOLDER))
    from project import flights, project

    frame = flights(first, before)
    ids = [f"{first}/{number:06d}" for number in range(frame.height)]
    return request_rows(frame, project.schema), ids, frame["late"].to_list()


def in_metres_per_second(rows):
    """The planted fault: a sender changes the unit of one field and tells nobody."""
    return [
        {**row, "wind_speed": row["wind_speed"] * 0.44704} if "wind_speed" in row else row
        for row in rows
    ]


def known(ids, late):
    return [(name, value) for name, value in zip(ids, late, strict=True) if value is not None]


def told(sent, name):
    p50, p99 = np.percentile(np.array(sent.latencies) * 1000, [50, 99])
    screen.print(
        f"  {name}: [bold]{len(sent.answers):,}[/] answered one by one in {sent.seconds:.1f} s "
        f"({len(sent.answers) / sent.seconds:,.0f}/s from one Python client; p50 {p50:.1f} ms, "
        f"p99 {p99:.1f} ms), [bold]{len(sent.failures)}[/] failed"
    )
    for failure in sent.failures[:3]:
        screen.print(f"    {failure}", style="red")
    return sent


async def first_requests(port, row):
    from replay import ask

    path = f"/v1/models/{MODEL}/predict"
    _, answer = await ask(port, path, {"rows": [row]})
    screen.print(f"  [bold]POST {path}[/] {json.dumps(row)[:88]}...")
    screen.print(f"  200 {json.dumps(answer['predictions'][0])}")
    _, silent = await ask(port, path, {"rows": [{**row, "dest": "XYZ"}]})
    screen.print(f"  and to an airport that opened yesterday: label null, "
                 f"{silent['predictions'][0]['reason']}")  # fmt: skip
    _, explained = await ask(port, path, {"rows": [row], "explain": True})
    made = itertools.islice(explained["predictions"][0]["explanation"].items(), 3)
    screen.print(
        f'  and with "explain": true: {", ".join(f"{n} {by:+.3f}" for n, by in made)}, ...'
    )
    status, refusal = await ask(port, path, {"rows": [{**row, "distance": -3}]})
    screen.print(f"  and with distance -3: {status} {refusal['where']}: found {refusal['found']}; "
                 f"expected {refusal['expected']}")  # fmt: skip


async def live(port):
    from replay import send, send_labels

    november, december = traffic("2013-11-01", "2013-12-01"), traffic("2013-12-01", "2014-01-01")
    await first_requests(port, november[0][0])
    sent = [told(await send(port, MODEL, *november[:2]), "November")]
    labels = known(november[1], november[2])
    screen.print(f"  {await send_labels(port, MODEL, labels):,} labels arrived late, as they do")

    chapter(
        "A second release takes over",
        "Trained from another seed; it must not be worse than the champion on the same test rows. "
        "Decisions fall while requests are in flight.",
    )
    second = result("ship", "--set", "seed=11", "--set", "learning_rate=0.001")
    rows, ids, late = december
    cuts = [0, *(int(len(rows) * share) for share in (0.3, 0.5, 0.7)), len(rows)]
    part = [slice(*pair) for pair in itertools.pairwise(cuts)]

    sent.append(await under_load(port, rows[part[0]], ids[part[0]], "1 to 9 December",
                                 "deploy", "--canary", "0.1"))  # fmt: skip
    canary = told(await send(port, MODEL, rows[part[1]], ids[part[1]]), "10 to 15 December")
    counted = canary.releases.get(second["release"], 0) / len(canary.answers)
    screen.print(f"  the canary answered {counted:.1%} of them")
    sent += [canary, await under_load(port, rows[part[2]], ids[part[2]], "16 to 21 December",
                                      "promote")]  # fmt: skip

    chapter("A sender breaks", "wind_speed now comes in metres per second. Every value is still "
            "possible, so no request is refused.")  # fmt: skip
    broken = in_metres_per_second(rows[part[3]])
    sent.append(told(await send(port, MODEL, broken, ids[part[3]]), "22 to 31 December"))
    await send_labels(port, MODEL, known(ids, late))
    return sent, second, counted


async def under_load(port, rows, ids, name, *words):
    """Run a command while requests are in flight, slowly enough that it falls among them."""
    from replay import send

    decision = asyncio.ensure_future(decide(*words))
    sent = told(await send(port, MODEL, rows, ids, per_second=PACE), f"{name}, meanwhile")
    ended = time.perf_counter()
    seconds, followed = await decision
    late = "" if followed < ended else ", after the last request"
    screen.print(
        f"  [bold cyan]$ torchyard {' '.join(words)}[/]  every worker followed {seconds:.1f} s "
        f"after it was typed{late}"
    )
    return sent


async def go_back(port):
    rows, ids, _ = traffic("2013-12-24", "2014-01-01")
    again = [f"again/{name}" for name in ids]
    words = ("rollback", "--reason", "wind_speed alert")
    return await under_load(port, rows, again, "24 to 31 December again", *words)


def summary(first, second, sent, counted, report, seconds):
    asked = sum(len(part.answers) + len(part.failures) for part in sent)
    failed = sum(len(part.failures) for part in sent)
    auroc = first["metrics"]["auroc"]
    lives = [w["quality"]["auroc"]["value"] for w in report["windows"] if "auroc" in w["quality"]]
    wind = [a["message"] for a in report["alerts"] if "m/s instead of mph" in a["message"]]
    fields = {field["name"] for window in report["windows"] for field in window["fields"]}
    moved = {alert["subject"] for alert in report["alerts"]} & fields - {"wind_speed"}
    champion = ty.Yard(FOLDER).status().models[MODEL].champion
    folder = os.path.relpath(FOLDER, HERE.parents[1])
    page = f".torchyard/releases/{first['release'].removeprefix('sha256:')}/card.html"
    screen.print()
    screen.rule("[bold green]What happened", align="left")
    for name, text in (
        ("Shipped", f"release 1, AUROC {auroc['value']:.3f} [{auroc['low']:.3f}, "
         f"{auroc['high']:.3f}] on {auroc['rows']:,} flights of October that it had not seen"),
        ("", f"release 2, AUROC {second['metrics']['auroc']['value']:.3f}, through the same gates "
         "and a comparison with release 1"),
        ("Served", f"{asked:,} requests, {failed} failed, through a canary ({counted:.1%} of "
         "traffic), a promotion and a rollback"),
        ("Watched", f"live AUROC from {min(lives):.3f} to {max(lives):.3f} in {len(lives)} weekly "
         "windows, from labels that came late"),
        ("Alerted", wind[0] if wind else "nothing about wind_speed: that is a fault of the demo"),
        ("", f"as winter came: {', '.join(sorted(moved)) or 'nothing else'} moved too"),
        ("Returned", f"{champion[7:19]} serves again, which is release 1"
         if champion == first["release"] else "not to release 1: a fault of the demo"),
        ("Took", f"{seconds:.0f} s"),
        ("Look at", f"{folder}/{page}\n(the model card of release 1)"),
        ("", f"{folder}/.torchyard/reports/{MODEL}.html\n(what was watched)"),
        ("", "examples/flights/project.py, flights.py, model.py (all there was to write)"),
        ("", f"cd {folder} && ../../.venv/bin/torchyard --help"),
    ):  # fmt: skip
        screen.print(f"[bold]{name:<9}[/] {text}".replace("\n", "\n" + " " * 10))


def main():
    started = time.monotonic()
    if FOLDER.exists():
        shutil.rmtree(FOLDER)
    FOLDER.mkdir(parents=True)
    for name in ("project.py", "flights.py", "model.py"):
        shutil.copy(HERE / name, FOLDER / name)

    chapter(
        "From data to a release",
        "Will a flight from New York arrive more than 15 minutes late? Trained on January to July "
        "2013, validated on August and September, tested on October.",
    )
    first = result("ship")
    chapter("Live traffic", "November and December are the future: each flight is one request.")
    with server() as port:
        sent, second, counted = asyncio.run(live(port))
        chapter("What the monitor sees", "The prediction log, week by week, against the "
                "distributions that the release carries.")  # fmt: skip
        command("monitor", "--every", "7d", "--time", "scheduled")
        report = json.loads((FOLDER / ".torchyard" / "reports" / f"{MODEL}.json").read_text())
        chapter("Back to the first release", "Again while requests are in flight.")
        sent.append(asyncio.run(go_back(port)))
        command("status")
    summary(first, second, sent, counted, report, time.monotonic() - started)


if __name__ == "__main__":
    main()
