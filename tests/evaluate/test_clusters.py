"""Clusters of texts and pictures that are answered wrongly, planted and not."""

from __future__ import annotations

import numpy as np

from torchyard.evaluate.counting.sample import Bools, Indices
from torchyard.evaluate.weak.clusters import cluster_pictures, cluster_texts

TOPICS = {
    "parcel": "parcel courier delivery doorstep tracking depot shipped late",
    "refund": "refund money card charged invoice bank twice account",
    "shoes": "shoes size leather sole laces colour heel fit",
    "garden": "garden hose lawn seeds soil spade rake flowers",
}


def draw_texts(rows: int, *, seed: int) -> tuple[list[str], np.ndarray]:
    generator = np.random.default_rng(seed)
    topics = generator.integers(0, len(TOPICS), rows)
    words = [text.split() for text in TOPICS.values()]
    return [" ".join(generator.choice(words[topic], 6)) for topic in topics], topics


def draw_pictures(rows: int, *, seed: int) -> tuple[np.ndarray, Bools]:
    """Grey noise, a fifth of it with a bright upper half."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 120, (rows, 16, 16, 3)).astype(np.uint8)
    is_bright = generator.random(rows) < 0.2
    pixels[is_bright, :8] += 130
    return pixels, is_bright


def no_pictures(rows: Indices) -> tuple[str, ...]:
    return tuple(f"row {row}" for row in rows)


def test_texts_on_a_topic_that_is_answered_wrongly_are_found() -> None:
    texts, topics = draw_texts(600, seed=0)
    luck = np.random.default_rng(0).random(600)
    wrong = np.where(topics == 1, luck < 0.8, luck < 0.1)
    found = cluster_texts("note", texts, wrong, seed=0)
    assert found
    for one in found:
        assert set(one.words) & set(TOPICS["refund"].split())
        assert not set(one.words[:3]) - set(TOPICS["refund"].split())
        assert one.error_rate.low is not None
        assert one.error_rate.low > one.others
    assert sum(one.rows for one in found) > 0.8 * (topics == 1).sum()
    assert found == cluster_texts("note", texts, wrong, seed=0)


def test_a_bad_cluster_among_several_fields_must_be_surer() -> None:
    texts, topics = draw_texts(600, seed=1)
    wrong = (topics == 1) | (np.arange(600) % 10 == 0)
    alone, among = (cluster_texts("note", texts, wrong, seed=0, fields=n)[0] for n in (1, 50))
    assert alone.error_rate.low is not None
    assert among.error_rate.low is not None
    assert among.error_rate.low < alone.error_rate.low


def test_errors_at_random_make_no_cluster() -> None:
    texts, _ = draw_texts(400, seed=2)
    told = 0
    for seed in range(12):
        wrong = np.random.default_rng(seed).random(400) < 0.2
        told += bool(cluster_texts("note", texts, wrong, seed=0))
    assert told <= 3


def test_pictures_of_a_kind_that_is_answered_wrongly_are_found() -> None:
    pixels, is_bright = draw_pictures(400, seed=3)
    wrong = np.where(is_bright, np.arange(400) % 4 > 0, np.arange(400) % 12 == 0)
    found = cluster_pictures("photo", pixels, wrong, show=no_pictures, seed=0)
    shown = [int(name.split()[1]) for one in found for name in one.pictures]
    assert shown
    assert is_bright[shown].all()
    assert wrong[shown].all()
    assert all(len(one.pictures) <= 6 for one in found)
    assert sum(one.rows for one in found) > 0.8 * is_bright.sum()


def test_few_rows_the_same_rows_and_rows_without_words_make_no_cluster() -> None:
    wrong = np.arange(200) < 100
    assert cluster_texts("note", ["one text"] * 30, wrong[:30], seed=0) == ()
    assert cluster_texts("note", ["one text"] * 200, wrong, seed=0) == ()
    assert cluster_texts("note", [f"word{row}" for row in range(200)], wrong, seed=0) == ()
    same = np.zeros((200, 16, 16, 3), dtype=np.uint8)
    assert cluster_pictures("photo", same, wrong, show=no_pictures, seed=0) == ()
    assert cluster_pictures("photo", same[:30], wrong[:30], show=no_pictures, seed=0) == ()
