"""What the pages say once for all commands, and the one warning that an operator must not miss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from torchyard.cli.main import app
from torchyard.records.live import ModelState
from torchyard.release.folding import rollback_target

DOCS = Path(__file__).parents[2] / "docs"


def long_options(command: Any) -> set[str]:
    """The long options of a command and of all commands below it."""
    own = {
        option
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--")
    }
    below = getattr(command, "commands", {}).values()
    return own.union(*(long_options(inner) for inner in below))


def test_every_long_option_of_any_command_is_on_the_commands_page() -> None:
    text = (DOCS / "cli.md").read_text()
    options = long_options(typer.main.get_command(app))
    assert {"--version", "--project", "--json"} <= options
    assert [option for option in sorted(options) if option not in text] == []


def test_a_second_rollback_goes_further_and_the_page_says_so() -> None:
    during_canary = ModelState(
        model="churn", champion="second", challenger="third", previous=("first",),
        routes={"second": 0.9, "third": 0.1}, last_event=3,
    )  # fmt: skip
    after_one = ModelState(
        model="churn", champion="second", challenger=None, previous=("first",),
        routes={"second": 1.0}, last_event=4,
    )  # fmt: skip
    assert rollback_target(during_canary) == "second"
    assert rollback_target(after_one) == "first"
    page = " ".join((DOCS / "operate.md").read_text().split())
    assert "a second `torchyard rollback` goes back one release further" in page
