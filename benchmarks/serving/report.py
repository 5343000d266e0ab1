"""The result: every repeat of every server, and ratios within rounds."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.serving import models, wrk
from benchmarks.serving.measuring import Measured, Plan, tellings
from benchmarks.serving.models import BenchModel
from benchmarks.serving.ratios import overhead_us, paired, summary
from benchmarks.serving.servers import RAW

Result = dict[str, Any]
_OURS = ("torchyard", "torchyard_oip", "torchyard_bin")
_FIGURES = ("requests_per_s", "p50_ms", "p90_ms", "p99_ms", "non_2xx", "failed")


def new_result(plan: Plan, made: Sequence[BenchModel], *, repeats: int) -> Result:
    """A result without figures."""
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
            "system": platform.platform(),
        },
        "load": {
            "by": wrk.wrk_version(), "threads": 1, "seconds": plan.seconds, "repeats": repeats,
            "concurrency": list(plan.concurrency),
        },
        "models": {model.name: models.about(model) for model in made},
        "servers": {},
        "ratios": {},
        "overhead_us": {},
    }  # fmt: skip


def add(result: Result, turn: int, model: str, found: Iterable[Measured]) -> None:
    """Put a server's figures of one round in their place, and compute what follows from them."""
    repeats = result["load"]["repeats"]
    for one in found:
        server = result["servers"].setdefault(
            one.way, {"server": one.server, "versions": {}, "models": {}}
        )
        server["versions"] = dict(one.versions) or server["versions"]
        place = server["models"].setdefault(model, {"rounds": [None] * repeats})
        place["settings"] = dict(one.settings)
        place["rounds"][turn] = _round(one)
        _summarize(place)
    result["ratios"] = _ratios(result)
    result["overhead_us"] = _overheads(result)


def write(result: Result, path: Path) -> None:
    """Write it whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stage = path.with_name(f".{path.name}")
    stage.write_text(json.dumps(result, indent=1) + "\n")
    stage.rename(path)


def _round(one: Measured) -> dict[str, Any]:
    """One round as it stands in the result."""
    if one.raw is not None:
        return {"raw": dict(one.raw)}
    if one.loads is None:
        return {"skipped": one.skipped, "checked": asdict(one.checked) if one.checked else None}
    return {
        "start_s": round(one.start_s or 0.0, 1),
        "request_bytes": one.request_bytes,
        "checked": asdict(one.checked) if one.checked else None,
        "wrong": sum(told.wrong for told in tellings(one)),
        "loads": {
            str(connections): {
                "requests_per_s": round(load.requests_per_s, 1),
                "p50_ms": load.p50_us / 1000,
                "p90_ms": load.p90_us / 1000,
                "p99_ms": load.p99_us / 1000,
                "max_ms": load.max_us / 1000,
                "requests": load.requests,
                "non_2xx": load.non_2xx,
                "failed": load.broken + load.timeouts,
                "sampled": asdict(told),
            }
            for connections, (load, told) in one.loads.items()
        },
    }


def _summarize(place: dict[str, Any]) -> None:
    """Medians and ends over the rounds so far."""
    rounds = [one for one in place["rounds"] if one]
    loaded = [one for one in rounds if "loads" in one]
    skipped = [one["skipped"] for one in rounds if one.get("skipped")]
    place.pop("skipped", None)
    if skipped and not loaded:
        place["skipped"] = skipped[-1]
    place["wrong"] = sum(one["wrong"] for one in loaded)
    if loaded:
        place["loads"] = {
            connections: {
                name: summary([one["loads"][connections][name] for one in loaded])
                for name in _FIGURES
            }
            for connections in loaded[0]["loads"]
        }
    raw = [one["raw"] for one in rounds if "raw" in one]
    if raw:
        place["raw"] = {
            "one_row_us": summary([one["one_thread"]["p50_us"] for one in raw]),
            "one_row_all_cores_us": summary([one["all_cores"]["p50_us"] for one in raw]),
            "rows_per_s": summary([_best_rate(one) for one in raw]),
        }


def _best_rate(raw: dict[str, Any]) -> float:
    """The most rows a second of any batch size, in one process or several."""
    return float(max(rate for rates in raw["rows_per_s"].values() for rate in rates.values()))


def _ratios(result: Result) -> dict[str, Any]:
    """Ours over theirs by model, connections, our way, their way."""
    found: dict[str, Any] = {}
    for model in result["models"]:
        for connections in map(str, result["load"]["concurrency"]):
            for ours in _OURS:
                for theirs in result["servers"]:
                    told = _ratio(result, model, connections, ours, theirs)
                    if told:
                        by_load = found.setdefault(model, {}).setdefault(connections, {})
                        by_load.setdefault(ours, {})[theirs] = told
    return found


def _ratio(
    result: Result, model: str, connections: str, ours: str, theirs: str
) -> dict[str, Any] | None:
    if theirs in _OURS or not _is_alike(ours, theirs):
        return None
    if theirs == RAW:
        if connections == "1":
            return None  # it answers in batches
        rates = [one and _best_rate(one["raw"]) for one in _rounds(result, RAW, model)]
        against = paired(_series(result, ours, model, connections, "requests_per_s"), rates)
        return against and {"requests_per_s": against}
    told = {
        name: paired(
            _series(result, ours, model, connections, name),
            _series(result, theirs, model, connections, name),
        )
        for name in ("requests_per_s", "p50_ms", "p99_ms")
    }
    return told if told["requests_per_s"] else None


def _is_alike(ours: str, theirs: str) -> bool:
    """Binary against binary and JSON against JSON; both against what is no server."""
    return theirs in (RAW, "echo") or ours.endswith("_bin") == theirs.endswith("_bin")


def _rounds(result: Result, way: str, model: str) -> list[Any]:
    place = result["servers"].get(way, {}).get("models", {}).get(model)
    return list(place["rounds"]) if place else [None] * result["load"]["repeats"]


def _series(
    result: Result, way: str, model: str, connections: str, name: str
) -> list[float | None]:
    """A figure of every round, None where there is none."""
    loads = [((one or {}).get("loads") or {}) for one in _rounds(result, way, model)]
    return [one[connections][name] if connections in one else None for one in loads]


def _overheads(result: Result) -> dict[str, Any]:
    """At one connection, the median time of an answer less the model's own with one thread."""
    found: dict[str, Any] = {}
    for model in result["models"]:
        for way in result["servers"]:
            pairs = zip(
                _series(result, way, model, "1", "p50_ms") if way != RAW else [],
                _rounds(result, RAW, model),
                strict=False,
            )
            added = [
                overhead_us(took * 1000, raw["raw"]["one_thread"]["p50_us"])
                for took, raw in pairs
                if took is not None and raw
            ]
            if added:
                found.setdefault(model, {})[way] = summary(added)
    return found


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
