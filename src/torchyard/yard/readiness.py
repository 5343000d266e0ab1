"""What is known of a project, gathered from its folder for the ML Test Score."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from torchyard.core.errors import BadRecord
from torchyard.core.record import read_record
from torchyard.core.repository import git
from torchyard.readiness import Known, Monitoring, ReleaseFacts, score
from torchyard.records.live import MonitorReport
from torchyard.records.manifest import Seal
from torchyard.records.readiness import Readiness
from torchyard.records.reproduction import Reproduction
from torchyard.release import ChannelLog, Release
from torchyard.yard import operate
from torchyard.yard.tuned import find_studies
from torchyard.yard.workspace import LoadedProject, Workspace

_CI_FILES = (
    ".github/workflows/*.yml", ".github/workflows/*.yaml", ".gitlab-ci.yml", "Jenkinsfile",
    "azure-pipelines.yml", ".circleci/config.yml", ".buildkite/*.yml", ".ci/*",
)  # fmt: skip
_SHIPS = re.compile(r"torchyard\s+(ship|release)\b")
_REVIEWER = re.compile(r"^(?:reviewed|approved|acked)-by:\s*(\S.*)$", re.IGNORECASE | re.MULTILINE)
_PULL_REQUEST = re.compile(r"\(#(\d+)\)|^Merge (?:pull|merge) request [#!](\d+)", re.MULTILINE)


def rate(loaded: LoadedProject) -> Readiness:
    """Answer the 28 tests of the ML Test Score from what the project's folder holds."""
    return score(gather(loaded, now=datetime.now(UTC)))


def gather(loaded: LoadedProject, *, now: datetime) -> Known:
    """Everything that the tests are answered from.

    Raises:
        NotTrusted: a release in the folder is not what it was sealed as.
    """
    project, workspace = loaded.project, loaded.workspace
    releases = tuple(
        _facts(release, number)
        for number, release in enumerate(operate.releases(workspace), start=1)
        if release.manifest.model == project.name
    )
    with ChannelLog(workspace.channels_url) as log:
        events, states = log.events(project.name), log.states()
    champion = states[project.name].champion if project.name in states else None
    commit = releases[-1].lineage.git_commit if releases else None
    return Known(
        now=now,
        schema=project.schema,
        gates=tuple(project.gates),
        slices=tuple(one.name for one in project.sliced),
        custom=tuple(project.features.modules),
        tests=tuple(sorted(path.name for path in _test_files(workspace.folder))),
        releases=releases,
        champion=champion,
        events=events,
        monitoring=tuple(_monitoring(workspace, project.name)),
        reproductions=tuple(_reproductions(workspace)),
        studies=tuple(find_studies(workspace)),
        review=review_of(workspace.folder, commit) if commit else "",
        scheduled=_scheduled(workspace.folder),
    )


def _facts(release: Release, number: int) -> ReleaseFacts:
    sealed = read_record(Seal, release.folder / "seal.json")
    return ReleaseFacts(
        id=release.id,
        number=number,
        sealed_at=datetime.fromisoformat(sealed.sealed_at),
        ladder=release.manifest.ladder,
        schema=release.schema,
        task=release.task,
        dataset=release.dataset,
        features=release.features,
        run=release.run,
        evidence=release.evidence,
        lineage=release.manifest.lineage,
        golden=len(release.golden_requests()),
    )


def _monitoring(workspace: Workspace, model: str) -> Iterator[Monitoring]:
    path = workspace.reports / f"{model}.json"
    if path.exists():
        made_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        yield Monitoring(report=read_record(MonitorReport, path), made_at=made_at)


def _reproductions(workspace: Workspace) -> Iterator[Reproduction]:
    """Those that came to an end; one that is damaged proves nothing."""
    for path in sorted(workspace.reproductions.glob("*/*/reproduction.json")):
        try:
            yield read_record(Reproduction, path)
        except BadRecord:
            continue


def _test_files(folder: Path) -> Iterator[Path]:
    for pattern in ("test_*.py", "tests/**/test_*.py"):
        yield from folder.glob(pattern)


def review_of(folder: Path, commit: str) -> str:
    """Who reviewed a commit, as it says itself; empty where it does not.

    A trailer (``Reviewed-by: Name``) or the number of the pull request that it came by.
    """
    said = git(folder, "show", "--no-patch", "--format=%B", commit)
    if said is None:
        return ""
    message = said.decode(errors="replace")
    reviewers = _REVIEWER.findall(message)
    if reviewers:
        return f"reviewed by {', '.join(sorted(set(reviewers)))}"
    request = _PULL_REQUEST.search(message)
    return f"merged as request {request[1] or request[2]}" if request else ""


def _scheduled(folder: Path) -> str:
    """A CI file of the repository that ships by itself."""
    top = git(folder, "rev-parse", "--show-toplevel")
    places = [folder] if top is None else [folder, Path(top.decode().strip())]
    for place in places:
        for pattern in _CI_FILES:
            for path in sorted(place.glob(pattern)):
                if path.is_file() and _SHIPS.search(path.read_text(errors="replace")):
                    return str(path.relative_to(place))
    return ""
