"""Rollout: decisions about who serves.

Takes: a person's decision and the channel log.
Makes: channel events; the news that a running server follows them.
Never: talks to a server; changes a release.
"""

from torchyard.rollout.decide import canary, deploy, promote, rollback, undeploy
from torchyard.rollout.watch import living_workers, running_server, wait_until_followed

__all__ = [
    "canary",
    "deploy",
    "living_workers",
    "promote",
    "rollback",
    "running_server",
    "undeploy",
    "wait_until_followed",
]
