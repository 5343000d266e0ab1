"""Texts to token numbers, by the Hugging Face ``tokenizers`` library.

A learnt vocabulary is a ``tokenizers`` file too, so one way of splitting runs everywhere: Unicode
NFC, lower case, words apart from spaces and punctuation, every punctuation mark a word of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from torchyard.core.errors import BadModel, BadRecord
from torchyard.core.record import from_json
from torchyard.records.sizes import LARGEST_TOKENIZER_BYTES, MOST_CODES, MOST_TOKENS
from torchyard.records.training import HostStep

if TYPE_CHECKING:
    import polars as pl

Array = np.ndarray[Any, np.dtype[Any]]

PADDING, UNKNOWN = "[PAD]", "[UNK]"
_NUMBERS = 1 << 32  # the library's tokens are 32 bits


@final
class Tokens:
    """Runs one ``tokenize`` step.

    Raises:
        BadRecord: the step has other options, its tokenizer cannot be read or does not work, or its
            length does not fit.
    """

    def __init__(self, step: HostStep, *, where: str) -> None:
        where = f"{where}, field '{step.field}'"
        options = from_json(_Options, step.options, where=f"{where}, options")
        self._field = step.field
        self._length = options.length
        try:
            if (step.dtype, step.shape) != ("int64", (options.length,)):
                raise ValueError(f"{step.dtype} {list(step.shape)} for {options.length} tokens")
            self._tokenizer = open_tokenizer(options.tokenizer)
            set_length(self._tokenizer, options.length, options.padding)
        except ValueError as error:
            raise BadRecord(
                where=where,
                found=str(error),
                expected="length, padding and a tokenizers file",
                remedy="Restore the file from its release, or export the variant again.",
            ) from error

    def __call__(self, column: Array) -> Array:
        """``int64 [rows, length]`` of texts ``[rows, 1]``.

        Raises:
            BadModel: the tokenizer fails on a text, for example because its regular expression
                takes more than ten million steps.
        """
        try:
            return _numbers(self._tokenizer, column[:, 0].tolist(), self._length)
        except ValueError as error:
            raise BadModel(
                where=f"the tokenizer of field '{self._field}'",
                found=str(error),
                expected=f"{self._length} token numbers of every text",
                remedy="Leave the text out, or train with another tokenizer.",
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    length: int
    padding: int
    tokenizer: str


def open_tokenizer(text: str) -> Tokenizer:
    """Open a ``tokenizers`` file's text.

    Raises:
        ValueError: it is none, is too large, or splits words by chance.
    """
    if len(text) > LARGEST_TOKENIZER_BYTES:
        raise ValueError(
            f"{len(text) >> 20} MiB where {LARGEST_TOKENIZER_BYTES >> 20} are the most"
        )
    tokenizer: Tokenizer = _guarded(Tokenizer.from_str, text)
    if getattr(tokenizer.model, "dropout", None):
        raise ValueError("a tokenizer that leaves merges out by chance (dropout)")
    return tokenizer


def set_length(tokenizer: Tokenizer, length: int, padding: int) -> None:
    """Have every text cut and padded to ``length`` tokens, on the side that its file says.

    Raises:
        ValueError: the length is out of range or the tokenizer's own marks do not fit into it, the
            padding is no token number, or the tokenizer fails on a first text.
    """
    if not (1 <= length <= MOST_TOKENS and 0 <= padding < _NUMBERS):
        raise ValueError(f"{length} tokens, padded with {padding}; {MOST_TOKENS:,} are the most")
    cut, fill = tokenizer.truncation or {}, tokenizer.padding or {}
    marks = tokenizer.num_special_tokens_to_add(False)
    if length <= marks:
        raise ValueError(f"{length} tokens, of which the tokenizer's own marks take {marks}")
    tokenizer.enable_truncation(length, direction=str(cut.get("direction", "right")).lower())
    tokenizer.enable_padding(
        length=length,
        pad_id=padding,
        pad_token=tokenizer.id_to_token(padding) or PADDING,
        direction=str(fill.get("direction", "right")).lower(),
    )
    _numbers(tokenizer, ["", "a first text"], length)


def _numbers(tokenizer: Tokenizer, texts: list[str], length: int) -> Array:
    """``int64 [texts, length]``; ValueError where the tokenizer fails or makes another number."""
    if len(texts) == 1:
        rows = [_guarded(tokenizer.encode, texts[0]).ids]
    else:
        rows = [item.ids for item in _guarded(tokenizer.encode_batch_fast, texts)]
    return np.array(rows, dtype=np.int64).reshape(len(texts), length)


def _guarded(call: Callable[[Any], Any], argument: object) -> Any:
    """Call the library; all that it raises as ValueError."""
    try:
        return call(argument)
    except Exception as error:  # the library raises bare exceptions
        raise ValueError(str(error)) from error
    except BaseException as error:
        # where its native code gives up it raises a kind that stands beside Exception
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"the tokenizer gave up: {error}") from error


def padding_of(tokenizer: Tokenizer) -> int:
    """The number that a tokenizer's file pads with: its setting, its ``[PAD]``, or 0."""
    if tokenizer.padding:
        return int(tokenizer.padding["pad_id"])
    for name in (PADDING, "<pad>"):
        number = tokenizer.token_to_id(name)
        if number is not None:
            return int(number)
    return 0


def count_numbers(tokenizer: Tokenizer) -> int:
    """One more than the largest token number: the size of an embedding.

    Raises:
        ValueError: there are no tokens, or more than ``MOST_CODES``.
    """
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if not 0 <= largest < MOST_CODES:
        raise ValueError(f"{largest + 1:,} token numbers where {MOST_CODES:,} are the most")
    return int(largest) + 1


def learnt_tokenizer(words: Sequence[str]) -> Tokenizer:
    """A tokenizer of these words: 0 padding, 1 unknown, from 2 on the words in order."""
    vocabulary = {word: number for number, word in enumerate([PADDING, UNKNOWN, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    return tokenizer


def counted_words(series: pl.Series) -> Iterable[tuple[str, int]]:
    """The words of some texts with their counts, as ``learnt_tokenizer`` splits them."""
    tokenizer = learnt_tokenizer(())
    counts: Counter[str] = Counter()
    for text in series.drop_nulls():
        plain = tokenizer.normalizer.normalize_str(text)
        counts.update(word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(plain))
    return counts.items()
