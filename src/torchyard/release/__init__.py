"""Release: sealed, signed folders, and who serves which of them.

Takes: evidence and files.
Makes: sealed folders, the model card, channel events, MLflow's mirror of both.
Never: computes a number about a model; opens a folder it does not trust.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchyard.release.contents import Contents
from torchyard.release.find import list_releases, resolve
from torchyard.release.folder import open_release, seal
from torchyard.release.layout import Release, write_contents
from torchyard.release.registry import mirror, register
from torchyard.release.signing import ensure_key

if TYPE_CHECKING:
    from torchyard.release.channels import ChannelLog

__all__ = [
    "ChannelLog",
    "Contents",
    "Release",
    "ensure_key",
    "list_releases",
    "mirror",
    "open_release",
    "register",
    "resolve",
    "seal",
    "write_contents",
]


def __getattr__(name: str) -> object:
    if name != "ChannelLog":
        raise AttributeError(f"module 'torchyard.release' has no attribute '{name}'")
    from torchyard.release.channels import ChannelLog  # a worker reads channels without SQLAlchemy

    return ChannelLog
