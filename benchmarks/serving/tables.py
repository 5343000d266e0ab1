"""Results as lines that a person reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.serving.measuring import Measured, tellings
from benchmarks.serving.servers import RAW

_HEAD = (
    f"  {'':<18} {'requests/s':>24} {'p50 ms':>9} {'p99 ms':>9}  "
    "torchyard's requests/s and p99 as multiples of it"
)


def in_short(found: Sequence[Measured]) -> str:
    """One line about a server's round."""
    parts = []
    for one in found:
        if one.raw is not None:
            parts.append(f"one row {one.raw['one_thread']['p50_us']:.0f} us")
        elif one.loads is None:
            parts.append(f"{one.way}: skipped: {(one.skipped or '')[:200]}")
        else:
            rates = ", ".join(
                f"c{connections} {load.requests_per_s:,.0f}/s p99 {load.p99_us / 1000:.2f} ms"
                for connections, (load, _) in one.loads.items()
            )
            wrong = sum(told.wrong for told in tellings(one))
            parts.append(f"{one.way}: {rates}" + (f"; {wrong} WRONG ANSWERS" if wrong else ""))
    return "; ".join(parts)


def table(result: dict[str, Any]) -> str:
    """Figures of every way and torchyard's ratio to it, model by model."""
    lines: list[str] = []
    for model in result["models"]:
        for connections in map(str, result["load"]["concurrency"]):
            lines += ["", f"{model}, {connections} connections", _HEAD]
            for way, server in result["servers"].items():
                if model in server["models"] and (way, connections) != (RAW, "1"):
                    ratio = _ratios(result, model, connections, way)
                    lines.append(_line(way, server["models"][model], connections) + ratio)
    lines += ["", "what a server adds to the model's own time at one connection (us, p50)"]
    for model, ways in result["overhead_us"].items():
        told = ", ".join(f"{way} {one['median']:,.0f}" for way, one in ways.items())
        lines.append(f"  {model}: {told}")
    return "\n".join(lines)


def _line(way: str, place: dict[str, Any], connections: str) -> str:
    if way == RAW:
        return f"  {way:<18} {_spread(place['raw']['rows_per_s']):>24} {'':>9} {'':>9}  "
    figures = place.get("loads", {}).get(connections)
    if figures is None:
        return f"  {way:<18} skipped: {place.get('skipped', '')[:110]}"
    wrong = f"{place['wrong']} WRONG ANSWERS; " if place["wrong"] else ""
    refused = sum(figures["non_2xx"]["repeats"]) + sum(figures["failed"]["repeats"])
    failed = f"{refused} failed; " if refused else ""
    return (
        f"  {way:<18} {_spread(figures['requests_per_s']):>24} {figures['p50_ms']['median']:>9.2f} "
        f"{figures['p99_ms']['median']:>9.2f}  {wrong}{failed}"
    )


def _spread(one: dict[str, Any]) -> str:
    return f"{one['median']:,.0f} ({one['min']:,.0f}-{one['max']:,.0f})"


def _ratios(result: dict[str, Any], model: str, connections: str, way: str) -> str:
    parts = []
    for ours, rivals in result["ratios"].get(model, {}).get(connections, {}).items():
        if way in rivals:
            rate, tail = rivals[way]["requests_per_s"], rivals[way].get("p99_ms")
            spread = f"{rate['median']:.2f} ({rate['min']:.2f}-{rate['max']:.2f})"
            parts.append(f"{ours} {spread}" + (f", p99 {tail['median']:.2f}" if tail else ""))
    return "; ".join(parts)
