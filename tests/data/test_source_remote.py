"""URLs of any store that fsspec knows: read as local files are, and nothing of them stays."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pytest

import torchyard as ty
from torchyard.core.errors import BadData
from torchyard.data.source import open_source

HERE = Path()
ROWS = pl.DataFrame({"x": [1, 2, 3], "s": ["a", "b", None]})


@pytest.fixture
def store() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def read(value: str, **options: Any) -> pl.DataFrame:
    source = open_source(value, folder=HERE, **options)
    first, second = pl.concat(source.chunks(rows=2)), pl.concat(source.chunks())
    assert first.equals(second)
    return first


def refusal(value: str, **options: Any) -> str:
    with pytest.raises(BadData) as refused:
        list(open_source(value, folder=HERE, **options).chunks())
    return str(refused.value)


def test_remote_files_alone_by_pattern_and_in_a_folder(store: Any) -> None:
    store.pipe("/bucket/a.csv", ROWS.head(2).write_csv().encode())
    store.pipe("/bucket/b.csv", ROWS.tail(1).write_csv().encode())
    assert read("memory://bucket/a.csv").equals(ROWS.head(2))
    for value in ("memory://bucket/*.csv", "memory://bucket", "memory://bucket/"):
        assert read(value).equals(ROWS), value


def test_copies_of_remote_files_go_with_the_source(store: Any) -> None:
    store.pipe("/rows.csv", ROWS.write_csv().encode())
    source = open_source("memory://rows.csv", folder=HERE)
    folder = source.scratch.folder  # type: ignore[attr-defined]
    assert len(list(folder.iterdir())) == 1
    store.rm("/rows.csv")
    assert pl.concat(source.chunks()).equals(ROWS)
    del source
    gc.collect()
    assert not folder.exists()


def test_remote_pictures_in_folders_and_in_a_table(store: Any) -> None:
    store.pipe({"/p/cat/a.png": b"A", "/p/dog/b.png": b"B"})
    found = read("memory://p")
    assert found.rows() == [(b"A", "cat", "cat/a.png"), (b"B", "dog", "dog/b.png")]
    store.pipe("/p/rows.csv", b"photo\ndog/b.png\n")
    table = read("memory://p/rows.csv", schema=ty.Schema(photo=ty.image()))
    assert table["photo"].to_list() == [b"B"]
    store.pipe("/p/rows.csv", b"photo\nz.png\n")
    text = refusal("memory://p/rows.csv", schema=ty.Schema(photo=ty.image()))
    assert "row 1: found 'z.png', which is no file in memory:///p" in text


def test_what_is_not_there_is_refused(store: Any) -> None:
    store.pipe("/rows.csv", b"")
    for url in ("memory://none.csv", "memory://none", "memory://none/*.csv"):
        assert f"{url}: found nothing there" in refusal(url)
    assert "memory://rows.csv: found an empty file" in refusal("memory://rows.csv")
    store.pipe("/rows.xlsx", b"x")
    assert "a file ending in '.xlsx'" in refusal("memory://rows.xlsx")


def test_an_unknown_store_or_one_without_its_library_is_refused() -> None:
    assert "found the unknown protocol 's4'; expected a path" in refusal("s4://bucket/rows.csv")
    text = refusal("gs://bucket/rows.csv")
    assert "gs://bucket/rows.csv: found no library for gs:// here" in text
    assert "Please install gcsfs" in text


def test_a_copy_that_breaks_off_is_refused(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store.pipe("/rows.csv", b"x\n1\n")

    def broken(*_: object) -> None:
        raise ConnectionError("reset by peer")

    monkeypatch.setattr("torchyard.data.reading.places.shutil.copyfileobj", broken)
    text = refusal("memory://rows.csv")
    assert "rows.csv: found ConnectionError: reset by peer" in text
    assert "Check the URL and the access to it." in text


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_files_come_over_http(site: str, tmp_path: Path) -> None:
    ROWS.write_parquet(tmp_path / "rows.parquet")
    assert read(f"{site}/rows.parquet").equals(ROWS)
    assert f"{site}/none.parquet: found nothing there" in refusal(f"{site}/none.parquet")
