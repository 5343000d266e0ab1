"""MLflow's own SQLite database: made whole or not at all, opened or refused."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
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
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import DatabaseError

    # MLflow and its migrations narrate every table they make
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    database = make_url(uri).database if uri.startswith("sqlite") else None
    if database is not None:
        _make(Path(database))
    try:
        return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    except (DatabaseError, MlflowException) as error:
        first, *_ = str(getattr(error, "orig", None) or error).splitlines()
        raise BadRecord(
            where=database or uri,
            found=first,
            expected=f"the database of MLflow {mlflow.__version__} that holds the project's runs",
            remedy="Where an older MLflow wrote it: mlflow db upgrade URI. Where it is damaged, "
            "put back a copy, or move it away: runs begin anew, and releases stay.",
        ) from error


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
