"""Keys are shown once, kept as digests, and taken away at once."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from torchyard.core.errors import BadRecord, BadUsage, NotFound
from torchyard.serve.guarding.keys import (
    KEY,
    digest_of,
    has_expired,
    make_key,
    read_keys,
    revoke_key,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "api.json"


def test_a_key_is_shown_once_and_kept_as_a_digest(file: Path) -> None:
    key, made = make_key(file, name="shop", scopes=["predict"], days=None, now=NOW)

    assert KEY.fullmatch(key)
    assert read_keys(file) == (made,)
    assert (made.name, made.scopes, made.expires) == ("shop", ("predict",), None)
    assert (made.digest, made.ends_with) == (digest_of(key), key[-4:])
    assert made.created == "2026-05-01T12:00:00+00:00"
    assert key[:-4] not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_keys_are_never_the_same(file: Path) -> None:
    keys = {
        make_key(file, name=f"k{n}", scopes=["admin"], days=None, now=NOW)[0] for n in range(20)
    }
    assert len(keys) == 20


def test_scopes_are_kept_in_order_and_once(file: Path) -> None:
    _, made = make_key(file, name="a", scopes=["admin", "predict", "admin"], days=None, now=NOW)
    assert made.scopes == ("predict", "admin")


def test_a_key_may_expire(file: Path) -> None:
    _, made = make_key(file, name="a", scopes=["predict"], days=30, now=NOW)

    assert made.expires == "2026-05-31T12:00:00+00:00"
    assert not has_expired(made, NOW + timedelta(days=30, seconds=-1))
    assert has_expired(made, NOW + timedelta(days=30))


def test_what_is_revoked_is_gone_and_the_file_stays(file: Path) -> None:
    make_key(file, name="a", scopes=["predict"], days=None, now=NOW)
    _, second = make_key(file, name="b", scopes=["operate"], days=None, now=NOW)

    assert revoke_key(file, "a") == (second,)
    assert revoke_key(file, "b") == ()
    assert file.exists()
    assert read_keys(file) == ()


@pytest.mark.parametrize(
    ("name", "scopes", "days", "said"),
    [
        ("", ["predict"], None, "the key's name: found ''; expected 1 to 64 letters"),
        ("two words", ["predict"], None, "expected 1 to 64 letters, digits, dots, dashes"),
        ("a" * 65, ["predict"], None, "expected 1 to 64 letters"),
        ("taken", ["predict"], None, "found a key of that name; expected a new name"),
        ("a", ["predcit"], None, "--scope: found 'predcit'.*Did you mean 'predict'?"),
        ("a", [], None, "found no scope; expected predict or operate or admin"),
        ("a", ["predict"], 0, "--days: found 0; expected 1 to 36,500"),
    ],
)
def test_what_makes_no_key_is_told(
    file: Path, name: str, scopes: list[str], days: int | None, said: str
) -> None:
    make_key(file, name="taken", scopes=["predict"], days=None, now=NOW)
    before = file.read_bytes()
    with pytest.raises(BadUsage, match=said):
        make_key(file, name=name, scopes=scopes, days=days, now=NOW)
    assert file.read_bytes() == before


def test_an_unknown_name_is_not_revoked(file: Path) -> None:
    with pytest.raises(NotFound, match="Make one: torchyard key new NAME"):
        revoke_key(file, "shop")
    make_key(file, name="shop", scopes=["predict"], days=None, now=NOW)
    with pytest.raises(NotFound, match=r"found no key of that name.*Did you mean 'shop'\?"):
        revoke_key(file, "shp")


def test_a_damaged_file_is_not_replaced(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("{}")
    with pytest.raises(BadRecord):
        make_key(file, name="a", scopes=["predict"], days=None, now=NOW)
    assert file.read_text() == "{}"
