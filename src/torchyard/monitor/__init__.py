"""Monitor: what became of the world since the model was trained.

Takes: prediction and label logs, a release's reference.
Makes: windows, drift, live quality, alerts, a report for people.
Never: imports serving; reads a field that may not be logged; changes who serves.
"""

from torchyard.monitor.drift import Limits
from torchyard.monitor.reference import Reference
from torchyard.monitor.report import render_html, render_markdown
from torchyard.monitor.watch import watch

__all__ = ["Limits", "Reference", "render_html", "render_markdown", "watch"]
