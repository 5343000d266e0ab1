"""What happens to a release after sealing: channel events, predictions, drift, alerts.

The prediction log is JSON lines, one object per answered row::

    {"id": str, "at": float, "release": "sha256:...", "variant": str,
     "row": {field: value}, "scores": [float, ...]}

``at`` is seconds since the epoch; ``row`` holds the raw fields as received, missing ones absent or
null, texts cut to 20,000 characters; pictures, tensors and personal fields (unless they allow
``log``) are left out; ``scores`` are the answer, in the order of the task's outputs: the calibrated
probability of each class, or value, low and high in the label's unit. A release that may abstain
writes ``"abstained"``, too: the code of the reason why the row was not answered, null where it was;
its ``scores`` are what the answer would have been.
Segments lie in ``predictions/<model>/<worker>-<start>-<number>.jsonl``. The label log has
``{"id": str, "label": ..., "at": float}`` in ``labels/<model>/<worker>-<start>-<number>.jsonl``; of
a binary task a label is true (the second class) or false, of a multiclass one the name of a class,
of a multilabel one a list of such names, else a number in the label's unit.
A last line without a newline is a write that was cut off: readers skip it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torchyard.records.measures import Measured

Action = Literal["deploy", "canary", "promote", "rollback", "undeploy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelEvent:
    """One decision about who serves. ``weight`` is the share of traffic, 0 to 1; of a model that is
    undeployed it is 0, and ``release`` is who served.

    ``number`` rises by one per event over all models; ``at`` is an ISO time in UTC.
    """

    number: int
    at: str
    model: str
    action: Action
    release: str
    weight: float
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """The fold of a model's events: who serves what share now, and who served before.

    ``routes`` maps release to weight and sums to 1; ``champion`` is None and ``routes`` is empty
    before the first deploy and while the model is undeployed; ``previous`` lists earlier champions,
    the last one last.
    """

    model: str
    champion: str | None
    challenger: str | None
    routes: dict[str, float]
    previous: tuple[str, ...]
    last_event: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDrift:
    """How far one field (or the answers) moved from the reference.

    ``psi`` is the population stability index over the reference's bins; ``p_value`` that of a
    chi-squared test on the same bins, corrected over all fields (Benjamini-Hochberg).
    ``missing`` and ``missing_reference`` are shares of rows.
    """

    name: str
    psi: float
    p_value: float
    missing: float
    missing_reference: float
    drifted: bool
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One stretch of a model's traffic: ``first`` and ``last`` are ISO times of its rows.

    ``answered`` counts rows by the class they were answered with, or by each of several; it is
    empty where numbers are predicted. ``abstained`` rows were left without an answer; they count
    everywhere else with what it would have been, so that windows compare with reports on all rows.
    """

    first: str
    last: str
    rows: int
    releases: dict[str, int]
    fields: tuple[FieldDrift, ...]
    answers: FieldDrift
    answered: dict[str, int]
    labelled: int
    quality: dict[str, Measured]
    abstained: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A sentence a person can act on, and the window and field it is about."""

    severity: Literal["warning", "critical"]
    subject: str
    message: str
    window_first: str
    window_last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorReport:
    """Windows of one model's traffic against its release's reference, and what to look at."""

    model: str
    reference: str
    rows: int
    unreadable: int
    windows: tuple[Window, ...]
    alerts: tuple[Alert, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """What a serving worker says of itself, rewritten whenever it changes.

    ``applied_event`` is the last channel event it follows; ``problem`` says why a later one could
    not be applied (it goes on serving what it served).
    """

    worker: int
    pid: int
    ready: bool
    applied_event: int
    releases: tuple[str, ...]
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """A running server: its supervisor's process id and where it listens.

    ``grpc_port`` is None where it does not speak gRPC, ``control_port`` where operators use the
    main port.
    """

    pid: int
    host: str
    port: int
    workers: int
    grpc_port: int | None = None
    control_host: str = "127.0.0.1"
    control_port: int | None = None
    scheme: Literal["http", "https"] = "http"

    @property
    def url(self) -> str:
        """What its clients' URLs begin with."""
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}"

    @property
    def grpc_address(self) -> str:
        """Where it speaks gRPC, empty where it does not."""
        return "" if self.grpc_port is None else f"{_bracketed(self.host)}:{self.grpc_port}"

    @property
    def control_url(self) -> str:
        """What its operators' URLs begin with."""
        if self.control_port is None:
            return self.url
        return f"{self.scheme}://{_bracketed(self.control_host)}:{self.control_port}"


def _bracketed(host: str) -> str:
    """An address as a URL has it: one of IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host
