"""What ``torchyard evaluate`` says of declared behaviours."""

from __future__ import annotations

from torchyard.cli.screen import say
from torchyard.records.evidence import Report


def show_behaviours(report: Report) -> None:
    """Each behaviour in a line: how many rows failed it, or why it was not measured."""
    for one in report.behaviours:
        rate = one.failure_rate
        if rate is None or rate.low is None or rate.high is None:
            say(f"{one.name}: not measured. {one.finding}", first="Behaviour ")
            continue
        left = f"; {one.left_out:,} left out" if one.left_out else ""
        worst = "" if one.worst is None else f", largest change {one.worst:.3g}"
        say(
            f"{one.name}: {one.failed:,} of {one.rows:,} rows fail, {rate.value:.1%} "
            f"[{rate.low:.1%}, {rate.high:.1%}]{worst}{left}",
            first="Behaviour ",
        )
