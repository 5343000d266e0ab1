"""Notes about an epoch: what is told, in what words, and that ordinary runs tell nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.records.training import Epoch
from torchyard.train.notes import epoch_notes, spikes


def curve(*losses: tuple[float, float]) -> list[Epoch]:
    return [
        Epoch(number=number, train_loss=train, validation_loss=validation, seconds=1.0)
        for number, (train, validation) in enumerate(losses, start=1)
    ]


def ordinary(steps: int, seed: int = 0) -> list[float]:
    draw = np.random.default_rng(seed)
    falling = 0.4 + 0.3 * np.exp(-np.arange(steps) / 50)
    return list(falling + 0.03 * draw.standard_normal(steps))


def notes(losses: list[float], steps: int, epochs: list[Epoch], said: list[str]) -> list[str]:
    return epoch_notes(losses, steps=steps, curve=epochs, said=said)


def test_a_spike_is_told_with_its_step_and_numbers() -> None:
    losses = ordinary(100)
    losses[70] = 5.0
    (note,) = notes(losses, 60, curve((0.7, 0.7), (0.5, 0.6)), [])
    assert note.startswith("spike: epoch 2, step 31: loss 5 after 0.5147")
    assert note.endswith("(median of 32 steps)")


def test_several_spikes_are_one_note() -> None:
    losses = ordinary(100)
    losses[60], losses[70] = 4.0, 5.0
    (note,) = notes(losses, 60, curve((0.7, 0.7)), [])
    assert "step 31: loss 5" in note
    assert note.endswith("the highest of 2 such steps")


def test_a_spike_of_the_epoch_before_is_not_told_again() -> None:
    losses = ordinary(100)
    losses[39] = 9.0
    assert notes(losses, 60, curve((0.7, 0.7)), []) == []


@pytest.mark.parametrize("seed", range(5))
def test_an_ordinary_falling_loss_tells_nothing(seed: int) -> None:
    assert spikes(np.array(ordinary(2000, seed))) == []


def test_losses_of_small_batches_have_tails_that_are_no_spikes() -> None:
    draw = np.random.default_rng(1)
    assert len(spikes(draw.gamma(2.0, 0.2, 5000))) <= 2


def test_too_few_steps_to_compare_with_tell_nothing() -> None:
    assert notes([0.7, 90.0, 0.6], 3, curve((30.0, 0.7)), []) == []


def plainly(losses: np.ndarray) -> list[int]:
    found = []
    for place in range(32, len(losses)):
        before = losses[place - 32 : place]
        middle = np.median(before)
        deviation = 1.4826 * np.median(np.abs(before - middle))
        if losses[place] > middle + 12 * deviation and losses[place] > 2 * abs(middle):
            found.append(place)
    return found


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 10), min_size=0, max_size=120))
def test_the_fast_way_finds_what_the_plain_one_does(losses: list[float]) -> None:
    assert spikes(np.array(losses)) == plainly(np.array(losses))


def test_a_plateau_is_told_once_with_its_noise() -> None:
    still = curve((0.6, 0.60), (0.5, 0.5001), (0.5, 0.5), (0.5, 0.5002), (0.5, 0.5001))
    losses = ordinary(500)
    (note,) = notes(losses, 100, still, [])
    assert note.startswith("plateau: validation loss 0.5001 to 0.5001 since epoch 2, no more than")
    assert notes(losses, 100, still, [note]) == []


def test_a_loss_that_moves_by_more_than_noise_is_no_plateau() -> None:
    moving = curve((0.6, 0.60), (0.5, 0.55), (0.5, 0.52), (0.5, 0.50), (0.5, 0.48))
    assert notes(ordinary(500), 100, moving, []) == []


def test_the_start_of_overfitting_is_told_once() -> None:
    apart = curve((0.6, 0.55), (0.5, 0.50), (0.4, 0.52), (0.3, 0.56))
    (note,) = notes(ordinary(400), 100, apart, [])
    assert note == (
        "overfitting: since epoch 2 training loss fell from 0.5 to 0.3 while validation rose "
        "from 0.5 to 0.56"
    )
    assert notes(ordinary(400), 100, apart, [note]) == []


def test_a_validation_loss_that_rises_with_the_training_loss_is_not_overfitting() -> None:
    both = curve((0.6, 0.55), (0.5, 0.50), (0.55, 0.52), (0.57, 0.56))
    assert notes(ordinary(400), 100, both, []) == []


def test_a_single_step_per_epoch_has_no_noise_to_measure() -> None:
    still = curve(*[(0.5, 0.5)] * 4)
    assert notes([0.5] * 4, 1, still, [])[0].startswith("plateau: ")
