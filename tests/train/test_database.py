"""MLflow's database is whole or absent, whoever is killed or comes at the same moment."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.support.killing import begin, kill_at
from tests.support.tracked import migrated
from torchyard.core.errors import BadRecord
from torchyard.core.uris import sqlite_uri
from torchyard.train import Tracker
from torchyard.train.database import open_client

pytestmark = pytest.mark.filterwarnings("ignore")
SIGKILL = -9


def opened(path: Path) -> None:
    open_client(sqlite_uri(path))


def opened_until(path: Path, module: str, name: str, count: int) -> None:
    kill_at(module, name, count, after=False)
    opened(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "name", "count"),
    [
        ("alembic.operations.ops", "CreateTableOp.create_table", 3),
        ("torchyard.core.files", "os.fsync", 1),
    ],
)
def test_killed_while_it_is_made_it_is_made_the_next_time(
    tmp_path: Path, module: str, name: str, count: int
) -> None:
    path = tmp_path / "mlflow.db"
    process = begin(opened_until, path, module, name, count)
    process.join()
    assert process.exitcode == SIGKILL
    assert not path.exists()
    opened(path)
    assert [file.name for file in tmp_path.iterdir() if file.is_dir()] == []
    with Tracker(sqlite_uri(path), tmp_path / "files").run("demo", parameters={}, tags={}):
        pass


@pytest.mark.slow
def test_two_processes_make_one_together(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    processes = [begin(opened, path) for _ in range(2)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]


@pytest.mark.parametrize("is_copied", [False, True])
def test_what_was_moved_or_copied_writes_where_it_is(tmp_path: Path, is_copied: bool) -> None:
    was, now = tmp_path / "a b" / ".yard", tmp_path / "elsewhere" / ".yard"
    was.mkdir(parents=True)
    (was / "mlflow.db").write_bytes(migrated())
    with Tracker(sqlite_uri(was / "mlflow.db"), was / "files").run(
        "demo", parameters={}, tags={}
    ) as first:
        first.text("note.txt", "first")
    client = open_client(sqlite_uri(was / "mlflow.db"))
    other = client.create_experiment("other", artifact_location="s3://bucket/.yard/files")
    shutil.copytree(was, now)
    if not is_copied:
        shutil.rmtree(was.parent)
    before = sorted(tmp_path.rglob("a b/**/*"))
    tracker = Tracker(sqlite_uri(now / "mlflow.db"), now / "files")
    tracker.resume(first.id)
    with tracker.run("demo", parameters={}, tags={}) as second:
        second.text("note.txt", "second")
    assert sorted(tmp_path.rglob("a b/**/*")) == before
    assert (now / "files" / second.id / "artifacts" / "note.txt").exists()
    client = open_client(sqlite_uri(now / "mlflow.db"))
    assert client.get_experiment(other).artifact_location == "s3://bucket/.yard/files"
    kept = now / "files" / first.id / "artifacts"
    assert client.get_run(first.id).info.artifact_uri == kept.as_uri()
    assert (kept / "note.txt").read_text() == "first"


def test_what_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_bytes(migrated())
    before = path.stat().st_ino
    opened(path)
    assert path.stat().st_ino == before


@pytest.mark.parametrize("name", ["50% off", "a%20b", "what?x=1", "c#d", "mit ünï ✈"])
def test_a_folder_may_be_called_anything(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "mlflow.db"
    path.parent.mkdir()
    path.write_bytes(migrated())
    tracker = Tracker(sqlite_uri(path), tmp_path / name / "files")
    with tracker.run("demo", parameters={}, tags={}) as active:
        active.text("note.txt", "here")
    assert (tmp_path / name / "files" / active.id / "artifacts" / "note.txt").exists()
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_bytes(b"no database " * 100)
    with pytest.raises(BadRecord, match=r"file is not a database.*put back a copy") as refused:
        opened(path)
    assert refused.value.where == str(path)


def test_a_half_made_database_is_refused(tmp_path: Path) -> None:
    """As earlier versions left it when they were killed in their first second."""
    path = tmp_path / "mlflow.db"
    path.write_bytes(migrated())
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM alembic_version")
        connection.execute("DROP TABLE review_queues")
    with pytest.raises(BadRecord, match="move it away"):
        opened(path)
