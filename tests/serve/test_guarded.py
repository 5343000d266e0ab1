"""A server with keys, TLS and a control port, asked by those who may and those who may not."""

from __future__ import annotations

import json
import socket
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve.clients import ROW, RawClient
from tests.serve.running import MODEL, Place, Server, serving, start, wait_for
from tests.support.certificates import Signed, signed
from torchyard.release import Release
from torchyard.serve.guarding.keys import make_key, revoke_key

PREDICT = f"/v1/models/{MODEL}/predict"
ROWS = {"rows": [{**ROW, "distance": 100.0}]}


def new_key(file: Path, name: str, *scopes: str) -> dict[str, str]:
    key, _ = make_key(file, name=name, scopes=scopes, days=None, now=datetime.now(UTC))
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("guarded"))


@pytest.fixture(scope="module")
def authority() -> Signed:
    return signed("an authority")


@pytest.fixture(scope="module")
def secure(guarded: Place, authority: Signed) -> Iterator[Server]:
    """TLS with clients' certificates, keys, two workers, a control port."""
    release: Release = guarded.seal()
    guarded.post("deploy", release)
    files = guarded.folder / "tls"
    certificate, key = signed("server", authority).write(files, "server")
    client_ca, _ = authority.write(files, "authority")
    signed("till-4", authority).write(files, "till")
    signed("a stranger", signed("another authority")).write(files, "stranger")
    new_key(guarded.folder / "api.json", "first", "admin")
    with serving(
        guarded,
        workers=2,
        control_apart=True,
        head_timeout_s=1.0,
        api_keys=str(guarded.folder / "api.json"),
        tls_certificate=str(certificate),
        tls_key=str(key),
        tls_client_ca=str(client_ca),
    ) as server:
        yield server


def client_of(server: Server, who: str | None = "till", *, control: bool = False) -> httpx.Client:
    files = server.place.folder / "tls"
    context = ssl.create_default_context(cafile=str(files / "authority.pem"))
    if who is not None:
        context.load_cert_chain(files / f"{who}.pem", files / f"{who}.key")
    port = server.state.control_port if control else server.state.port
    return httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=context, timeout=20)


