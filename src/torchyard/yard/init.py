"""A new project that ships as it is, on made-up customers."""

from __future__ import annotations

import csv
import io
import math
import random
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path

from torchyard.core.errors import BadUsage
from torchyard.core.files import publish_folder, staged_folder
from torchyard.project.project import is_name

ROWS = 6_000
_PLANS = (("basic", 0.5), ("family", 0.3), ("business", 0.15), ("student", 0.05))


def init_project(folder: Path) -> Path:
    """Write ``project.py``, ``model.py`` and ``customers.csv`` into a new folder, whole or not.

    Raises:
        BadUsage: the folder exists, or its name is not a project's.
    """
    folder = folder.resolve()
    if not is_name(folder.name):
        raise BadUsage(
            where="project name",
            found=repr(folder.name),
            expected="a letter, then lower-case letters, digits and dashes",
            remedy="It becomes part of URLs: for example 'churn'.",
        )
    if folder.exists():
        raise BadUsage(
            where=str(folder),
            found="a folder or file of that name",
            expected="a name that is free",
            remedy="Choose another name; nothing was changed.",
        )
    template = resources.files("torchyard.yard.template")
    with staged_folder(folder.parent) as stage:
        project = (template / "project.txt").read_text().replace("@NAME@", folder.name)
        (stage / "project.py").write_text(project)
        (stage / "model.py").write_text((template / "model.txt").read_text())
        (stage / "customers.csv").write_text(made_up_customers())
        (stage / ".gitignore").write_text(".torchyard/\n")
        publish_folder(stage, folder)
    return folder


def made_up_customers(rows: int = ROWS, seed: int = 1) -> str:
    """A CSV of invented customers, who leave for reasons that a model can find.

    Low satisfaction, many calls and a high fee make leaving more likely (a logistic model with
    known coefficients); 12 % of the satisfaction values are missing.
    """
    draw = random.Random(seed)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["joined", "plan", "region", "monthly_fee", "calls_to_support", "satisfaction", "left"]
    )
    for _ in range(rows):
        joined = datetime(2024, 1, 1) + timedelta(minutes=draw.randrange(2 * 365 * 24 * 60))
        plan = draw.choices([name for name, _ in _PLANS], [share for _, share in _PLANS])[0]
        fee = round(max(4.0, draw.gauss(90 if plan == "business" else 30, 12)), 2)
        calls = min(40, int(draw.expovariate(0.6)))
        satisfaction = min(5.0, max(1.0, round(draw.gauss(3.7, 0.9), 1)))
        logit = -1.6 + 0.45 * calls - 1.1 * (satisfaction - 3.5) + 0.015 * (fee - 30)
        logit -= 1.0 if plan == "family" else 0.0
        writer.writerow([
            joined.isoformat(), plan, draw.choice(["north", "south"]), fee, calls,
            "" if draw.random() < 0.12 else satisfaction,
            str(draw.random() < 1 / (1 + math.exp(-logit))).lower(),
        ])  # fmt: skip
    return text.getvalue()
