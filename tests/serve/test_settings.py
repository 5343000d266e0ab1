"""Settings: bounds, and the line that carries them to a worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from torchyard.core.errors import BadUsage
from torchyard.serve import Settings
from torchyard.serve.settings import Count, WorkerStart, _words, check, default_of, settable, wanted


def settings(**changes: Any) -> Settings:
    places = ("releases", "trusted_keys", "predictions", "labels", "state")
    given: dict[str, Any] = {name: Path("/yard") / name for name in places}
    return Settings(**{**given, "channels_url": "sqlite:////yard/channels.db", **changes})


def test_settings_reach_a_worker_unchanged() -> None:
    start = WorkerStart(worker=3, socket=7, settings=settings(port=0, poll_s=0.5))

    assert WorkerStart.from_line(start.to_line()) == start
    assert start.to_line().count(b"\n") == 1


@pytest.mark.parametrize("line", [b"", b"{}\n", b"hello\n", b'{"worker": "x"}\n'])
def test_a_worker_started_by_hand_is_told_how(line: bytes) -> None:
    with pytest.raises(BadUsage, match="Start the server with: torchyard serve") as caught:
        WorkerStart.from_line(line)

    assert caught.value.where == "standard input of a worker"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("port", -1, "a whole number, 0 to 65535"),
        ("port", 65_536, "a whole number, 0 to 65535"),
        ("workers", 0, "a whole number, 1 or more"),
        ("workers", 1.5, "a whole number, 1 or more"),
        ("workers", True, "a whole number, 1 or more"),
        ("threads", 0, "a whole number, 1 or more"),
        ("lanes", 0, "a whole number, 1 or more"),
        ("max_rows", 0, "a whole number, 1 or more"),
        ("deadline_ms", 0, "a whole number, 1 or more"),
        ("segment_bytes", 0, "a whole number, 1 or more"),
        ("poll_s", 0.0, "a number, more than 0, at most 86400"),
        ("idle_timeout_s", float("nan"), "a number, more than 0, at most 86400"),
        ("drain_timeout_s", float("inf"), "a number, more than 0, at most 86400"),
        ("host", 7, "a text"),
    ],
)
def test_a_setting_out_of_range_is_refused(name: str, value: Any, expected: str) -> None:
    with pytest.raises(BadUsage) as caught:
        settings(**{name: value})

    error = caught.value
    assert error.where == f"serve setting {name}"
    assert (error.found, error.expected) == (str(value), expected)
    assert error.remedy == f"Give {name} such a value, or leave it out: {default_of(name)}."


def test_every_setting_with_a_default_may_be_set_and_has_a_range_in_words() -> None:
    assert {"host", "port", "workers", "deadline_ms"} <= set(settable())
    assert not {"releases", "channels_url", "state"} & set(settable())
    for name, default in settable().items():
        assert check(name, default, where="here") == default
        assert wanted(name)


def test_a_range_is_told_in_words_whatever_the_kind() -> None:
    assert _words(Path | None) == "a path"
    assert _words(Count | Literal["auto"]) == "a whole number, 1 or more or 'auto'"
