"""A monitor report for people: Markdown for a terminal or a ticket, one self-contained page.

Everything that comes from logs is escaped: values in them are a stranger's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape

from torchyard.core.digest import short
from torchyard.core.wording import listed
from torchyard.monitor.quality import told
from torchyard.records.live import FieldDrift, MonitorReport, Window

_MOST_PSI_SHOWN = 1.0
_MOST_CLASSES_SHOWN = 5
_WIDTH, _HEIGHT = 180, 28
_LIMIT = 0.2

_STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:0}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .7rem .3rem 0;border-bottom:1px solid #8884;vertical-align:top}
.scroll{overflow-x:auto}.quiet{opacity:.7}
.alert{border-left:4px solid #d90;padding:.4rem .8rem;margin:.5rem 0;background:#d901}
.alert.critical{border-color:#c33;background:#c331}
svg{display:block}polyline{fill:none;stroke:currentColor;stroke-width:1.5}
svg line{stroke:#c33;stroke-dasharray:3 3}svg circle{fill:#c33}
"""


def render_markdown(report: MonitorReport) -> str:
    """The report as Markdown: alerts first, then windows, then what moved in each."""
    lines = [f"# Monitoring of {_plain(report.model)}", "", _plain(_summary(report)), ""]
    lines += ["## Alerts", ""]
    lines += [f"- **{a.severity}** {_plain(a.message)}" for a in report.alerts] or ["None."]
    lines += ["", "## Windows", ""]
    rows = [_window_cells(window) for window in report.windows]
    lines += ["| " + " | ".join(_HEADINGS) + " |", "|" + "---|" * len(_HEADINGS)]
    lines += ["| " + " | ".join(map(_plain, cells)) + " |" for cells in rows]
    lines += ["", "## What moved", ""]
    moved = [
        f"- {_plain(window.first)}: `{_plain(_name(window, drift))}` {_plain(drift.explanation)} "
        f"(PSI {drift.psi:.2f}, corrected p {_p_value(drift)})"
        for window in report.windows
        for drift in _drifted(window)
    ]
    return "\n".join([*lines, *(moved or ["Nothing."])]) + "\n"


def render_html(report: MonitorReport) -> str:
    """The report as one HTML page that loads nothing: no script, style and pictures inline."""
    title = escape(f"Monitoring of {report.model}")
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{title}</h1>",
        f"<p>{escape(_summary(report))}</p>",
        "<h2>Alerts</h2>",
        *_alert_blocks(report),
        "<h2>Fields over time</h2>",
        _table(("field", "drift", "largest PSI", "missing now", "latest"), _field_rows(report)),
        "<h2>Windows</h2>",
        _table(_HEADINGS, [list(map(escape, _window_cells(w))) for w in report.windows]),
        '<p class="quiet">PSI is the population stability index, drawn from 0 to 1; the dashed '
        f"line is {_LIMIT}. A dot marks a window whose field drifted: an effect that matters and "
        "more than chance explains. Intervals are 95 %.</p>",
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


_HEADINGS = ("from", "to", "rows", "answered by", "drifted", "answers", "labelled", "quality")


def _summary(report: MonitorReport) -> str:
    windows = f"{len(report.windows)} window" + ("" if len(report.windows) == 1 else "s")
    text = (
        f"{report.rows:,} rows in {windows}, compared with release {short(report.reference)}. "
        f"{len(report.alerts)} to look at."
    )
    unreadable = f" {report.unreadable:,} log lines could not be read or placed."
    return text + (unreadable if report.unreadable else "")


def _window_cells(window: Window) -> list[str]:
    answered = ", ".join(f"{short(name)}: {rows:,}" for name, rows in window.releases.items())
    drifted = ", ".join(_name(window, drift) for drift in _drifted(window)) or "none"
    quality = ", ".join(f"{name} {told(value)}" for name, value in window.quality.items())
    return [
        window.first,
        window.last,
        f"{window.rows:,}",
        answered,
        drifted,
        _answered(window),
        f"{window.labelled:,}",
        quality or "too few labels",
    ]


def _answered(window: Window) -> str:
    """The shares of rows answered with each class, the largest first; of numbers, what changed.

    Where rows were left without an answer, also their share.
    """
    silent = window.abstained / window.rows if window.rows else 0.0
    withheld = f"; withheld {silent:.1%}" if window.abstained else ""
    if not window.answered:
        return window.answers.explanation + withheld
    counts = sorted(window.answered.items(), key=lambda item: -item[1])
    shares = [f"{name} {100 * rows / window.rows:.1f} %" for name, rows in counts]
    return listed(shares, most=_MOST_CLASSES_SHOWN) + withheld


def _drifted(window: Window) -> list[FieldDrift]:
    return [drift for drift in (*window.fields, window.answers) if drift.drifted]


def _name(window: Window, drift: FieldDrift) -> str:
    return "answers" if drift is window.answers else drift.name


def _p_value(drift: FieldDrift) -> str:
    return "under 0.0001" if drift.p_value < 1e-4 else f"{drift.p_value:.4f}"


def _plain(text: str) -> str:
    """Text that Markdown shows as it stands, on one line."""
    one_line = " ".join(text.split())
    return re.sub(r"([\\\[\]<>|*#!])", r"\\\1", one_line)


def _alert_blocks(report: MonitorReport) -> Iterator[str]:
    for alert in report.alerts:
        label = f"<strong>{alert.severity}</strong>"
        yield f'<div class="alert {alert.severity}">{label} {escape(alert.message)}</div>'
    if not report.alerts:
        yield '<p class="quiet">None.</p>'


def _field_rows(report: MonitorReport) -> list[list[str]]:
    """One row per field, the answers last, with its course over the windows."""
    if not report.windows:
        return []
    columns = zip(*((*window.fields, window.answers) for window in report.windows), strict=True)
    rows = [_field_row(drift[-1].name, drift) for drift in columns]
    rows[-1][0] = "answers"
    return rows


def _field_row(name: str, course: Sequence[FieldDrift]) -> list[str]:
    latest = course[-1]
    return [
        escape(name),
        _sparkline(course),
        f"{max(drift.psi for drift in course):.2f}",
        f"{100 * latest.missing:.1f} %",
        escape(latest.explanation),
    ]


def _sparkline(course: Sequence[FieldDrift]) -> str:
    """PSI over the windows as a small picture, with its numbers for those who cannot see it."""
    step = _WIDTH / max(len(course) - 1, 1)
    points = [
        (number * step, _height(drift.psi), drift.drifted) for number, drift in enumerate(course)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y, drifted in points if drifted
    )
    label = "PSI " + ", ".join(f"{drift.psi:.2f}" for drift in course[-12:])
    limit = f'<line x1="0" x2="{_WIDTH}" y1="{_height(_LIMIT):.1f}" y2="{_height(_LIMIT):.1f}"/>'
    return (
        f'<svg role="img" aria-label="{label}" width="{_WIDTH + 6}" height="{_HEIGHT}" '
        f'viewBox="-3 0 {_WIDTH + 6} {_HEIGHT}">{limit}<polyline points="{line}"/>{dots}</svg>'
    )


def _height(psi: float) -> float:
    return _HEIGHT - 3 - min(psi, _MOST_PSI_SHOWN) / _MOST_PSI_SHOWN * (_HEIGHT - 6)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'
