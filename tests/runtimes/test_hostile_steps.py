"""Host steps that a hostile file lists: refused when it is opened, before anything is made of them.

The graph is sound and takes what a plain file's step makes, so that nothing but the steps
themselves can be what is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from torchyard.core.digest import canonical_json
from torchyard.core.errors import BadModel, BadRecord, BadUsage
from torchyard.features import host, tokens
from torchyard.features.host import HOST_STEPS
from torchyard.runtimes import open_model

Step = dict[str, Any]
Change = Callable[[Step], Any]

TOKENIZER: Step = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
    "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
    "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "a": 1}, "unk_token": "[UNK]"},
}  # fmt: skip


def a_tokenizer(**changes: Any) -> str:
    return json.dumps({**TOKENIZER, **changes})


def tokenize(**changes: Any) -> Step:
    options = {"length": 4, "padding": 0, "tokenizer": a_tokenizer(), **changes.pop("options", {})}
    step = {
        "output": "host/x", "field": "note", "operation": "tokenize", "dtype": "int64",
        "shape": [4], "options": options,
    }  # fmt: skip
    return {**step, **changes}


def decode_image(**changes: Any) -> Step:
    step = {
        "output": "host/x", "field": "photo", "operation": "decode_image", "dtype": "uint8",
        "shape": [2, 3, 1], "options": {"resize": "stretch"},
    }  # fmt: skip
    return {**step, **changes}


def write_file(
    path: Path,
    text: str,
    *,
    kind: int = TensorProto.INT64,
    shape: tuple[int | str, ...] = ("rows", 4),
) -> Path:
    """A file whose one input is ``host/x``; it answers [0, 1] for every row."""
    rest = range(1, len(shape))
    axes = helper.make_tensor("axes", TensorProto.INT64, [len(rest)], rest)
    nodes = [
        helper.make_node("Cast", ["host/x"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["wide", "axes"], ["sum"], keepdims=1),
        helper.make_node("Reshape", ["sum", "column"], ["flat"]),
        helper.make_node("Sub", ["flat", "flat"], ["zero"]),
        helper.make_node("Exp", ["zero"], ["one"]),
        helper.make_node("Concat", ["zero", "one"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "host",
        [helper.make_tensor_value_info("host/x", kind, shape)],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", 2])],
        [axes, helper.make_tensor("column", TensorProto.INT64, [2], [-1, 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {HOST_STEPS: text})
    onnx.save(model, str(path))
    return path


def write_steps(path: Path, *steps: Step, **graph: Any) -> Path:
    return write_file(path, canonical_json(list(steps)).decode(), **graph)


def texts(*values: object) -> np.ndarray[Any, np.dtype[Any]]:
    column = np.empty((len(values), 1), dtype=object)
    column[:, 0] = values
    return column


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


def test_the_files_before_any_attack_answer(path: Path) -> None:
    model = open_model(write_steps(path, tokenize()))
    assert model.inputs == ("note",)
    assert model.run({"note": texts("a b", "")}).tolist() == [[0, 1], [0, 1]]
    pictures = write_steps(path, decode_image(), kind=TensorProto.UINT8, shape=("rows", 2, 3, 1))
    assert open_model(pictures).run({"photo": texts(b"")}).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected host steps as canonical JSON"),
        ("null", "found NoneType; expected a list"),
        ('{"output":"host/x"}', "found dict; expected a list"),
        ("[1]", "found int; expected a HostStep object"),
        ("[" * 100_000, "maximum recursion depth"),
        ('{"a":' * 100_000, "maximum recursion depth"),
        ("[NaN]", "not JSON compliant"),
        ("[1e999]", "not JSON compliant"),
        ("[" + "9" * 5000 + "]", "Exceeds the limit"),
        ('["\\ud800"]', "surrogates not allowed"),
        ("[ ]", "JSON in another form"),
    ],
)
def test_what_is_no_list_of_steps_is_refused(path: Path, text: str, said: str) -> None:
    with pytest.raises(BadRecord, match=said) as caught:
        open_model(write_file(path, text))
    assert caught.value.where.startswith(f"{path}, metadata torchyard.host_steps")
    assert caught.value.remedy


def test_a_name_twice_is_refused(path: Path) -> None:
    text = canonical_json([tokenize()]).decode()
    twice = text.replace('"field":"note"', '"field":"note","field":"other"')
    with pytest.raises(BadRecord, match="or with a name twice"):
        open_model(write_file(path, twice))


def test_more_than_the_largest_metadata_is_refused_unread(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "LARGEST_STEPS_BYTES", 1 << 20)
    with pytest.raises(BadRecord, match=r"found 3 MiB; expected .* of at most 1 MiB"):
        open_model(write_file(path, "[" * (3 << 20)))


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (tokenize(operation="import"), r"operation: found 'import'; expected 'tokenize' or"),
        (tokenize(operation=["tokenize"]), "operation: found"),
        (tokenize(dtype="float32"), "dtype: found 'float32'"),
        (tokenize(shape=["4"]), r"shape\[0\]: found '4'; expected int"),
        (tokenize(shape=[4.0]), r"shape\[0\]: found 4.0; expected int"),
        (tokenize(shape=[True]), r"shape\[0\]: found True; expected int"),
        (tokenize(shape=4), "shape: found int; expected a list"),
        (tokenize(field=None), "field: found None; expected str"),
        ({**tokenize(), "options": []}, "options: found list; expected an object"),
        (tokenize(more=1), "unknown field 'more'"),
        (tokenize(output="host/y"), "output 'host/y': found no such input"),
        (tokenize(output=""), "output '': found no such input"),
        (tokenize(shape=[5]), r"an input tensor\(int64\) \['rows', 4\]; .*int64\) \[rows, 5\]"),
        (tokenize(shape=[]), "expected an input of the graph"),
        (tokenize(shape=[4, 1]), r"\[rows, 4, 1\]"),
        (tokenize(shape=[10**9]), r"\[rows, 1000000000\]"),
        (decode_image(), r"an input tensor\(int64\) .*tensor\(uint8\) \[rows, 2, 3, 1\]"),
        (decode_image(dtype="int64", shape=[4]), r"found int64 \[4\]; expected uint8 \[height"),
    ],
)
def test_a_step_that_the_graph_does_not_take_is_refused(path: Path, step: Step, said: str) -> None:
    with pytest.raises(BadRecord, match=said):
        open_model(write_steps(path, step))


def test_two_steps_that_make_the_same_are_refused(path: Path) -> None:
    steps = tokenize(), tokenize(field="other")
    with pytest.raises(BadRecord, match="output 'host/x': found no such input, or one made alre"):
        open_model(write_steps(path, *steps))


@pytest.mark.parametrize("shape", [(7, 4), (), ("rows",)])
def test_an_input_without_free_rows_is_refused(path: Path, shape: tuple[Any, ...]) -> None:
    with pytest.raises(BadRecord, match=r"found an input tensor\(int64\)"):
        open_model(write_steps(path, tokenize(), shape=shape))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"length": "4"}, "options.length: found '4'; expected int"),
        ({"length": 4.0}, "options.length: found 4.0; expected int"),
        ({"length": True}, "options.length: found True"),
        ({"length": None}, "options.length: found None"),
        ({"length": 10**9}, r"int64 \[4\] for 1000000000 tokens"),
        ({"length": -4}, r"int64 \[4\] for -4 tokens"),
        ({"padding": "0"}, "options.padding: found '0'"),
        ({"padding": -1}, "4 tokens, padded with -1"),
        ({"padding": 1 << 32}, "padded with 4294967296"),
        ({"padding": 10**30}, "padded with 10000"),
        ({"tokenizer": {"type": "x"}}, "options.tokenizer: found {'type': 'x'}; expected str"),
        ({"tokenizer": ""}, "found .*; expected length, padding and a tokenizers file"),
        ({"tokenizer": "[" * 1_000_000}, "expected length, padding and a tokenizers file"),
        ({"tokenizer": '{"a":' * 100_000}, "expected length, padding and a tokenizers file"),
        ({"direction": "left"}, "unknown field 'direction'; expected one of length, padding, tok"),
    ],
)
def test_other_options_are_refused(path: Path, options: Step, said: str) -> None:
    with pytest.raises(BadRecord, match=said) as caught:
        open_model(write_steps(path, tokenize(options=options)))
    assert f"{path}, field 'note'" in caught.value.where


@pytest.mark.parametrize("name", ["length", "padding", "tokenizer"])
def test_a_missing_option_is_refused(path: Path, name: str) -> None:
    step = tokenize()
    del step["options"][name]
    with pytest.raises(BadRecord, match=f"options: found no field '{name}'"):
        open_model(write_steps(path, step))


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (0, "0 tokens, padded with 0; 131,072 are the most"),
        (131_073, "131073 tokens, padded with 0; 131,072 are the most"),
        (10**9, "1000000000 tokens, padded with 0; 131,072 are the most"),
    ],
)
def test_a_length_beyond_the_limit_is_refused_though_the_graph_takes_it(
    path: Path, length: int, said: str
) -> None:
    step = tokenize(shape=[length], options={"length": length})
    with pytest.raises(BadRecord, match=said):
        open_model(write_steps(path, step, shape=("rows", length)))


@pytest.mark.parametrize(
    "shape", [[100_000, 100_000, 3], [10**9, 1, 1], [0, 2, 1], [2, 2, 2], [-1, -1, 1], [2, 2], [2]]
)
def test_a_picture_beyond_the_limit_is_refused_though_the_graph_takes_it(
    path: Path, shape: list[int]
) -> None:
    graph = {"kind": TensorProto.UINT8, "shape": ("rows", *shape)}
    step = decode_image(shape=shape)
    with pytest.raises(BadRecord, match=r"uint8 \[height, width, 1 or 3\], at most 16,777,216|\["):
        open_model(write_steps(path, step, **graph))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"resize": "melt"}, "options.resize: found 'melt'; expected 'stretch' or 'crop' or 'pad'"),
        ({"resize": ["pad"]}, "options.resize: found"),
        ({}, "options: found no field 'resize'"),
        ({"resize": "pad", "filter": 3}, "options: found unknown field 'filter'"),
    ],
)
def test_other_options_of_a_picture_are_refused(path: Path, options: Step, said: str) -> None:
    graph = {"kind": TensorProto.UINT8, "shape": ("rows", 2, 3, 1)}
    with pytest.raises(BadRecord, match=said):
        open_model(write_steps(path, decode_image(options=options), **graph))


def template(*pieces: Step, ids: int = 1) -> Step:
    mark = {"id": "[X]", "ids": [1] * ids, "tokens": ["a"] * ids}
    return {
        "type": "TemplateProcessing", "single": list(pieces), "pair": [],
        "special_tokens": {"[X]": mark},
    }  # fmt: skip


MARK = {"SpecialToken": {"id": "[X]", "type_id": 0}}
UNKNOWN_MARK = {"SpecialToken": {"id": "[Y]", "type_id": 0}}
SECOND_TEXT = {"Sequence": {"id": "B", "type_id": 0}}
BERT = {"type": "BertProcessing", "sep": ["x", 4], "cls": ["y", 4]}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        # the library gives up on these in its native code, some only when it reads a first text
        ({"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}}, "gave up"),
        ({"normalizer": {"type": "Precompiled", "precompiled_charsmap": "BAAAAP////8AAAA="}},
         "gave up"),
        ({"pre_tokenizer": {"type": "FixedLength", "length": 0}}, "gave up: chunk size"),
        ({"post_processor": template(UNKNOWN_MARK)}, "gave up: no entry found"),
        ({"post_processor": template(SECOND_TEXT)}, "gave up"),
        # these make another number of tokens than they were cut and padded to
        ({"post_processor": template(MARK, ids=7)}, "own marks take 7"),
        ({"post_processor": {"type": "Sequence", "processors": [BERT, BERT, BERT]}},
         "own marks take 6"),
        ({"model": {"type": "Unigram", "unk_id": None, "vocab": []}}, "unk_id"),
        ({"model": {"type": "Unigram", "unk_id": 7, "vocab": [["a", 0.0]]}}, "UnkIdNotInVocab"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}}, "out of vocabulary"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 0.5}}, "by chance"),
        ({"model": {"type": "WordLevel", "vocab": {"a": -1}, "unk_token": "a"}}, "integer `-1`"),
        ({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated",
                            "invert": False}}, "end pattern with unmatched parenthesis"),
    ],
)  # fmt: skip
def test_a_tokenizer_that_does_not_work_is_refused(path: Path, changes: Step, said: str) -> None:
    step = tokenize(options={"tokenizer": a_tokenizer(**changes)})
    with pytest.raises(BadRecord, match=said) as caught:
        open_model(write_steps(path, step))
    assert caught.value.where == f"{path}, field 'note'"
    assert caught.value.expected == "length, padding and a tokenizers file"


def test_a_large_tokenizer_is_refused_unopened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "LARGEST_TOKENIZER_BYTES", 1 << 20)
    step = tokenize(options={"tokenizer": " " * (2 << 20) + a_tokenizer()})
    with pytest.raises(BadRecord, match="found 2 MiB where 1 are the most"):
        open_model(write_steps(path, step))


def splitting(pattern: str) -> Step:
    split = {
        "type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False
    }  # fmt: skip
    return tokenize(options={"tokenizer": a_tokenizer(pre_tokenizer=split)})


def test_an_exploding_regular_expression_ends_in_a_refusal_of_the_text(path: Path) -> None:
    model = open_model(write_steps(path, splitting("(a+)+$")))
    bad = "a" * 60 + "!"
    for column in (texts(bad), texts("a", bad, "b")):
        with pytest.raises(BadModel, match="retry-limit-in-match over") as caught:
            model.run({"note": column})
        assert caught.value.where == "the tokenizer of field 'note'"
        assert caught.value.expected == "4 token numbers of every text"
    assert model.run({"note": texts("a", "b")}).tolist() == [[0, 1], [0, 1]]


def test_a_regular_expression_that_is_large_when_written_out_opens_small(path: Path) -> None:
    pattern = "(((((a|b){1000}){1000}){1000}){1000}){1000}"
    model = open_model(write_steps(path, splitting(pattern)))
    assert model.run({"note": texts("ab")}).shape == (1, 2)


@pytest.mark.parametrize("field", ["", "../../etc/passwd", "/etc/passwd", "a\nb", "host/x"])
def test_a_field_is_a_name_and_nothing_else(path: Path, field: str) -> None:
    """It is looked up among the columns that were passed; no file, no other place has it."""
    model = open_model(write_steps(path, tokenize(field=field)))
    assert model.inputs == (field,)
    with pytest.raises(BadUsage, match="found no column"):
        model.run({"note": texts("a")})
    assert model.run({field: texts("a")}).shape == (1, 2)


def test_a_field_of_another_kind_is_refused(path: Path) -> None:
    model = open_model(write_steps(path, tokenize()))
    with pytest.raises(BadUsage, match="field 'note': found a raw column of float64; expected tex"):
        model.run({"note": np.ones((2, 1))})
    with pytest.raises(BadModel, match="the tokenizer of field 'note'"):
        model.run({"note": texts(b"\xff", b"\x00")})
