"""What a server makes sure of before it starts, and what it says aloud about how it stands."""

from __future__ import annotations

import ipaddress
from datetime import datetime

from torchyard.core.errors import BadUsage
from torchyard.serve.guarding.certificates import check_files
from torchyard.serve.guarding.exposure import exposed
from torchyard.serve.guarding.keyring import Keyring
from torchyard.serve.guarding.keys import read_keys
from torchyard.serve.guarding.tls import tls_files
from torchyard.serve.settings import Settings


def check_start(settings: Settings, now: datetime) -> list[str]:
    """Hold that a server can start with its keys and certificates.

    Args:
        settings: of the server.
        now: the time, in UTC.

    Returns:
        Warnings, a line each.

    Raises:
        BadUsage: a file of its TLS is not what its setting says, see ``check_files``; or whoever
            reaches it from beyond this machine could decide who serves.
        BadRecord: the file of its keys is damaged.
        NotTrusted: others than its owner may write the file of its keys.
    """
    files = tls_files(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    told = [] if files is None else check_files(files, now)
    keyring = Keyring(settings.api_keys, is_required=settings.require_keys, clock=now.timestamp)
    if settings.api_keys is not None and settings.api_keys.exists():
        told += filter(None, [exposed(settings.api_keys, "what is kept of clients' keys")])
    keys = () if settings.api_keys is None else read_keys(settings.api_keys)
    if keyring.is_needed and not keys:
        told.append("warning: a key is required and there is none: torchyard key new NAME")
    hosts = [settings.host] + [settings.control_host] * settings.control_apart
    beyond = [host for host in hosts if not is_loopback(host)]
    if settings.repository_control and not keyring.is_needed:
        _check_operators(settings)
    if beyond and not keyring.is_needed and settings.tls_client_ca is None:
        told.append(
            f"warning: whoever reaches {' or '.join(dict.fromkeys(beyond))} is answered: no key is "
            "asked for. Make one: torchyard key new NAME"
        )
    if beyond and keyring.is_needed and files is None:
        told.append(
            "warning: keys travel in the clear: set tls_certificate and tls_key, or have a proxy "
            "in front that speaks TLS"
        )
    return told


def _check_operators(settings: Settings) -> None:
    """Refuse to let anybody beyond this machine who has no key decide who serves."""
    host = settings.control_host if settings.control_apart else settings.host
    if not is_loopback(host):
        raise BadUsage(
            where="serve setting repository_control",
            found=f"a server that loads and unloads for whoever reaches {host}",
            expected="keys, or a control port that this machine alone reaches",
            remedy="Make a key: torchyard key new NAME --scope operate; or set control_apart.",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