@contextmanager
def encrypted(server: Server) -> Iterator[ssl.SSLSocket]:
    files = server.place.folder / "tls"
    context = ssl.create_default_context(cafile=str(files / "authority.pem"))
    context.load_cert_chain(files / "till.pem", files / "till.key")
    with (
        socket.create_connection(server.address, timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as client,
    ):
        yield client


def keys_of(server: Server) -> Path:
    return server.place.folder / "api.json"


def test_the_ports_are_announced(secure: Server) -> None:
    port, control = secure.state.port, secure.state.control_port
    assert f"metrics and control at https://127.0.0.1:{control}" in secure.lines
    assert secure.lines[-1] == f"serving demo at https://127.0.0.1:{port} with 2 workers"


def test_a_key_is_followed_from_its_making_to_its_end(secure: Server) -> None:
    with client_of(secure) as client:
        assert client.post(PREDICT, json=ROWS).status_code == 401
        shop = new_key(keys_of(secure), "shop", "predict")

        def status() -> int:
            return client.post(PREDICT, json=ROWS, headers=shop).status_code

        wait_for(lambda: status() == 200, "the key is known")
        revoke_key(keys_of(secure), "shop")
        wait_for(lambda: status() == 401, "the key is gone")


def test_who_has_no_key_is_told_how_to_send_one(secure: Server) -> None:
    with client_of(secure) as client:
        answer = client.post(PREDICT, json=ROWS)
    assert answer.headers["www-authenticate"] == 'Bearer realm="torchyard"'
    assert answer.json() == {
        "error": "unauthenticated",
        "where": "header Authorization",
        "found": "no key",
        "expected": "a key of this server",
        "remedy": "Send 'Authorization: Bearer KEY', with a key that torchyard key new made.",
    }


def test_health_needs_no_key_on_either_port(secure: Server) -> None:
    for control in (False, True):
        with client_of(secure, control=control) as client:
            for path in ("/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"):
                assert client.get(path).status_code == 200


def test_scopes_and_ports_part_clients_from_operators(secure: Server) -> None:
    file = keys_of(secure)
    clients = new_key(file, "client", "predict")
    operators = new_key(file, "operator", "operate")
    both = new_key(file, "both", "admin")
    with client_of(secure) as main, client_of(secure, control=True) as control:
        wait_for(lambda: main.get("/v1/models", headers=both).status_code == 200, "keys known")
        wait_for(lambda: control.get("/metrics", headers=both).status_code == 200, "keys known")

        assert main.post(PREDICT, json=ROWS, headers=clients).status_code == 200
        assert main.get("/v2", headers=clients).status_code == 200
        refused = main.post(PREDICT, json=ROWS, headers=operators)
        assert (refused.status_code, refused.json()["where"]) == (403, "key operator")
        assert refused.json()["expected"] == "a key for predict"

        metrics = control.get("/metrics", headers=operators)
        assert metrics.status_code == 200
        assert "torchyard_release_workers{" in metrics.text
        assert control.get("/metrics", headers=clients).status_code == 403
        assert control.get("/metrics").status_code == 401

        elsewhere = main.get("/metrics", headers=both)
        assert (elsewhere.status_code, elsewhere.json()["expected"]) == (
            404, "/metrics on the control port",
        )  # fmt: skip
        assert control.post(PREDICT, json=ROWS, headers=both).json()["expected"] == (
            "/v1/models/{}/predict on the main port"
        )


def test_operators_see_what_every_worker_says(secure: Server) -> None:
    key = new_key(keys_of(secure), "watcher", "operate")
    with client_of(secure, control=True) as control:
        wait_for(lambda: control.get("/v1/server", headers=key).status_code == 200, "key known")
        told = control.get("/v1/server", headers=key).json()
    assert [worker["worker"] for worker in told["workers"]] == [0, 1]
    assert all(worker["ready"] and worker["problem"] is None for worker in told["workers"])


def test_a_client_without_a_certificate_is_turned_away(secure: Server) -> None:
    for who in (None, "stranger"):
        with client_of(secure, who) as client, pytest.raises(httpx.TransportError):
            client.get("/health/live")
    with client_of(secure) as client:
        assert client.get("/health/live").status_code == 200


def test_plain_http_on_the_encrypted_ports_is_told_so_and_hurts_nobody(secure: Server) -> None:
    assert secure.state.control_port is not None
    for address in (secure.address, ("127.0.0.1", secure.state.control_port)):
        with RawClient(address) as plain:
            told = plain.send(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").read()
            assert (told.status, told.json()["found"]) == (400, "plain HTTP")
            assert "https://" in told.json()["remedy"]
            assert plain.is_closed()
    key = new_key(keys_of(secure), "reader", "operate")
    with client_of(secure, control=True) as control:
        wait_for(lambda: control.get("/metrics", headers=key).status_code == 200, "key known")
        wait_for(
            lambda: 'reason="bad_http"' in control.get("/metrics", headers=key).text, "counted"
        )


def test_an_old_protocol_is_not_spoken(secure: Server) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with (
        socket.create_connection(secure.address, timeout=20) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)protocol"),
    ):
        context.wrap_socket(plain)


def test_a_handshake_that_does_not_come_is_not_waited_for(secure: Server) -> None:
    """The limit is a second here; the test holds that the server gives up, not when."""
    with RawClient(secure.address) as slow:
        slow.send(b"\x16\x03\x01")
        try:
            while slow._socket.recv(1024):
                continue
        except ConnectionResetError:
            pass


def test_a_renewed_certificate_is_shown_without_a_restart(
    secure: Server, authority: Signed
) -> None:
    files = secure.place.folder / "tls"

    def serial() -> int:
        with encrypted(secure) as client:
            certificate: Any = client.getpeercert()
        return int(certificate["serialNumber"], 16)

    before = serial()
    certificate, key = signed("server", authority).write(files / "new", "server")
    key.replace(files / "server.key")
    certificate.replace(files / "server.pem")
    wait_for(lambda: serial() != before, "the renewed certificate is shown")


def test_a_large_body_over_tls_is_refused_with_its_answer(secure: Server) -> None:
    """Refused before it is whole: the answer still arrives, though TLS cannot half close."""
    with encrypted(secure) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
        client.sendall(b"x" * 100_000)
        received = b""
        while piece := client.recv(65536):
            received += piece
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in received


@pytest.mark.parametrize("coding", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
def test_who_has_no_key_is_not_let_send_a_long_body(secure: Server, coding: str) -> None:
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{coding}\r\n\r\n"
    with encrypted(secure) as client:
        client.sendall(head.encode())
        received = b""
        while piece := client.recv(65536):
            received += piece
    assert received.startswith(b"HTTP/1.1 401 "), "before a byte of the body"
    assert b"connection: close" in received


def test_who_has_a_key_sends_a_long_body(secure: Server) -> None:
    key = new_key(keys_of(secure), "long", "predict")
    rows = {"rows": ROWS["rows"] * 400}
    with client_of(secure) as client:
        wait_for(lambda: client.get("/v2", headers=key).status_code == 200, "key known")
        answer = client.post(PREDICT, json=rows, headers=key)
        assert len(answer.json()["predictions"]) == 400
        assert int(answer.request.headers["content-length"]) > 16 << 10


def test_nothing_secret_is_left_where_others_look(secure: Server) -> None:
    key = new_key(keys_of(secure), "secret", "predict")
    text = key["Authorization"].removeprefix("Bearer ")
    with client_of(secure) as client:
        wait_for(lambda: client.get("/v2", headers=key).status_code == 200, "key known")
        client.post(PREDICT, json=ROWS, headers=key)
        client.get("/v2", headers={"Authorization": f"Bearer {text}x"})
    private = (secure.place.folder / "tls" / "server.key").read_text()
    for path in secure.place.folder.rglob("*"):
        if path.is_file() and path.suffix != ".key":
            content = path.read_bytes()
            assert text.encode() not in content, path
            assert private.encode() not in content, path
    assert stat.S_IMODE(keys_of(secure).stat().st_mode) == 0o600
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert text.encode() not in process.read_bytes()
        except OSError:
            continue


def test_what_is_wrong_with_its_files_stops_a_server_at_once(
    authority: Signed, tmp_path: Path
) -> None:
    place = Place(tmp_path)
    certificate, _ = signed("server", authority).write(tmp_path, "one")
    _, key = signed("server", authority).write(tmp_path, "two")
    process = start(place, tls_certificate=str(certificate), tls_key=str(key))
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "found the key of another certificate" in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"host": "0.0.0.0"},
            "warning: whoever reaches 0.0.0.0 is answered: no key is asked for. Make one: "
            "torchyard key new NAME",
        ),
        (
            {"require_keys": True},
            "warning: a key is required and there is none: torchyard key new NAME",
        ),
    ],
)
def test_a_server_that_stands_open_or_shut_says_so(
    tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    process = start(Place(tmp_path), **settings)
    assert process.stdout is not None
    assert process.stdout.readline().rstrip() == said
    process.terminate()
    process.communicate(timeout=20)


def test_a_control_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(Place(tmp_path), control_apart=True, control_port=port)
        said, _ = process.communicate(timeout=20)
    assert process.returncode == 2
    assert f"control_host and control_port, 127.0.0.1:{port}: found Address already in use" in said


def test_metrics_may_stand_on_the_main_port(server: Server, client: httpx.Client) -> None:
    assert server.state.control_port is None
    assert client.get("/").json()["metrics"] == "/metrics"
    assert json.loads(client.get("/health/ready").content) == {"ready": True}
