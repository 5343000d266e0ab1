"""Whom the keyring lets in, for what, and how it follows its file."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.core.errors import Forbidden, NotTrusted, Unauthenticated
from torchyard.records.keys import Scope
from torchyard.serve.guarding.exposure import exposed
from torchyard.serve.guarding.keyring import Keyring, credentials_in
from torchyard.serve.guarding.keys import make_key, revoke_key

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "api.json"


def new(file: Path, name: str, *scopes: str, days: int | None = None) -> bytes:
    return make_key(file, name=name, scopes=scopes, days=days, now=NOW)[0].encode()


def keyring_of(
    file: Path, *, is_required: bool | None = None, now: float = NOW.timestamp()
) -> Keyring:
    return Keyring(file, is_required=is_required, clock=lambda: now)


def test_without_a_file_nobody_is_asked(file: Path) -> None:
    assert keyring_of(file).check(None, "admin") == ""
    assert Keyring.open().check(b"anything", "predict") == ""


def test_a_server_may_ask_before_there_is_a_key_or_never(file: Path) -> None:
    with pytest.raises(Unauthenticated, match="header Authorization: found no key"):
        keyring_of(file, is_required=True).check(None, "predict")
    new(file, "shop", "predict")
    assert keyring_of(file, is_required=False).check(None, "admin") == ""


@pytest.mark.parametrize(
    "form", [b"%b", b"Bearer %b", b"bearer %b", b"BEARER   %b ", b" Bearer %b"]
)
def test_a_key_lets_its_client_in_by_name(file: Path, form: bytes) -> None:
    key = new(file, "shop", "predict")
    keyring = keyring_of(file)
    for _ in range(2):  # the second time from memory
        assert keyring.check(form % key, "predict") == "shop"


@pytest.mark.parametrize(
    ("scopes", "let_in"),
    [
        (("predict",), {"predict"}),
        (("operate",), {"operate"}),
        (("predict", "operate"), {"predict", "operate"}),
        (("admin",), {"predict", "operate", "admin"}),
    ],
)
def test_scopes_part_what_a_key_is_for(
    file: Path, scopes: tuple[str, ...], let_in: set[str]
) -> None:
    key, keyring = new(file, "shop", *scopes), keyring_of(file)
    asked: tuple[Scope, ...] = ("predict", "operate", "admin")
    for scope in asked:
        if scope in let_in:
            assert keyring.check(key, scope) == "shop"
        else:
            with pytest.raises(Forbidden, match=f"key shop: found .*expected a key for {scope}"):
                keyring.check(key, scope)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_only_the_very_key_lets_in(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    file = tmp_path_factory.mktemp("keys") / "api.json"
    key, keyring = new(file, "shop", "admin"), keyring_of(file)
    changed = bytearray(key)
    changed[data.draw(st.integers(0, len(key) - 1))] = data.draw(st.integers(0, 255))
    tried = data.draw(st.one_of(st.just(bytes(changed)), st.binary(max_size=80), st.just(key[:-1])))
    for form in (tried, b"Bearer " + tried, b"Basic " + key, key + b"0", key + b"\n"):
        if form.strip().removeprefix(b"Bearer ").strip() == key and b"\n" not in form:
            continue
        with pytest.raises(Unauthenticated) as caught:
            keyring.check(form, "predict")
        assert caught.value.found == "a key that is none of this server's"


def test_a_key_is_good_until_it_expires(file: Path) -> None:
    key = new(file, "shop", "predict", days=1)
    now = [NOW.timestamp() + 86_399]
    keyring = Keyring(file, is_required=None, clock=lambda: now[0])

    assert keyring.check(key, "predict") == "shop"
    now[0] += 1
    with pytest.raises(Unauthenticated, match="a key whose time is over"):
        keyring.check(key, "predict")


def test_the_guard_follows_its_file(file: Path) -> None:
    keyring = keyring_of(file)
    assert keyring.check(None, "predict") == ""
    first = new(file, "first", "predict")
    keyring.look()
    assert keyring.is_needed
    assert keyring.check(first, "predict") == "first"
    second = new(file, "second", "operate")
    revoke_key(file, "first")
    keyring.look()
    assert keyring.check(second, "operate") == "second"
    with pytest.raises(Unauthenticated):
        keyring.check(first, "predict")


def test_a_server_that_had_keys_does_not_open_when_they_are_gone(file: Path) -> None:
    key, keyring = new(file, "shop", "predict"), keyring_of(file)
    revoke_key(file, "shop")
    keyring.look()
    assert keyring.is_needed
    file.unlink()
    keyring.look()
    assert keyring.is_needed
    with pytest.raises(Unauthenticated):
        keyring.check(key, "predict")


def test_a_file_that_gets_damaged_leaves_the_keys_of_before(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key, keyring = new(file, "shop", "predict"), keyring_of(file)
    file.write_text('{"record": "Api')
    with caplog.at_level(logging.ERROR, "torchyard.serve"):
        keyring.look()
        keyring.look()

    assert keyring.check(key, "predict") == "shop"
    assert len(caplog.records) == 1, "said once, not every second"
    assert "the keys of before are kept" in caplog.text


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_believed(file: Path, mode: int) -> None:
    new(file, "shop", "admin")
    file.chmod(mode)
    with pytest.raises(NotTrusted, match=f"mode {mode:04o}, which others may write.*chmod 600"):
        keyring_of(file)


def test_a_secret_that_everybody_may_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.touch()
    file.chmod(0o640)
    assert exposed(file, "the TLS key") is None
    file.chmod(0o644)
    assert exposed(file, "the TLS key") == (
        f"warning: everybody on this machine may read the TLS key, {file}: chmod 600 {file}"
    )


def test_credentials_are_in_one_of_two_headers() -> None:
    assert credentials_in({}) is None
    assert credentials_in({b"x-api-key": b"k"}) == b"k"
    assert credentials_in({b"authorization": b"Bearer b", b"x-api-key": b"k"}) == b"Bearer b"


def test_memory_of_the_guard_is_bounded(file: Path) -> None:
    key, keyring = new(file, "shop", "predict"), keyring_of(file)
    for spaces in range(5000):
        keyring.check(b"Bearer " + b" " * spaces + key, "predict")
    assert len(keyring._remembered) <= 4096
