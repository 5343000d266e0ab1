"""Files that decide who gets in: who else on this machine may write or read them."""

from __future__ import annotations

from pathlib import Path

from torchyard.core.errors import NotTrusted


def check_unwritable(file: Path) -> None:
    """Hold that nobody but a file's owner may write it.

    Raises:
        NotTrusted: others may, so what stands in it need not be the owner's will.
    """
    mode = file.stat().st_mode & 0o777
    if mode & 0o022:
        raise NotTrusted(
            where=str(file),
            found=f"a file of mode {mode:04o}, which others may write",
            expected="a file that its owner alone may write",
            remedy=f"Look at what stands in it, then: chmod 600 {file}",
        )


def exposed(file: Path, what: str) -> str | None:
    """A sentence on a secret that everybody on this machine may read; None when it is not so."""
    mode = file.stat().st_mode & 0o777
    if not mode & 0o004:
        return None
    return f"warning: everybody on this machine may read {what}, {file}: chmod 600 {file}"
