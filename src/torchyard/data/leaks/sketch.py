"""Sketches of texts and pictures by which near duplicates meet in the same bucket.

Texts: MinHash (Broder, "On the resemblance and containment of documents", SEQUENCES 1997) over
shingles of five characters, with one permutation (Li, Owen and Zhang, "One permutation hashing",
NIPS 2012) and empty bins filled from the next (Shrivastava and Li, "Densifying one permutation
hashing via rotation", ICML 2014). Pictures: a difference hash, the signs of the brightness steps
along each row of the picture at nine by eight pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from torchyard.data.fingerprint import Digests, mixed
from torchyard.data.reading.opened import Unreadable, opened_picture

SHINGLE = 5
BINS = 64
BANDS_OF_TEXT = 16
BANDS_OF_PICTURE = 4
_BIN_BITS = 6
_EMPTY = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_BORROWED = np.uint64((1 << 58) + 1)
_RADIX = np.uint64(0x9E3779B97F4A7C15)
_BLOCK = 4096
_LEAST_STRUCTURE = 6


def text_sketches(texts: Sequence[str]) -> Digests:
    """The MinHash of each text, ``uint64 [texts, 64]``.

    The share of equal bins of two sketches estimates the share of equal shingles of two texts.

    Args:
        texts: of at least five characters.
    """
    blocks = [_sketch(texts[at : at + _BLOCK]) for at in range(0, len(texts), _BLOCK)]
    return np.concatenate(blocks) if blocks else np.zeros((0, BINS), dtype=np.uint64)


def text_bands(sketches: Digests) -> Digests:
    """Sixteen keys per text, ``uint64 [texts, 16]``, each of four bins.

    Two texts that share four fifths of their shingles agree in a key with probability 0.9998, two
    that share a quarter with 0.06.
    """
    bins = sketches.reshape(len(sketches), BANDS_OF_TEXT, -1)
    keys = np.zeros(bins.shape[:2], dtype=np.uint64)
    for place in range(bins.shape[2]):
        keys = mixed(keys ^ bins[:, :, place])
    return keys


def resemblance(first: str, second: str) -> float:
    """The share of shingles of either text that both have, 0 to 1.

    Example:
        >>> resemblance("an apple a day", "an apple a day")
        1.0
    """
    one, other = (
        {text[at : at + SHINGLE] for at in range(len(text) - SHINGLE + 1)}
        for text in (first, second)
    )
    return len(one & other) / max(len(one | other), 1)


def picture_hash(content: bytes) -> int | None:
    """The difference hash of a picture, 64 bits; None if it cannot be opened or is nearly plain."""
    from PIL import Image

    try:
        with opened_picture(content) as picture:
            picture.draft("L", (9 * 8, 8 * 8))
            small = picture.convert("L").resize((9, 8), Image.Resampling.BOX)
    except Unreadable:
        return None
    pixels = np.asarray(small, dtype=np.int16)
    bits = np.packbits(pixels[:, 1:] > pixels[:, :-1]).tobytes()
    found = int.from_bytes(bits)
    return found if _LEAST_STRUCTURE <= found.bit_count() <= 64 - _LEAST_STRUCTURE else None


def picture_bands(hashes: Digests) -> Digests:
    """Four keys of sixteen bits per picture, ``[pictures, 4]``.

    Hashes that differ in at most three bits agree in at least one.
    """
    shifts = np.arange(BANDS_OF_PICTURE, dtype=np.uint64) * np.uint64(16)
    return (hashes[:, None] >> shifts) & np.uint64(0xFFFF)


def _sketch(texts: Sequence[str]) -> Digests:
    characters = np.frombuffer("".join(texts).encode("utf-32-le"), dtype="<u4").astype(np.uint64)
    owner = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    count = len(characters) - SHINGLE + 1
    shingles = np.zeros(count, dtype=np.uint64)
    for place in range(SHINGLE):
        shingles = shingles * _RADIX + characters[place : place + count]
    within = owner[:count] == owner[SHINGLE - 1 :]
    values, rows = mixed(shingles[within]), owner[:count][within]
    bins = np.full((len(texts), BINS), _EMPTY, dtype=np.uint64)
    places = (values >> np.uint64(64 - _BIN_BITS)).astype(np.int64)
    np.minimum.at(bins, (rows, places), values & np.uint64((1 << 58) - 1))
    return _densified(bins)


def _densified(bins: Digests) -> Digests:
    """Empty bins take the next full one's value, marked by its distance."""
    for _ in range(BINS):
        following = np.roll(bins, -1, axis=1)
        borrow = (bins == _EMPTY) & (following != _EMPTY)
        if not borrow.any():
            break
        bins = np.where(borrow, following + _BORROWED, bins)
    return bins
