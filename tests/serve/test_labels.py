"""The label log: acknowledged means on disk."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.kinds import ABOUT, DELAY
from torchyard.core.errors import BadData, BadUsage, NotReady
from torchyard.records.schema import Task
from torchyard.serve.logs.labels import Label, LabelLog, decode_labels
from torchyard.serve.logs.predictions import segments_in

LATE = Task(kind="binary_classification", label="late", classes=("on time", "late"))
CLASSES = "the name of a class, true or false"
PETS = Task(kind="multiclass_classification", label="pet", classes=("cat", "dog", "owl"))


def open_log(folder: Path) -> LabelLog:
    return LabelLog(
        segments_in(folder, worker=0, start=1, most_bytes=1 << 20), clock=lambda: 1700000000.5
    )


def content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("demo/*.jsonl")))


def test_labels_are_read() -> None:
    labels = decode_labels(
        b'{"labels": [{"id": "a", "label": true}, {"id": "b", "label": false}]}', LATE
    )

    assert labels == [Label("a", True), Label("b", False)]


def test_a_class_may_be_called_by_its_name() -> None:
    labels = decode_labels(
        b'{"labels": [{"id": "a", "label": "late"}, {"id": "b", "label": "on time"}]}', LATE
    )

    assert labels == [Label("a", True), Label("b", False)]


def test_one_of_many_classes_is_called_by_its_name() -> None:
    body = b'{"labels": [{"id": "a", "label": "owl"}, {"id": "b", "label": "cat"}]}'

    assert decode_labels(body, PETS) == [Label("a", "owl"), Label("b", "cat")]


def test_a_whole_number_means_the_class_that_it_names() -> None:
    digits = replace(PETS, classes=("7", "8", "9"))
    body = b'{"labels": [{"id": "a", "label": 8}, {"id": "b", "label": "9"}]}'
    assert decode_labels(body, digits) == [Label("a", "8"), Label("b", "9")]
    with pytest.raises(BadData, match=r"label: found a number; expected the name of a class"):
        decode_labels(b'{"labels": [{"id": "a", "label": 6}]}', digits)


@pytest.mark.parametrize(
    ("task", "label", "found", "remedy"),
    [
        (PETS, '"owls"', "a text of 4 characters", "Did you mean 'owl'?"),
        (PETS, '""', "an empty text", "Known: cat, dog, owl."),
        (PETS, "true", "a boolean", "One of: cat, dog, owl."),
        (LATE, '"latte"', "a text of 5 characters", "Did you mean 'late'?"),
    ],
)
def test_what_is_no_class_is_told(task: Task, label: str, found: str, remedy: str) -> None:
    good = '{"id": "a", "label": "owl"}' if task is PETS else '{"id": "a", "label": true}'
    with pytest.raises(BadData) as caught:
        decode_labels(f'{{"labels": [{good}, {{"id": "b", "label": {label}}}]}}'.encode(), task)

    error = caught.value
    assert (error.where, error.found, error.remedy) == ("$.labels[1].label", found, remedy)
    assert error.expected.startswith("the name of a class")


@pytest.mark.parametrize(
    ("body", "where", "found", "expected"),
    [
        (
            '{"labels": [{"id": "a", "label": 1}]}',
            "$.labels[0].label",
            "a number",
            CLASSES,
        ),
        ('{"labels": [{"id": "a", "label": null}]}', "$.labels[0].label", "null", CLASSES),
        ('{"labels": [{"id": "a", "label": [1.5]}]}', "$.labels[0].label", "a list of 1", CLASSES),
        ('{"labels": [{"id": 1, "label": true}]}', "$.labels[0].id", "a number", "a text"),
        ('{"labels": [{"id": "a"}]}', "$.labels[0]", "no 'label'", "'label'"),
        ('{"labels": []}', "$.labels", "too short", "a list of at least 1"),
        (
            '{"labels": [{"id": "a", "lable": true}]}',
            "$.labels[0]",
            "a name that has no meaning here",
            "Did you mean 'label'?",
        ),
    ],
)
def test_a_misfit_is_told(body: str, where: str, found: str, expected: str) -> None:
    with pytest.raises(BadData) as caught:
        decode_labels(body.encode(), LATE)

    error = caught.value
    assert (error.where, error.found, error.expected) == (where, found, expected)


def test_several_labels_are_a_list_of_names_in_any_order() -> None:
    body = (
        b'{"labels": [{"id": "a", "label": ["crew", "delay", "crew"]}, {"id": "b", "label": []}]}'
    )
    assert decode_labels(body, ABOUT) == [Label("a", ["delay", "crew"]), Label("b", [])]


def test_a_number_is_sent_as_one() -> None:
    body = b'{"labels": [{"id": "a", "label": 7}, {"id": "b", "label": -2.5e3}]}'
    assert decode_labels(body, DELAY) == [Label("a", 7.0), Label("b", -2500.0)]


@pytest.mark.parametrize(
    ("task", "label", "where", "found", "expected", "remedy"),
    [
        (ABOUT, '"crew"', "", "a text of 4 characters",
         "a list of the names of classes, empty for a row that has none of them",
         'For example: ["crew"]'),
        (ABOUT, '"delay|crew"', "", "a text of 10 characters", "a list of the names",
         'For example: ["delay"]'),
        (ABOUT, "null", "", "null", "a list of the names", 'For example: ["delay"]'),
        (ABOUT, '["delay", "crow"]', "[1]", "a text of 4 characters", "the name of a class",
         "Did you mean 'crew'?"),
        (ABOUT, "[true]", "[0]", "a boolean", "the name of a class", "One of: delay, price, crew."),
        (DELAY, '"12.5"', "", "a text of 4 characters", "a finite number of minutes",
         "Send 'delay' as it turned out: a number, not a text."),
        (DELAY, "true", "", "a boolean", "a finite number of minutes",
         "Leave the row out until its number is known."),
        (DELAY, "null", "", "null", "a finite number", "Leave the row out"),
        (DELAY, "[1.5]", "", "a list of 1", "a finite number", "Leave the row out"),
        (DELAY, "1" + 400 * "0", "", "a number", "a finite number", "Leave the row out"),
        (DELAY, "1e999", "", "a number out of range", "a value that fits", "Correct the request"),
    ],
)  # fmt: skip
def test_what_is_no_label_of_its_kind_is_told(
    task: Task, label: str, where: str, found: str, expected: str, remedy: str
) -> None:
    with pytest.raises(BadData) as caught:
        decode_labels(f'{{"labels": [{{"id": "a", "label": {label}}}]}}'.encode(), task)

    error = caught.value
    assert error.where == f"$.labels[0].label{where}"
    assert error.found.startswith(found)
    assert error.expected.startswith(expected)
    assert error.remedy.startswith(remedy)


def test_not_a_number_is_no_json() -> None:
    with pytest.raises(BadUsage, match="NaN and trailing commas are not JSON"):
        decode_labels(b'{"labels": [{"id": "a", "label": NaN}]}', DELAY)


def test_what_is_not_json_is_not_called_a_misfit() -> None:
    with pytest.raises(BadUsage, match="expected JSON in UTF-8"):
        decode_labels(b"{", LATE)


def test_an_acknowledged_label_is_on_disk(tmp_path: Path) -> None:
    log, seen = open_log(tmp_path), threading.Event()
    found: list[bytes] = []

    def done(problem: Exception | None) -> None:
        assert problem is None
        found.append(content(tmp_path))
        seen.set()

    log.start()
    log.append("demo", [Label("a", True), Label("b", False)], done)
    assert seen.wait(10)
    log.close()

    assert [json.loads(line) for line in found[0].splitlines()] == [
        {"id": "a", "label": True, "at": 1700000000.5},
        {"id": "b", "label": False, "at": 1700000000.5},
    ]


def test_closing_writes_what_is_queued(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    problems: list[Exception | None] = []
    for number in range(50):
        log.append("demo", [Label(str(number), True)], problems.append)
    log.close()

    assert problems == [None] * 50
    assert len(content(tmp_path).splitlines()) == 50


def test_a_disk_that_does_not_take_labels_is_told(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("a file where the folder should be")
    log = open_log(tmp_path)
    problems: list[Exception | None] = []
    log.append("demo", [Label("a", True)], problems.append)
    log.close()

    (problem,) = problems
    assert isinstance(problem, NotReady)
    assert problem.where == "label log of demo"
    assert problem.found == "File exists"
    assert "make room and send them again" in problem.remedy
