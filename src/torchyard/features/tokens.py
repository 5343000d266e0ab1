"""Texts to token numbers, by the Hugging Face ``tokenizers`` library.

A learnt vocabulary is a ``tokenizers`` file too, so one way of splitting runs everywhere: Unicode
NFC, lower case, words apart from spaces and punctuation, every punctuation mark a word of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from torchyard.core.errors import BadRecord
from torchyard.records.training import HostStep

if TYPE_CHECKING:
    import polars as pl

Array = np.ndarray[Any, np.dtype[Any]]

PADDING, UNKNOWN = "[PAD]", "[UNK]"


@final
class Tokens:
    """Runs one ``tokenize`` step.

    Raises:
        BadRecord: the step's tokenizer cannot be read, or its length does not fit.
    """

    def __init__(self, step: HostStep, *, where: str) -> None:
        try:
            self._length = int(step.options["length"])
            self._tokenizer = open_tokenizer(str(step.options["tokenizer"]))
            set_length(self._tokenizer, self._length, int(step.options["padding"]))
            if step.shape != (self._length,):
                raise ValueError(f"shape {step.shape} for {self._length} tokens")
        except (KeyError, TypeError, ValueError) as error:
            raise BadRecord(
                where=f"{where}, field '{step.field}'",
                found=f"{type(error).__name__}: {error}",
                expected="length, padding and a tokenizers file",
                remedy="Restore the file from its release, or export the variant again.",
            ) from error

    def __call__(self, column: Array) -> Array:
        """``int64 [rows, length]`` of texts ``[rows, 1]``."""
        texts: list[str] = column[:, 0].tolist()
        if len(texts) == 1:
            return np.array([self._tokenizer.encode(texts[0]).ids], dtype=np.int64)
        encoded = self._tokenizer.encode_batch_fast(texts)
        numbers = np.array([item.ids for item in encoded], dtype=np.int64)
        return numbers.reshape(-1, self._length)


def open_tokenizer(text: str) -> Tokenizer:
    """Open a ``tokenizers`` file's text.

    Raises:
        ValueError: it is none.
    """
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the library raises bare exceptions
        raise ValueError(str(error)) from error


def set_length(tokenizer: Tokenizer, length: int, padding: int) -> None:
    """Have every text cut and padded to ``length`` tokens, on the side that its file says.

    Raises:
        ValueError: the tokenizer's own marks do not fit into the length.
    """
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
    """One more than the largest token number: the size of an embedding."""
    return int(max(tokenizer.get_vocab(with_added_tokens=True).values())) + 1


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
