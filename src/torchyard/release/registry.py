"""The release in MLflow, where teams already look: one model version per release, two aliases.

MLflow only mirrors. What serves is decided by channel events, what a release is by its folder.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torchyard.core.digest import short
from torchyard.core.errors import NotFound
from torchyard.records.live import ModelState
from torchyard.release.layout import Release

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

RELEASE_TAG = "torchyard.release"
VERDICT_TAG = "torchyard.verdict"
_PAGE_ROWS = 1_000


def register(release: Release, *, tracking_uri: str, run_id: str) -> str:
    """Register a release as a model version whose source is its folder; once per release.

    Args:
        release: a sealed release; its model's name is the registered model's.
        tracking_uri: an MLflow URI, for example ``sqlite:////srv/yard/mlflow.db``.
        run_id: the MLflow run that trained the weights.

    Returns:
        The version's number as text, the earlier one when the release was registered before.
    """
    name = release.manifest.model
    with _quiet_client(tracking_uri) as client:
        _make_model(client, name)
        for version in _versions(client, name):
            if version.tags.get(RELEASE_TAG) == release.id:
                return str(version.version)
        made = client.create_model_version(
            name,
            source=str(release.folder.resolve()),
            run_id=run_id,
            tags={RELEASE_TAG: release.id, VERDICT_TAG: _verdict(release)},
            description=f"Release {short(release.id)}, sealed {release.seal.sealed_at}.",
        )
        return str(made.version)


def mirror(state: ModelState, *, tracking_uri: str) -> None:
    """Point the aliases ``champion`` and ``challenger`` at who serves; remove a stale one.

    Raises:
        NotFound: a release that serves was never registered there.
    """
    with _quiet_client(tracking_uri) as client:
        numbers = {
            version.tags.get(RELEASE_TAG): str(version.version)
            for version in _versions(client, state.model)
        }
        wanted = {"champion": state.champion, "challenger": state.challenger}
        for release in wanted.values():
            if release is not None and release not in numbers:
                raise NotFound(
                    where=f"MLflow model '{state.model}'",
                    found=f"no version of release {short(release)}",
                    expected="every release that serves",
                    remedy="Register the release, then mirror again.",
                )
        for alias, release in wanted.items():
            if release is not None:
                client.set_registered_model_alias(state.model, alias, numbers[release])
            elif numbers:  # a model that nobody registered has no alias either
                client.delete_registered_model_alias(state.model, alias)


def _verdict(release: Release) -> str:
    """The worst outcome of the shipped variants' required gates."""
    ladder = release.manifest.ladder
    verdicts = release.evidence.verdicts
    found = {one.outcome for one in verdicts if one.required and one.variant in ladder}
    return next((name for name in ("fail", "inconclusive", "pass") if name in found), "no gates")


def _versions(client: MlflowClient, name: str) -> Iterator[ModelVersion]:
    token: str | None = None
    while True:
        page = client.search_model_versions(
            f"name='{name}'", max_results=_PAGE_ROWS, page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def _make_model(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise


@contextmanager
def _quiet_client(tracking_uri: str) -> Iterator[MlflowClient]:
    """A client whose set-up messages and third-party deprecations stay out of people's sight."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"mlflow\..*")
        warnings.filterwarnings("ignore", message=r".*``noload`` loader strategy.*")
        # as soon as it is loaded, MLflow calls its makers' servers
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient

        logger = logging.getLogger("mlflow")
        level = logger.level
        logger.setLevel(logging.WARNING)
        try:
            yield MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
        finally:
            logger.setLevel(level)
