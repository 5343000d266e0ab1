"""Everything that the tests are answered from, gathered by the yard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from torchyard.records.dataset import DatasetVersion
from torchyard.records.evidence import Evidence, Report, Variant
from torchyard.records.live import ChannelEvent, MonitorReport
from torchyard.records.manifest import Lineage
from torchyard.records.reproduction import Reproduction
from torchyard.records.schema import Schema, Task
from torchyard.records.search import Study
from torchyard.records.training import FeatureGraph, Run
from torchyard.records.verdicts import Gate, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFacts:
    """A sealed release, verified. ``golden`` counts its golden requests."""

    id: str
    number: int
    sealed_at: datetime
    ladder: tuple[str, ...]
    schema: Schema
    task: Task
    dataset: DatasetVersion
    features: FeatureGraph
    run: Run
    evidence: Evidence
    lineage: Lineage
    golden: int

    def __str__(self) -> str:
        return f"release {self.number}"

    @property
    def report(self) -> Report:
        """Of the variant that serves first."""
        reports = self.evidence.reports
        return next((one for one in reports if one.model == self.ladder[0]), reports[0])

    @property
    def research(self) -> Report:
        """Of the module in PyTorch, which stands beside the baselines."""
        return self.evidence.reports[0]

    @property
    def variant(self) -> Variant:
        """The variant that serves first."""
        return next(one for one in self.evidence.variants if one.name == self.ladder[0])

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Those about the variant that serves first."""
        return tuple(one for one in self.evidence.verdicts if one.variant == self.ladder[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitoring:
    """A report on live traffic, and when it was made."""

    report: MonitorReport
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a project.

    Attributes:
        now: an aware time.
        schema: of the project file.
        gates: of the project file.
        slices: that the project file declares, by name.
        custom: features that run the project's own code.
        tests: files of tests beside the project file.
        releases: sealed ones, oldest first.
        champion: the id of the release that serves; None where none does.
        events: every decision about who serves.
        monitoring: reports on live traffic, oldest first.
        reproductions: runs that were trained again.
        studies: searches for settings.
        review: how the latest release's commit was reviewed, from the repository; empty when the
            repository does not say.
        scheduled: a file of the repository that runs ``torchyard`` by itself, as a CI system
            reads; empty for none.
    """

    now: datetime
    schema: Schema
    gates: tuple[Gate, ...]
    slices: tuple[str, ...]
    custom: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    releases: tuple[ReleaseFacts, ...] = ()
    champion: str | None = None
    events: tuple[ChannelEvent, ...] = ()
    monitoring: tuple[Monitoring, ...] = ()
    reproductions: tuple[Reproduction, ...] = ()
    studies: tuple[Study, ...] = ()
    review: str = ""
    scheduled: str = ""

    @property
    def current(self) -> ReleaseFacts | None:
        """The release that serves, or else the latest one."""
        serving = [one for one in self.releases if one.id == self.champion]
        ordered = [*self.releases, *serving]
        return ordered[-1] if ordered else None

    @property
    def earlier(self) -> tuple[ReleaseFacts, ...]:
        """The releases before the current one, oldest first."""
        current = self.current
        return tuple(one for one in self.releases if current and one.number < current.number)
