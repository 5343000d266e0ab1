"""Settings as texts of ``--set``."""

from __future__ import annotations

import pytest

from torchyard.core.errors import BadUsage
from torchyard.records.training import Training
from torchyard.yard.settings import changed


def test_a_limit_may_be_none() -> None:
    assert changed(Training(), {"clip_norm": "none"}).clip_norm is None
    assert changed(Training(), {"clip_norm": None}).clip_norm is None


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("batch_size", "1e3", "a whole number"),
        ("batch_size", "none", "a whole number"),
        ("learning_rate", "fast", "a number"),
        ("clip_norm", "off", "a number, or none"),
        ("preflight", "maybe", "true or false"),
    ],
)
def test_a_text_of_another_kind_is_refused(name: str, value: str, expected: str) -> None:
    with pytest.raises(BadUsage, match=f"training setting '{name}'") as refused:
        changed(Training(), {name: value})
    assert (refused.value.found, refused.value.expected) == (repr(value), expected)


def test_settings_without_names_are_refused() -> None:
    with pytest.raises(BadUsage, match=r"found a list; expected settings by name"):
        changed(Training(), ["seed=1"])  # type: ignore[arg-type]
