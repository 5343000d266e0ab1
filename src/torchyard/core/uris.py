"""Names of files as addresses that other libraries take apart again."""

from __future__ import annotations

from pathlib import Path


def sqlite_uri(path: Path) -> str:
    """SQLAlchemy's address of an SQLite file, which ends at a ``?`` and is read with escapes.

    One that is written with escapes names the driver too: without, MLflow takes it for a path, and
    makes a folder of that name.

    Example:
        >>> sqlite_uri(Path("/srv/yard.db"))
        'sqlite:////srv/yard.db'
        >>> sqlite_uri(Path("/srv/50 % off/yard.db"))
        'sqlite+pysqlite:////srv/50 %25 off/yard.db'
    """
    escaped = str(path).replace("%", "%25").replace("?", "%3F")
    return f"sqlite:///{path}" if escaped == str(path) else f"sqlite+pysqlite:///{escaped}"


def sqlite_path(uri: str) -> Path | None:
    """The file of an address that ``sqlite_uri`` wrote; None of any other.

    Example:
        >>> sqlite_path("sqlite+pysqlite:////srv/50 %25 off/yard.db")
        PosixPath('/srv/50 % off/yard.db')
        >>> sqlite_path("postgresql://host/yard")
    """
    _, found, written = uri.partition(":///")
    path = Path(written.replace("%3F", "?").replace("%25", "%"))
    return path if found and sqlite_uri(path) == uri else None
