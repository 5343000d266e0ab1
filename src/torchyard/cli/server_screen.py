"""A running server on one screen: a view in, something to draw out. No terminal, no threads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from torchyard.core.digest import short

if TYPE_CHECKING:
    from torchyard.records.lately import Lately, Traffic
    from torchyard.yard.watching import View

NARROW = 72  # columns below which details are left out
VERY_NARROW = 52  # and below which nearly everything is
MOST_WORKERS = 8
_EVENT_ROWS = 6
_DASH = "-"
_MIB = 1 << 20


@dataclass(frozen=True)
class Event:
    """Something notable: when, as local time of day, what, and how often in a row."""

    at: str
    text: str
    times: int = 1


def draw(
    view: View, events: Sequence[Event], *, seconds: float, width: int, height: int
) -> RenderableType:
    """The whole screen.

    Args:
        view: a look at the server.
        events: the last one last.
        seconds: since the start.
        width: columns of the terminal.
        height: its lines; events give way first, then workers.
    """
    parts: list[RenderableType] = [_head(view, seconds)]
    room = height - 3  # the head with a line below it, and the last line
    if view.lately is not None:
        routes = sum(len(state.routes) for state in view.models.values())
        room -= 3 + (2 + routes) + 2  # numbers, models, and what stands around the workers
        living = len(view.lately.workers)
        workers = min(living, MOST_WORKERS, max(1, room - _EVENT_ROWS))
        room -= workers + (living > workers)
        parts += [
            _numbers(view.lately, width),
            _models(view, view.lately, width),
            _workers(view, view.lately, width, most=workers),
        ]
    shown = max(0, min(_EVENT_ROWS, room - 1))
    if shown and events:
        parts.append(_events(events[-shown:]))
    last = Text("Ctrl-C stops it; requests under way are answered first.", style="dim")
    last.no_wrap, last.overflow = True, "ellipsis"
    return Group(*(Padding(part, (0, 1, 1, 1)) for part in parts), Padding(last, (0, 1)))


def summary(project: str, lately: Lately | None, seconds: float) -> str:
    """What is left to say when it is over."""
    if lately is None:
        return f"{project}: stopped before anything was served."
    refused = sum(lately.refusals.values())
    said = [f"{lately.answered:,} requests in {_duration(seconds)}", f"{refused:,} refused"]
    if lately.abstentions:
        said.append(f"{lately.abstentions:,} rows abstained from")
    if lately.faults:
        said.append(f"{lately.faults:,} failed")
    restarts = sum(worker.restarts for worker in lately.workers.values())
    if restarts:
        said.append(f"workers restarted {restarts:,} {'time' if restarts == 1 else 'times'}")
    return f"{project}: {', '.join(said)}."


def _head(view: View, seconds: float) -> RenderableType:
    server = view.server
    line = Text.assemble((view.project, "bold"), no_wrap=True, overflow="ellipsis")
    if server is None:
        return line.append("  starting or stopping", style="yellow")
    line.append(f"  {server.url}", style="cyan")
    ready = sum(worker.ready for worker in view.workers)
    if ready == server.workers:
        line.append("  ready", style="green")
    else:
        line.append(f"  {ready} of {server.workers} workers ready", style="yellow")
    return line.append(f"  up {_duration(seconds)}", style="dim")


def _numbers(lately: Lately, width: int) -> RenderableType:
    refused = sum(lately.refusals.values())
    cells = [
        ("requests/s", _rate(lately.all), "bold"),
        ("p50", _ms(lately.all.p50_ms), ""),
        ("p99", _ms(lately.all.p99_ms), ""),
        ("queue", f"{lately.queue_rows:,}", "yellow" if lately.queue_rows else ""),
        ("refused", f"{refused:,}", "yellow" if refused else ""),
        ("failed", f"{lately.faults:,}", "bold red" if lately.faults else ""),
        ("abstained", f"{lately.abstentions:,}", ""),
    ]
    if lately.quarantined:
        cells.append(("quarantined", f"{lately.quarantined:,}", "bold red"))
    if width < VERY_NARROW:
        cells = [cells[0], cells[2], cells[5]]
    elif width < NARROW:
        cells = [cells[0], *cells[2:6]]
    grid = _table([(name, "right") for name, _, _ in cells])
    grid.add_row(*(Text(value, style=style) for _, value, style in cells))
    return grid


def _models(view: View, lately: Lately, width: int) -> RenderableType:
    columns = [("model", "left"), ("release", "left"), ("variant", "left"), ("share", "right"),
               ("requests/s", "right"), ("p50", "right"), ("p99", "right")]  # fmt: skip
    left_out = {"variant", "p50"} if width < NARROW else set()
    if width < VERY_NARROW:
        left_out |= {"requests/s", "p99"}
    grid = _table([column for column in columns if column[0] not in left_out])
    variants = {(model, release): variant for model, release, variant in lately.served}
    for name, state in view.models.items():
        traffic = lately.models.get(name)
        if not state.routes:
            grid.add_row(name, "out of service")
        for place, (release, share) in enumerate(
            sorted(state.routes.items(), key=lambda route: -route[1])
        ):
            said = _traffic_cells(traffic) if place == 0 else ("", "", "")
            row = {
                "model": name if place == 0 else "",
                "release": short(release) + ("" if release == state.champion else " canary"),
                "variant": variants.get((name, release), _DASH),
                "share": f"{share:.0%}",
                "requests/s": said[0], "p50": said[1], "p99": said[2],
            }  # fmt: skip
            grid.add_row(*(value for key, value in row.items() if key not in left_out))
    if not view.models:
        return Text("Nothing is deployed yet: torchyard deploy", style="yellow")
    return grid


def _workers(view: View, lately: Lately, width: int, *, most: int) -> RenderableType:
    columns = [("worker", "right"), ("state", "left"), ("restarts", "right"),
               ("connections", "right"), ("memory", "right")]  # fmt: skip
    grid = _table(columns if width >= VERY_NARROW else columns[:3])
    living = {worker.worker: worker for worker in view.workers}
    for number, numbers in list(lately.workers.items())[:most]:
        worker = living.get(number)
        if worker is None:
            state = Text("starting", style="yellow")
        elif worker.problem:
            state = Text("behind", style="yellow")
        else:
            state = Text("ready", style="green") if worker.ready else Text("opening releases")
        memory = f"{numbers.memory_bytes / _MIB:,.0f} MiB" if numbers.memory_bytes else _DASH
        restarts = Text(str(numbers.restarts), style="yellow" if numbers.restarts else "")
        row = (str(number), state, restarts, f"{numbers.connections:,}", memory)
        grid.add_row(*row[: len(grid.columns)])
    if len(lately.workers) > most:
        grid.add_row("", f"and {len(lately.workers) - most} more")
    return grid


def _events(events: Iterable[Event]) -> RenderableType:
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(style="dim", width=8)
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for event in events:
        often = f" ({event.times:,} times)" if event.times > 1 else ""
        grid.add_row(event.at, Text(event.text + often))
    return grid


def _table(columns: Iterable[tuple[str, str]]) -> Table:
    grid = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for name, side in columns:
        grid.add_column(
            name, justify="right" if side == "right" else "left", no_wrap=True, overflow="ellipsis"
        )
    return grid


def _traffic_cells(traffic: Traffic | None) -> tuple[str, str, str]:
    if traffic is None:
        return "0", _DASH, _DASH
    return _rate(traffic), _ms(traffic.p50_ms), _ms(traffic.p99_ms)


def _rate(traffic: Traffic) -> str:
    rate = traffic.requests_s
    return f"{rate:,.0f}" if rate >= 10 or rate == 0 else f"{rate:.1f}"


def _ms(value: float | None) -> str:
    if value is None:
        return _DASH
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms"


def _duration(seconds: float) -> str:
    """Time as people say it.

    Example:
        >>> _duration(7.4), _duration(192), _duration(90_000)
        ('7 s', '3 min 12 s', '1 d 1 h')
    """
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
