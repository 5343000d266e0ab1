"""Values of the wrong type, size or form are refused where they are said, not by a later stage."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import torchyard as ty
from torchyard.core.errors import BadProject

NAN, INF = float("nan"), float("inf")
WORDS: Any = ty  # without types, as a project file says them


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda: WORDS.lookup("c", min_count=1.5), "min_count=1.5; expected a whole number"),
        (lambda: WORDS.lookup("c", min_count="2"), "min_count='2'; expected a whole number"),
        (lambda: WORDS.lookup("c", min_count=True), "min_count=True"),
        (lambda: WORDS.bucket("a", buckets=2.5), "buckets=2.5"),
        (lambda: WORDS.bucket("a", edges=3), "edges=3; expected a list of numbers"),
        (lambda: WORDS.bucket("a", edges="12"), "edges='1'; expected a finite number"),
        (lambda: WORDS.bucket("a", edges=[0, NAN]), "edges=nan"),
        (lambda: WORDS.bucket("a", edges=[0, INF]), "edges=inf"),
        (lambda: WORDS.bucket("a", edges=()), r"edges=\(\)"),
        (lambda: WORDS.quantile("a", points=10.5), "points=10.5"),
        (lambda: WORDS.clip("a", low="0"), "low='0'; expected a finite number"),
        (lambda: WORDS.clip("a", low=NAN), "low=nan"),
        (lambda: WORDS.impute("a", value=NAN), "value=nan"),
        (lambda: WORDS.impute("a", value=None), "value=None"),
        (lambda: WORDS.impute("a", flag="no"), "flag='no'"),
        (lambda: WORDS.multi_hot("c", separator=3), "separator=3"),
        (lambda: WORDS.cyclic_time("t", ["hour"]), r"parts \[\['hour'\]\]"),
        (lambda: WORDS.tokenize("x", length=8.0, vocabulary=9), "length=8.0"),
        (lambda: WORDS.tokenize("x", length=8, vocabulary=9.5), "vocabulary=9.5"),
        (lambda: WORDS.pixels("p", size=28), "size=28; expected a height and a width"),
        (lambda: WORDS.pixels("p", size=(28, 28, 3)), r"size=\(28, 28, 3\)"),
        (lambda: WORDS.pixels("p", size=(28.0, 28)), "height=28.0"),
        (lambda: WORDS.pixels("p", size=(2, 2), channels=1.0), "channels=1.0"),
        (lambda: WORDS.pixels("p", size=(2, 2), channels=1, mean=0.5), "mean=0.5"),
        (lambda: WORDS.pixels("p", size=(2, 2), deviation=[NAN] * 3), "deviation=nan"),
        (lambda: WORDS.custom(nn.ReLU, "a"), "the class ReLU; expected an nn.Module, made"),
        (lambda: WORDS.custom("relu", "a"), "'relu'; expected an nn.Module"),
        (lambda: WORDS.Features(n="a"), r"Features\(..., n=\): found 'a'"),
        (lambda: WORDS.Features(n=ty.lookup), "expected a transform"),
        (lambda: WORDS.Features(n=WORDS.numbers(3)), r"features: n.inputs\[0\]: found 3"),
        (lambda: WORDS.Features(n=WORDS.cross([1], [2])), r"n.inputs\[0\]: found \[1\]"),
        (lambda: WORDS.Features(**{"class": ty.numbers("a")}), "a tensor named 'class'"),
        (lambda: WORDS.Features(self=ty.numbers("a")), "a tensor named 'self'"),
        (lambda: WORDS.Features(**{"../a": ty.numbers("a")}), "a parameter of forward can have"),
    ],
)
def test_a_feature_is_refused(write: Callable[[], Any], said: str) -> None:
    with pytest.raises(BadProject, match=said):
        write()


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda: WORDS.Schema(a="number"), r"Schema\(..., a=\): found 'number'; expected a field"),
        (lambda: WORDS.Schema(a=ty.number), r"For example a=ty.number\(\)"),
        (lambda: WORDS.Schema(**{"": ty.number()}), "a field named ''"),
        (lambda: WORDS.Schema(**{'a"b': ty.number()}), "without commas, quotes"),
        (lambda: WORDS.Schema(**{"a, b": ty.number()}), "a field named 'a, b'"),
        (lambda: WORDS.Schema(**{"@id": ty.number()}), "neither begins with '@'"),
        (
            lambda: WORDS.Schema(**{"*": ty.number()}),
            r"a field named '\*'.* nor reads as a pattern",
        ),
        (lambda: WORDS.Schema(**{"^a.*$": ty.number()}), r"a field named '\^a\.\*\$'"),
        (lambda: WORDS.category("abc"), "values='abc'; expected a list of texts"),
        (lambda: WORDS.category([1, 2]), r"values=\[1, 2\]"),
        (lambda: WORDS.category(["a", "b1"], pattern="[a-z]"), "the value 'b1'"),
        (lambda: WORDS.category(["a", "bb"], max_length=1), "the value 'bb'"),
        (lambda: WORDS.text(max_length=-1), "max_length=-1; expected at least 1"),
        (lambda: WORDS.text(min_length=2.5), r"min_length: found 2.5"),
        (lambda: WORDS.id(pattern=3), r"ty.id\(...\).pattern: found 3"),
        (lambda: WORDS.number(personal=True, allow="log"), "allow='log'; expected a list"),
        (lambda: WORDS.number(personal=True, allow=["logs"]), "'logs'; expected 'feature' or"),
        (lambda: WORDS.number(ge="0"), r"ty.number\(...\).ge: found '0'; expected float"),
        (lambda: WORDS.number(ge=NAN), "found nan; expected a finite number"),
        (lambda: WORDS.number(optional="no"), "optional: found 'no'; expected bool"),
        (lambda: WORDS.tensor(3), "shape=3; expected whole sizes"),
        (lambda: WORDS.tensor((2.0,)), r"shape=\(2.0,\)"),
        (lambda: WORDS.tensor((2,), dtype="float64"), "'float64'; expected 'float32' or 'int64'"),
    ],
)
def test_a_field_is_refused(write: Callable[[], Any], said: str) -> None:
    with pytest.raises(BadProject, match=said):
        write()


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda: WORDS.binary_classification(3), "label=3; expected the name of a column"),
        (lambda: WORDS.binary_classification(""), "label=''"),
        (
            lambda: WORDS.binary_classification("*"),
            r"label='\*'; expected the name of a column",
        ),
        (lambda: WORDS.binary_classification("y", classes=("a",)), r"classes=\('a',\)"),
        (lambda: WORDS.binary_classification("y", classes=("a", "b", "c")), "two different names"),
        (lambda: WORDS.binary_classification("y", classes="ab"), "classes='ab'"),
        (lambda: WORDS.binary_classification("y", classes=(0, 1)), r"classes=\(0, 1\)"),
        (lambda: WORDS.binary_classification("y", threshold="0.5"), "threshold='0.5'"),
        (lambda: WORDS.multiclass_classification("y", classes="abc"), "classes='abc'"),
        (lambda: WORDS.multiclass_classification("y", classes=range(3)), "a list of texts"),
        (lambda: WORDS.multilabel_classification("y", classes="ab"), "classes='ab'"),
        (lambda: WORDS.multilabel_classification("y", classes=["a"]), "ty.binary_classification"),
        (
            lambda: WORDS.multilabel_classification("y", classes=["a", "b|c"]),
            r"the class 'b\|c'; expected names without '\|'",
        ),
        (lambda: WORDS.multilabel_classification("y", classes=["a", " b"]), "the class ' b'"),
        (
            lambda: WORDS.multilabel_classification("y", classes=["a", "b"], separator=" "),
            "separator=' '; expected a text that stands between the classes",
        ),
        (
            lambda: WORDS.multilabel_classification("y", classes=["a", "b"], threshold=1),
            "threshold=1; expected a probability between 0 and 1. Leave",
        ),
        (lambda: WORDS.regression("*"), "the name of a column"),
        (lambda: WORDS.regression("y", unit=3), "unit: found 3"),
        (lambda: WORDS.regression("y", coverage=90), "coverage=90; expected a share of rows"),
        (lambda: WORDS.regression("y", standardized="no"), "standardized: found 'no'"),
        (lambda: WORDS.split_by_hash(["a"]), r"fields\[0\]: found \['a'\]"),
        (lambda: WORDS.split_by_hash(validation="0.1"), "validation='0.1'"),
        (
            lambda: WORDS.split_by_time("t", validation=date(2020, 1, 1), test=date(2021, 1, 1)),
            r"split_by_time\(...\): found a record cannot hold date",
        ),
        (lambda: WORDS.gate(3, at_least=1), "metric: found 3"),
        (lambda: WORDS.gate("auroc", at_least="0.5"), "at_least: found '0.5'; expected float"),
        (lambda: WORDS.gate("auroc", at_least=NAN), "found nan"),
        (lambda: WORDS.gate("auroc", against="last", drop_at_most=0.1), "'last'; expected"),
        (lambda: WORDS.gate("auroc", at_least=0.5, required="no"), "required: found 'no'"),
        (lambda: WORDS.gate("auroc", at_least=0.5, min_rows=9), "min_rows=9 without per_slice"),
        (lambda: WORDS.gate("auroc", at_least=0, per_slice="c", min_rows=-1), "min_rows=-1"),
    ],
)
def test_a_task_a_split_and_a_gate_are_refused(write: Callable[[], Any], said: str) -> None:
    with pytest.raises(BadProject, match=said):
        write()


def declare(**changes: Any) -> ty.Project:
    given: dict[str, Any] = {
        "name": "demo",
        "task": ty.binary_classification("late"),
        "data": "rows.csv",
        "schema": ty.Schema(distance=ty.number(), carrier=ty.category()),
        "split": ty.split_by_hash(),
        "features": ty.Features(numbers=ty.numbers("distance")),
        "model": lambda features: None,
    }
    return ty.Project(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": 5}, r"Project\(..., name=\): found 5; expected a text"),
        ({"task": "binary"}, "task=.*'binary'"),
        ({"schema": {"a": ty.number()}}, "schema="),
        ({"split": "hash"}, "split="),
        ({"features": {"n": ty.numbers("distance")}}, r"expected ty.Features\(...\)"),
        ({"features": [ty.numbers("distance")]}, "features="),
        ({"training": {"max_epochs": 3}}, "training="),
        ({"objective": {"p99_ms": 3}}, "objective="),
        ({"checks": {}}, "checks="),
        ({"description": None}, "description="),
        ({"gates": ty.gate("auroc", at_least=0.5)}, r"a list of ty.gate\(...\)"),
        ({"gates": ["auroc"]}, r"a list of ty.gate\(...\)"),
        ({"slices": "carrier"}, "slices='carrier'; expected a list of texts"),
        ({"model": nn.Linear(1, 1)}, "an nn.Module class, or a function"),
        ({"model": None}, "model="),
        ({"fit": 3}, r"fit=\): found 3; expected a function of one argument, a ty.Fitting"),
        ({"fit": lambda: None}, "fit=.*expected a function of one argument"),
        ({"fit": lambda a, b: None}, "fit=.*expected a function of one argument"),
        ({"weights": ""}, "weights=.*expected a path as text"),
        ({"weights": 3}, "weights=.*expected a path as text"),
        ({"fit": print, "weights": "w.pt"}, "fit=.*nothing beside weights="),
        ({"training": ty.Training(max_epochs=0)}, "max_epochs=0; expected at least 1"),
        ({"training": ty.Training(batch_size=-1)}, "batch_size=-1"),
        ({"training": ty.Training(patience=0)}, "patience=0"),
        ({"training": ty.Training(devices=0)}, "devices=0; expected at least 1"),
        (
            {"training": ty.Training(devices=3, batch_size=2)},
            "devices=3; expected at most batch_size, 2",
        ),
        ({"training": ty.Training(memory_mib=0)}, "memory_mib=0"),
        ({"training": ty.Training(learning_rate=-1)}, "learning_rate=-1; expected above 0"),
        ({"training": ty.Training(learning_rate=NAN)}, "learning_rate: found nan"),
        ({"training": ty.Training(clip_norm=0.0)}, "clip_norm=0.0"),
        ({"training": ty.Training(weight_decay=-0.1)}, "weight_decay=-0.1; expected at least 0"),
        ({"training": ty.Training(seed=-1)}, "seed=-1"),
        ({"training": ty.Training(seed=2**32)}, "seed=4294967296; expected at most"),
        ({"training": ty.Training(precision="half")}, "precision='half'; expected one of 32-true"),
        ({"objective": ty.Objective(p99_ms=-1)}, "p99_ms=-1; expected above 0"),
        ({"objective": ty.Objective(max_size_mb=0)}, "max_size_mb=0"),
    ],
)
def test_a_part_of_a_project_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadProject, match=said):
        declare(**changes)


def test_a_tokenizers_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("vocab:\n- a\n")
    with pytest.raises(BadProject, match="expected a tokenizers file"):
        ty.tokenize("note", length=9, file=tmp_path / "tokenizer.json")


@pytest.mark.parametrize("use", [{}, {"protected": True}])
def test_reports_are_not_cut_by_the_values_of_a_personal_field(use: dict[str, Any]) -> None:
    def with_field(field: Any) -> ty.Project:
        schema = ty.Schema(distance=ty.number(), person=field)
        return declare(schema=schema, slices=[] if use else ["person"])

    with pytest.raises(BadProject, match=r"schema, person: .*ty.category\(\[...\]\)"):
        with_field(ty.category(personal=True, **use))
    assert with_field(ty.category(["a", "b"], personal=True, **use))
    assert with_field(ty.category(personal=True, allow=["log"], **use))
    assert with_field(ty.boolean(personal=True, **use))
