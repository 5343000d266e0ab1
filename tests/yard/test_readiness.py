"""What a project's folder and repository say of themselves for the ML Test Score."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from torchyard.core.repository import git
from torchyard.yard import Yard
from torchyard.yard.readiness import _scheduled, review_of


def commit(folder: Path, message: str) -> str:
    named = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run(
        ["git", "-C", folder, *named, "commit", "--quiet", "--allow-empty", "-m", message],
        check=True,
    )
    said = git(folder, "rev-parse", "HEAD")
    assert said is not None
    return said.decode().strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("A better net\n\nReviewed-by: B. Careful", "reviewed by B. Careful"),
        ("A better net\n\nreviewed-by: C\nApproved-by: B", "reviewed by B, C"),
        ("A better net (#12)", "merged as request 12"),
        ("Merge pull request #7 from a/b", "merged as request 7"),
        ("A better net, reviewed by nobody", ""),
    ],
)
def test_a_commit_says_who_reviewed_it(repository: Path, message: str, told: str) -> None:
    assert review_of(repository, commit(repository, message)) == told


def test_a_commit_that_is_not_there_was_reviewed_by_nobody(
    repository: Path, tmp_path: Path
) -> None:
    assert review_of(repository, "0" * 40) == ""
    assert review_of(tmp_path / "elsewhere", "0" * 40) == ""


def test_a_ci_file_that_ships_is_found_from_a_folder_below(repository: Path) -> None:
    project = repository / "models" / "late"
    project.mkdir(parents=True)
    assert _scheduled(project) == ""
    workflow = repository / ".github" / "workflows" / "ship.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text("run: torchyard score\n")
    assert _scheduled(project) == ""
    workflow.write_text("run: |\n  torchyard ship --json\n")
    assert _scheduled(project) == ".github/workflows/ship.yml"


def test_a_new_project_is_scored_without_anything_run(tmp_path: Path) -> None:
    yard = Yard.init(tmp_path / "fresh")
    found = yard.score()
    assert found.score == 0
    assert len(found.tests) == 28
    assert {one.answer for one in found.tests if one.id.startswith("Mo")} == {"missing"}
