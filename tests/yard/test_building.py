"""A module that cannot be built is refused with the project's own line."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from tests.project.test_refusals import declare
from tests.train.test_faults import GRAPH
from torchyard.core.errors import BadModel, BadProject
from torchyard.yard.building import build_module


class Sized(nn.Module):
    def __init__(self, features: Any) -> None:
        super().__init__()
        self.layer = nn.Linear(features["wheather"].width, 1)


class Other:
    def __init__(self, features: Any) -> None:
        pass


def refuses(features: Any) -> Any:
    raise BadProject(where="model.py", found="a", expected="b", remedy="c")


def test_an_error_names_the_line_and_what_was_given() -> None:
    with pytest.raises(
        BadModel, match=r"model Sized \(.*test_building.py:\d+\): found Key"
    ) as refused:
        build_module(declare(model=Sized), GRAPH)
    assert "no feature 'wheather'" in refused.value.found
    assert refused.value.remedy.endswith("the features of these tensors: x, carrier.")


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(BadModel, match=r"model Other: found a Other; .*subclass of nn.Module"):
        build_module(declare(model=Other), GRAPH)


def test_a_refusal_of_the_project_is_left_as_it_is() -> None:
    with pytest.raises(BadProject, match=r"model\.py"):
        build_module(declare(model=refuses), GRAPH)


def test_leaving_python_is_an_error_like_others() -> None:
    def leaves(features: Any) -> Any:
        raise SystemExit(0)

    with pytest.raises(BadModel, match=r"model leaves.*found SystemExit: 0"):
        build_module(declare(model=leaves), GRAPH)
