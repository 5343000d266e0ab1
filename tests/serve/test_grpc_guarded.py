"""gRPC behind TLS, clients' certificates and keys."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.serve.grpc_bench import Bench, Scenario, run_scenario
from tests.serve.grpc_clients import PATIENCE_S, raw_request, stub
from tests.support.certificates import signed
from torchyard.core.errors import BadUsage
from torchyard.serve.engine import Engine
from torchyard.serve.guarding.keys import make_key
from torchyard.serve.inference.grpc.port import kept
from torchyard.serve.settings import Settings

Run = Callable[..., None]
Files = dict[str, Path]


@pytest.fixture(name="files")
def _files(tmp_path: Path) -> Files:
    """Certificates of a server and a client, of one authority."""
    authority = signed("an authority")
    files: Files = {"authority": authority.write(tmp_path, "authority")[0]}
    for name in ("server", "renewed", "till"):
        files[name], files[f"{name}.key"] = signed(name, authority).write(tmp_path, name)
    return files


@pytest.fixture(name="run")
def _run(tmp_path: Path, engine: Engine, files: Files) -> Run:
    def run(scenario: Scenario, **changes: Any) -> None:
        tls = {"tls_certificate": files["server"], "tls_key": files["server.key"]}
        run_scenario(scenario, tmp_path, [engine], **{**tls, **changes})

    return run


def channel_to(bench: Bench, files: Files, who: str | None = None) -> Any:
    authority = files["authority"].read_bytes()
    mine = (files[f"{who}.key"].read_bytes(), files[who].read_bytes()) if who else (None, None)
    credentials = grpc.ssl_channel_credentials(authority, *mine)
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    return grpc.aio.secure_channel(bench.address, credentials, options)


async def code_of(call: Any) -> str:
    try:
        await call
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


async def ask(channel: Any, name: str = "ServerLive", **more: Any) -> str:
    return await code_of(stub(channel, name)(b"", timeout=PATIENCE_S, **more))


def test_only_tls_is_answered_where_there_is_tls(run: Run, files: Files) -> None:
    async def scenario(bench: Bench) -> None:
        async with channel_to(bench, files) as channel:
            assert await ask(channel) == "OK"
        assert await ask(bench.channel) == "UNAVAILABLE"

    run(scenario)


def test_a_client_needs_a_certificate_where_one_is_asked_for(run: Run, files: Files) -> None:
    async def scenario(bench: Bench) -> None:
        bench.serve()
        async with channel_to(bench, files) as channel:
            assert await ask(channel) == "UNAVAILABLE"
        async with channel_to(bench, files, "till") as channel:
            call = stub(channel, "ModelInfer")(raw_request([1.0]), timeout=PATIENCE_S)
            await bench.queue.holds(1)
            ((asked, _, done),) = bench.queue.waiting
            assert asked.client == "till"
            done([[0.5, 0.5]])
            await call

    run(scenario, tls_client_ca=files["authority"])


def test_a_renewed_certificate_is_shown_to_the_next_connection(run: Run, files: Files) -> None:
    async def shown(bench: Bench) -> str:
        context = ssl.create_default_context(cafile=str(files["authority"]))
        context.set_alpn_protocols(["h2"])
        _, writer = await asyncio.open_connection(*bench.address.split(":"), ssl=context)
        certificate = writer.get_extra_info("peercert")
        writer.close()
        return str(certificate["subject"])

    async def scenario(bench: Bench) -> None:
        assert bench.tls is not None
        assert "server" in await shown(bench)
        for kind in ("", ".key"):
            files[f"server{kind}"].write_bytes(files[f"renewed{kind}"].read_bytes())
        bench.tls.look()
        assert "renewed" in await shown(bench)

    run(scenario, drain_timeout_s=0.1)  # what never speaks HTTP/2 is not waited for


@pytest.mark.parametrize(
    ("name", "scopes", "code"),
    [
        ("ServerLive", None, "OK"),
        ("ServerReady", None, "OK"),
        ("ServerMetadata", None, "UNAUTHENTICATED"),
        ("ModelInfer", None, "UNAUTHENTICATED"),
        ("ServerMetadata", ("predict",), "OK"),
        ("ServerMetadata", ("operate",), "PERMISSION_DENIED"),
        ("RepositoryIndex", ("predict",), "PERMISSION_DENIED"),
        ("RepositoryIndex", ("operate",), "OK"),
        ("RepositoryIndex", ("admin",), "OK"),
    ],
)
def test_keys_open_what_they_are_for(
    tmp_path: Path, engine: Engine, name: str, scopes: tuple[Any, ...] | None, code: str
) -> None:
    file = tmp_path / "keys.json"
    now = datetime.now(UTC)
    key, _ = make_key(file, name="till", scopes=scopes or ("admin",), days=None, now=now)
    metadata = (("authorization", f"Bearer {key}"),) if scopes else ()

    async def scenario(bench: Bench) -> None:
        bench.serve()
        assert await ask(bench.channel, name, metadata=metadata) == code

    run_scenario(scenario, tmp_path, [engine], api_keys=file)


def settings_of(folder: Path, port: int) -> Settings:
    return Settings(
        releases=folder,
        channels_url="",
        trusted_keys=folder,
        predictions=folder,
        labels=folder,
        state=folder,
        grpc_port=port,
    )


def test_a_port_that_another_has_is_refused_even_one_that_shares(tmp_path: Path) -> None:
    with kept(settings_of(tmp_path, 0)) as first:
        assert first.grpc_port
        with (
            pytest.raises(BadUsage, match="expected a free port of this machine"),
            kept(settings_of(tmp_path, first.grpc_port)),
        ):
            pass


def test_without_grpcio_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchyard.serve.inference.grpc.port.NEEDED", ("grpc", "no.such.package"))
    with (
        pytest.raises(BadUsage, match=r'pip install "torchyard\[grpc\]"'),
        kept(settings_of(tmp_path, 0)),
    ):
        pass
