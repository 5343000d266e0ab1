"""The sticky split: its shares are right, keys stay, and only a canary's growth moves them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchyard.records.live import ModelState
from torchyard.serve.router import position, split_of

KEYS = [f"user-{number}" for number in range(4000)]


def state(weight: float, *, challenger: str | None = "new") -> ModelState:
    routes = {"old": 1 - weight} | ({challenger: weight} if challenger else {})
    return ModelState(
        model="demo",
        champion="old",
        challenger=challenger,
        routes=routes,
        previous=(),
        last_event=1,
    )


@pytest.mark.parametrize("weight", [0.01, 0.25, 0.5, 0.9])
def test_the_canary_gets_its_share(weight: float) -> None:
    split = split_of(state(weight))

    share = sum(split.pick(key) == "new" for key in KEYS) / len(KEYS)

    # Five standard deviations of a binomial share: a fair hash misses it once in two million.
    assert abs(share - weight) < 5 * (weight * (1 - weight) / len(KEYS)) ** 0.5


@given(key=st.text(), low=st.floats(0.01, 0.98), more=st.floats(0.001, 0.5))
def test_a_growing_share_moves_keys_to_the_canary_only(key: str, low: float, more: float) -> None:
    before = split_of(state(low)).pick(key)
    after = split_of(state(min(low + more, 0.999))).pick(key)

    assert (before, after) in {("old", "old"), ("old", "new"), ("new", "new")}


def test_a_key_stays_where_it_is() -> None:
    picks = [[split_of(state(0.3)).pick(key) for key in KEYS[:200]] for _ in range(3)]

    assert picks[0] == picks[1] == picks[2]
    assert set(picks[0]) == {"old", "new"}


def test_two_canaries_do_not_get_the_same_users() -> None:
    first, second = (split_of(state(0.5, challenger=name)) for name in ("new", "newer"))

    both = sum(first.pick(key) == "new" and second.pick(key) == "newer" for key in KEYS)

    assert 0.2 < both / len(KEYS) < 0.3


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_one_release_with_all_the_traffic_is_alone(weight: float) -> None:
    split = split_of(state(weight))

    assert split.releases == (("old",) if weight == 0.0 else ("new",))
    assert {split.pick(key) for key in KEYS[:50]} == set(split.releases)


def test_the_champion_is_last_and_the_line_is_covered() -> None:
    split = split_of(state(0.1))

    assert split.releases == ("new", "old")
    assert split.ends == (0.1, 1.0)


@given(st.text())
def test_positions_lie_on_the_line(key: str) -> None:
    assert 0.0 <= position(key, salt=b"salt") < 1.0
