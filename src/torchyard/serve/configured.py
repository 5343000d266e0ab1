"""What a person sets of a server: the table ``[serve]`` of a project's ``torchyard.toml``.

    [serve]
    port = 9000
    deadline_ms = 250

Options of the command line win over the file, and the file over the defaults. ``"auto"`` leaves
workers, lanes and threads to the server, as leaving them out does.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchyard.core.errors import BadProject, BadUsage, nearest
from torchyard.serve.settings import AUTO, check, settable

TABLE = "serve"


def read_settings(path: Path) -> dict[str, Any]:
    """The settings in the file, checked; none where there is no file.

    Paths in it start at its folder.

    Raises:
        BadProject: it is not TOML, names something unknown, or sets what may not be.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadProject(
            where=str(path),
            found=str(error),
            expected="a file in TOML 1.0, as UTF-8",
            remedy="Correct it there.",
        ) from error
    for name in tables:
        _known(name, {TABLE}, where=f"{path}, [{name}]")
    table = tables.get(TABLE, {})
    if not isinstance(table, dict):
        raise BadProject(
            where=f"{path}, {TABLE}",
            found=repr(table),
            expected="a table",
            remedy=f"Write [{TABLE}] on a line, and the settings below it.",
        )
    return {name: _setting(name, value, path) for name, value in table.items()}


def given_settings(given: Mapping[str, object]) -> dict[str, Any]:
    """Settings that were given by keyword or option, checked.

    Raises:
        BadUsage: one is unknown or out of its range.
    """
    for name in given:
        if name not in settable():
            raise BadUsage(
                where=f"serve setting {name}",
                found="no setting of that name",
                expected="a setting of a server",
                remedy=nearest(name, settable()),
            )
    return {
        name: _checked(name, value, where=f"serve setting {name}", refusal=BadUsage)
        for name, value in given.items()
    }


def _setting(name: str, value: object, path: Path) -> Any:
    where = f"{path}, [{TABLE}] {name}"
    _known(name, settable(), where=where)
    found = _checked(name, value, where=where, refusal=BadProject)
    return path.parent / found if isinstance(found, Path) else found


def _checked(name: str, value: object, *, where: str, refusal: type[BadUsage | BadProject]) -> Any:
    if name in AUTO and value == "auto":
        return value
    return check(name, value, where=where, refusal=refusal)


def _known(name: str, known: Mapping[str, object] | set[str], *, where: str) -> None:
    if name not in known:
        raise BadProject(
            where=where,
            found="a name that nothing has",
            expected="a setting of a server" if TABLE not in known else f"[{TABLE}]",
            remedy=nearest(name, known),
        )
