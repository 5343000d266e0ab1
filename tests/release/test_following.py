"""A server reads of the channel log what the log itself reads, and needs no SQLAlchemy for it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.core.errors import BadRecord
from torchyard.core.uris import sqlite_uri
from torchyard.release import ChannelLog
from torchyard.release.following import SqliteEvents, open_events

A, B = (f"sha256:{letter * 64}" for letter in "ab")


def append(log: ChannelLog, release: str, model: str = "m") -> None:
    log.append(
        model=model, action="deploy", release=release, weight=1.0, by="sam", reason="test"
    )  # fmt: skip


@given(releases=st.lists(st.tuples(st.sampled_from([A, B]), st.sampled_from("mn")), max_size=6))
@settings(deadline=None, max_examples=15)
def test_it_reads_what_the_log_reads(
    releases: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    url = sqlite_uri(tmp_path_factory.mktemp("50 % off?") / "channels.db")
    events = open_events(url)
    assert isinstance(events, SqliteEvents)
    with ChannelLog(url) as log:
        for release, model in releases:
            append(log, release, model)
            assert events.last_number() == log.last_number()
        assert (events.last_number(), events.states()) == (len(releases), log.states())
    events.close()


def test_it_waits_for_a_log_that_is_not_there_and_makes_none(tmp_path: Path) -> None:
    events = open_events(f"sqlite:///{tmp_path}/channels.db")
    assert (events.last_number(), events.states()) == (0, {})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "channels.db").touch()
    assert (events.last_number(), events.states()) == (0, {})
    with ChannelLog(f"sqlite:///{tmp_path}/channels.db") as log:
        append(log, A)
    assert events.last_number() == 1


def test_a_row_that_is_no_event_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/channels.db"
    with ChannelLog(url) as log:
        append(log, A)
    hand = sqlite3.connect(tmp_path / "channels.db")
    hand.execute("UPDATE channel_events SET action = 'destroy'")
    hand.commit()
    hand.close()
    with pytest.raises(BadRecord, match=r"channel event 1\.action: found 'destroy'"):
        open_events(url).states()


def test_another_database_is_read_by_the_log(tmp_path: Path) -> None:
    assert isinstance(open_events(f"sqlite:///{tmp_path}/x.db?timeout=3"), ChannelLog)


def test_neither_sqlalchemy_nor_sigstore_is_loaded_to_follow_and_to_open(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from torchyard.release import open_release\n"
        "from torchyard.release.following import open_events\n"
        f"open_events('sqlite:///{tmp_path}/channels.db').states()\n"
        "print({'sqlalchemy', 'sigstore', 'model_signing', 'requests'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
