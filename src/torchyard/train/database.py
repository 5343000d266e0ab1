"""MLflow's own SQLite database: made whole or not at all, opened or refused."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from torchyard.core.errors import BadRecord
from torchyard.core.files import STAGING, abandoned, held, write_atomically
from torchyard.core.uris import sqlite_uri


def open_client(uri: str) -> Any:
    """MLflow's client of a tracking URI; loading MLflow takes seconds.

    Raises:
        BadRecord: what is there is no database that this MLflow can read.
    """
    # as soon as it is loaded, MLflow calls its makers' servers
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import DatabaseError

    # MLflow and its migrations narrate every table they make
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # it writes down what it raises as well, with its traceback
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    path = _path_of(uri) if uri.startswith("sqlite") else None
    if path is not None:
        _make(path)
    try:
        return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    except (DatabaseError, MlflowException) as error:
        first, *_ = str(getattr(error, "orig", None) or error).splitlines()
        raise BadRecord(
            where=str(path or uri),
            found=first,
            expected=f"the database of MLflow {mlflow.__version__} that holds the project's runs",
            remedy=f"Where an older MLflow wrote it: mlflow db upgrade '{uri}'. Where it is "
            "damaged, put back a copy, or move it away: runs begin anew, and releases stay.",
        ) from error


def settle(uri: str, files: Path) -> None:
    """Where a project was moved or copied, its runs' files are where it is now.

    MLflow keeps the whole path of each run's files: without this a copy would write into the folder
    that it was copied from, and a moved project would make its old folder again. Other experiments
    that people keep in the database are left alone: those are ours whose folder has the same name,
    in a folder of the same name.
    """
    if not uri.startswith("sqlite"):
        return
    now = files.as_uri()
    with closing(sqlite3.connect(_path_of(uri), timeout=60.0)) as connection, connection:
        for (before,) in connection.execute("SELECT artifact_location FROM experiments").fetchall():
            if before == now or not _are_alike(before, now):
                continue
            for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
                connection.execute(
                    f"UPDATE {table} SET {column} = :now || substr({column}, :length + 1) "
                    f"WHERE substr({column} || '/', 1, :length + 1) = :before || '/'",
                    {"now": now, "before": before, "length": len(before)},
                )


def _are_alike(before: str, now: str) -> bool:
    return before.startswith("file:") and before.split("/")[-2:] == now.split("/")[-2:]


def _path_of(uri: str) -> Path:
    """The file of an SQLite address."""
    from sqlalchemy.engine import make_url

    return Path(make_url(uri).database or "")


def _make(path: Path) -> None:
    """Make an empty database where there is none.

    MLflow makes its tables one after another, for seconds, and none of them twice: what is killed
    meanwhile, or made by two processes at once, would never open again. So it is made aside.
    """
    from mlflow import MlflowClient

    path.parent.mkdir(parents=True, exist_ok=True)
    with held(path.parent):
        if path.exists():
            return
        for left in abandoned(path.parent):
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=STAGING) as stage:
            aside = Path(stage) / path.name
            MlflowClient(tracking_uri=sqlite_uri(aside), registry_uri=sqlite_uri(aside))
            write_atomically(path, aside.read_bytes())
