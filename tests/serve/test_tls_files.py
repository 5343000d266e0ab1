"""The files of TLS: what is wrong with them is said before the server starts, and renewed ones are
taken up while it runs.
"""

from __future__ import annotations

import logging
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.certificates import Signed, pem_of, signed
from torchyard.core.errors import BadUsage
from torchyard.serve.guarding.certificates import check_files
from torchyard.serve.guarding.tls import (
    Tls,
    TlsFiles,
    client_name,
    read_pems,
    server_context,
    tls_files,
)


@pytest.fixture(scope="module")
def authority() -> Signed:
    return signed("an authority")


@pytest.fixture
def files(authority: Signed, tmp_path: Path) -> TlsFiles:
    certificate, key = signed("server", authority).write(tmp_path, "server")
    client_ca, _ = authority.write(tmp_path, "authority")
    return TlsFiles(certificate=certificate, key=key, client_ca=client_ca)


def refusal(files: TlsFiles) -> str:
    with pytest.raises(BadUsage) as caught:
        check_files(files, datetime.now(UTC))
    return str(caught.value)


def test_files_belong_together() -> None:
    one = Path("one.pem")
    assert tls_files(None, None, None) is None
    assert tls_files(one, one, None) == TlsFiles(certificate=one, key=one)
    with pytest.raises(BadUsage, match="serve setting tls_key: found nothing"):
        tls_files(one, None, None)
    with pytest.raises(BadUsage, match="serve setting tls_certificate: found nothing"):
        tls_files(None, None, one)


def test_good_files_make_a_context_that_is_careful(files: TlsFiles) -> None:
    assert check_files(files, datetime.now(UTC)) == []
    context = server_context(files)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert {one["subject"] for one in context.get_ca_certs()} == {
        ((("commonName", "an authority"),),)
    }, "clients are held against the file alone"
    open_to_all = TlsFiles(certificate=files.certificate, key=files.key)
    assert server_context(open_to_all).verify_mode == ssl.CERT_NONE


def test_a_file_that_is_not_there_is_told(files: TlsFiles, tmp_path: Path) -> None:
    absent = tmp_path / "absent.pem"
    assert refusal(TlsFiles(certificate=absent, key=files.key)) == (
        f"tls_certificate, {absent}: found No such file or directory; expected a file that the "
        "server may read. Correct the setting or the file."
    )
    assert f"tls_key, {absent}: found No such file" in refusal(
        TlsFiles(certificate=files.certificate, key=absent)
    )
    assert f"tls_client_ca, {absent}: found No such file" in refusal(
        TlsFiles(certificate=files.certificate, key=files.key, client_ca=absent)
    )


def test_a_file_of_another_kind_is_told(files: TlsFiles) -> None:
    swapped = TlsFiles(certificate=files.key, key=files.certificate)
    assert "found no certificate in it; expected certificates as PEM" in refusal(swapped)
    no_key = TlsFiles(certificate=files.certificate, key=files.certificate)
    assert "found no private key in it; expected one as PEM" in refusal(no_key)


def test_a_key_of_another_certificate_is_told(files: TlsFiles, authority: Signed) -> None:
    _, key = signed("other", authority).write(files.key.parent, "other")
    said = refusal(TlsFiles(certificate=files.certificate, key=key))
    assert f"tls_key, {key}: found the key of another certificate" in said
    assert f"expected the key of {files.certificate}" in said


def test_a_key_with_a_password_is_told_and_asks_nobody(files: TlsFiles, authority: Signed) -> None:
    one = signed("server", authority)
    certificate, key = one.write(files.key.parent, "locked")
    key.write_bytes(pem_of(one.key, b"secret"))
    locked = TlsFiles(certificate=certificate, key=key)
    assert "found a key with a password; expected a key without one" in refusal(locked)
    with pytest.raises(BadUsage):
        server_context(locked)


@pytest.mark.parametrize(
    ("begins", "lasts", "said"),
    [
        (timedelta(days=-90), timedelta(days=89), "found a certificate that expired on 20"),
        (timedelta(days=1), timedelta(days=90), "found a certificate that is valid from 20"),
    ],
)
def test_a_certificate_that_is_not_valid_now_is_told(
    files: TlsFiles, authority: Signed, begins: timedelta, lasts: timedelta, said: str
) -> None:
    one = signed("server", authority, begins=begins, lasts=lasts)
    certificate, key = one.write(files.key.parent, "untimely")
    assert said in refusal(TlsFiles(certificate=certificate, key=key))


def test_an_authority_that_expired_is_told(files: TlsFiles) -> None:
    old = signed("old", begins=timedelta(days=-90), lasts=timedelta(days=1))
    client_ca, _ = old.write(files.key.parent, "old")
    said = refusal(TlsFiles(certificate=files.certificate, key=files.key, client_ca=client_ca))
    assert said.startswith(f"tls_client_ca, {client_ca}: found a certificate that expired")


def test_what_a_person_should_know_of_all_the_same(files: TlsFiles, authority: Signed) -> None:
    soon = signed("server", authority, lasts=timedelta(days=10))
    certificate, key = soon.write(files.key.parent, "soon")
    key.chmod(0o644)
    told = check_files(TlsFiles(certificate=certificate, key=key), datetime.now(UTC))
    assert [line.partition(" on ")[0] for line in told] == [
        "warning: the certificate expires",
        "warning: everybody",
    ]


def test_renewed_files_are_taken_up_once_they_fit(
    files: TlsFiles, authority: Signed, caplog: pytest.LogCaptureFixture
) -> None:
    tls = Tls(files)
    before = tls.context
    tls.look()
    assert tls.context is before, "nothing has changed"

    renewed = signed("server", authority)
    certificate, key = renewed.write(files.key.parent / "new", "server")
    certificate.replace(files.certificate)
    with caplog.at_level(logging.WARNING, "torchyard.serve"):
        tls.look()  # between the two files
        assert tls.context is before
        assert not caplog.records
        key.replace(files.key)
        tls.look()
    assert tls.context is not before
    assert caplog.messages == ["a renewed certificate is shown from now on"]


def test_files_that_stay_wrong_are_told_once(
    files: TlsFiles, caplog: pytest.LogCaptureFixture
) -> None:
    tls = Tls(files)
    before = tls.context
    files.certificate.write_text("not a certificate")
    with caplog.at_level(logging.WARNING, "torchyard.serve"):
        for _ in range(4):
            tls.look()
    assert tls.context is before
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("the certificate of before is kept: ")


def test_the_same_files_for_a_library_with_tls_of_its_own(files: TlsFiles) -> None:
    key, certificate, authorities = read_pems(files)
    assert key.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert certificate.startswith(b"-----BEGIN CERTIFICATE-----")
    assert authorities is not None
    assert read_pems(TlsFiles(certificate=files.certificate, key=files.key))[2] is None


def test_a_client_is_called_by_its_certificate() -> None:
    assert client_name(None) == ""
    assert client_name({}) == ""
