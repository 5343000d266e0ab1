"""The table ``[serve]`` of ``torchyard.toml``: what it may say, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from torchyard.core.errors import BadProject, BadUsage
from torchyard.serve.configured import given_settings, read_settings


def written(folder: Path, text: str) -> Path:
    path = folder / "torchyard.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_settings_are_read_as_they_stand(tmp_path: Path) -> None:
    path = written(tmp_path, "[serve]\nport = 9000\ndeadline_ms = 250\npoll_s = 1\nhost = '::1'\n")

    found = read_settings(path)

    assert found == {"port": 9000, "deadline_ms": 250, "poll_s": 1.0, "host": "::1"}
    assert type(found["poll_s"]) is float


@pytest.mark.parametrize("text", ["", "[serve]\n", "# nothing yet\n"])
def test_a_file_that_sets_nothing_sets_nothing(text: str, tmp_path: Path) -> None:
    assert read_settings(written(tmp_path, text)) == {}


def test_no_file_sets_nothing(tmp_path: Path) -> None:
    assert read_settings(tmp_path / "torchyard.toml") == {}


@pytest.mark.parametrize(
    ("text", "where", "found", "expected", "remedy"),
    [
        ("[serve]\nprot = 1", "[serve] prot", "a name that nothing has",
         "a setting of a server", "Did you mean 'port'?"),
        ("[server]\nport = 1", "[server]", "a name that nothing has", "[serve]",
         "Did you mean 'serve'?"),
        ("[serve]\nport = 'high'", "[serve] port", "'high'", "a whole number, 0 to 65535",
         "Give port such a value, or leave it out: 8000."),
        ("[serve]\nmax_rows = 0", "[serve] max_rows", "0", "a whole number, 1 or more",
         "Give max_rows such a value, or leave it out: 10000."),
        ("[serve]\nidle_timeout_s = inf", "[serve] idle_timeout_s", "inf",
         "a number, more than 0, at most 86400",
         "Give idle_timeout_s such a value, or leave it out: 75.0."),
        ("[serve]\nreleases = 'x'", "[serve] releases", "a name that nothing has",
         "a setting of a server", "Did you mean 'lanes'?"),
        ("serve = 3", "serve", "3", "a table", "Write [serve] on a line"),
    ],
)  # fmt: skip
def test_what_may_not_be_set_is_refused(
    text: str, where: str, found: str, expected: str, remedy: str, tmp_path: Path
) -> None:
    path = written(tmp_path, text)

    with pytest.raises(BadProject) as caught:
        read_settings(path)

    error = caught.value
    assert error.where == f"{path}, {where}"
    assert (error.found, error.expected) == (found, expected)
    assert error.remedy.startswith(remedy)


@pytest.mark.parametrize("content", [b"[serve\nport = 1\n", b"port = \xff\n"])
def test_a_file_that_is_not_toml_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "torchyard.toml"
    path.write_bytes(content)

    with pytest.raises(BadProject, match=r"expected a file in TOML 1.0, as UTF-8"):
        read_settings(path)


def test_settings_by_keyword_are_held_to_the_same() -> None:
    assert given_settings({"port": 0, "workers": 3}) == {"port": 0, "workers": 3}
    with pytest.raises(BadUsage, match=r"serve setting wrokers.*Did you mean 'workers'"):
        given_settings({"wrokers": 3})
    with pytest.raises(BadUsage, match="serve setting workers: found 0; expected a whole number"):
        given_settings({"workers": 0})


def test_what_the_server_may_choose_may_be_left_to_it_in_words(tmp_path: Path) -> None:
    path = written(tmp_path, "[serve]\nworkers = 'auto'\nlanes = 3\n")
    assert read_settings(path) == {"workers": "auto", "lanes": 3}
    assert given_settings({"threads": "auto"}) == {"threads": "auto"}
    with pytest.raises(BadProject, match=r"found 'auto'; expected a whole number, 0 to 65535"):
        read_settings(written(tmp_path, "[serve]\nport = 'auto'\n"))
