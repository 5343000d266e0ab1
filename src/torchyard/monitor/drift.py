"""Drift: has a field moved so far that it matters, and is that more than chance?

Both must hold: an effect size that people agreed on beforehand, and a test corrected over
everything that is tested in the window. So a large sample does not cry wolf over nothing, and a
small one not over noise. What the numbers mean in words is ``explain``'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from torchyard.monitor.explain import Cause, explain
from torchyard.records.dataset import FieldProfile, Profile
from torchyard.records.live import FieldDrift

Floats = npt.NDArray[np.float64]

# Cochran 1954: a chi-squared test is sound from five expected rows in a cell.
EXPECTED_ROWS = 5.0
SMOOTHING_ROWS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From where on a change matters.

    Attributes:
        psi: the population stability index; 0.2 is the customary "significant shift" of credit
            scoring (Siddiqi 2006, chapter 9).
        missing_rise: a missing share that rose by this, and at least doubled.
        unseen_rise: a share of rows with values that the reference never had, risen by this.
        fewest_rows: missing or unseen rows below which nothing is said.
        p_value: largest corrected p-value that counts as more than chance.
    """

    psi: float = 0.2
    missing_rise: float = 0.05
    unseen_rise: float = 0.05
    fewest_rows: int = 5
    p_value: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A field's drift and the cause that weighs most; None when it did not drift."""

    drift: FieldDrift
    cause: Cause | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One thing that is tested about a field: its values, its missing or its unseen rows."""

    cause: Cause
    matters: bool
    p_value: float


def compared(reference: Profile, current: Profile) -> tuple[tuple[FieldProfile, FieldProfile], ...]:
    """Every field of the current profile, and every part of one, beside the reference's.

    A part is called by its field's name and its own, as in ``review characters``.
    """
    known = {field.name: field for field in reference.fields}
    pairs = []
    for field in current.fields:
        pairs.append((known[field.name], field))
        parts = {part.name: part for part in known[field.name].parts}
        for part in field.parts:
            if part.name in parts:
                name = f"{field.name} {part.name}"
                pairs.append((replace(parts[part.name], name=name), replace(part, name=name)))
    return tuple(pairs)


def judge(
    pairs: Sequence[tuple[FieldProfile, FieldProfile]],
    *,
    unseen: Mapping[str, Mapping[str, int]],
    limits: Limits,
) -> tuple[Judgement, ...]:
    """Judge all fields of a window together.

    Per field up to three tests: chi-squared over the bins of present values, and one-sided exact
    tests (hypergeometric, Fisher 1935) of the missing and of the unseen share. P-values are
    corrected over all tests of the window (Benjamini and Hochberg 1995); a field's is the smallest
    of its own. Under no change anywhere the chance of any drift in a window is thus at most
    ``limits.p_value``, before the effect size is asked for as well.

    Args:
        pairs: per field the reference's profile and the window's, in the same bins.
        unseen: field to values that the reference does not list, with their rows.
        limits: from where on a change matters.
    """
    from scipy.stats import false_discovery_control

    parts = [_parts(reference, current, limits) for reference, current in pairs]
    raw = [part.p_value for own in parts for part in own]
    corrected = iter(false_discovery_control(raw, method="bh").tolist() if raw else [])
    judged = []
    for (reference, current), own in zip(pairs, parts, strict=True):
        p_values = [float(next(corrected)) for _ in own]
        causes = tuple(
            part.cause
            for part, p_value in zip(own, p_values, strict=True)
            if part.matters and p_value < limits.p_value
        )
        values = unseen.get(current.name, {})
        explanation, cause = explain(reference, current, causes=causes, unseen=values)
        drift = FieldDrift(
            name=current.name,
            psi=population_stability_index(reference, current),
            p_value=min(p_values, default=1.0),
            missing=current.missing / max(current.rows, 1),
            missing_reference=reference.missing / max(reference.rows, 1),
            drifted=bool(causes),
            explanation=explanation,
        )
        judged.append(Judgement(drift=drift, cause=cause))
    return tuple(judged)


def population_stability_index(reference: FieldProfile, current: FieldProfile) -> float:
    """How far the distribution of present values moved, freed from what chance alone adds.

    ``sum((p - q) * ln(p / q))`` over cells, with shares p of N current and q of M reference values
    and half a row added to every cell; cells with fewer than five expected rows are pooled first.
    Without a change its expectation is ``(cells - 1) * (1/N + 1/M)`` (Yurdakul and Naranjo 2020,
    "Statistical properties of the population stability index": it is chi-squared times
    1/N + 1/M); that is subtracted and the rest cut off at 0.

    Args:
        reference: a field's profile.
        current: the same field's, in the same bins.
    """
    before, after = cells(reference, current)
    if before.size < 2:
        return 0.0
    q = (before + SMOOTHING_ROWS) / (before + SMOOTHING_ROWS).sum()
    p = (after + SMOOTHING_ROWS) / (after + SMOOTHING_ROWS).sum()
    by_chance = (before.size - 1) * (1 / after.sum() + 1 / before.sum())
    return max(0.0, float(((p - q) * np.log(p / q)).sum()) - float(by_chance))


def cells(reference: FieldProfile, current: FieldProfile) -> tuple[Floats, Floats]:
    """Counts of present values, bins with fewer than five expected rows pooled.

    Expected is by the reference's shares and the smaller of the two sets, never by the current
    counts, so pooling favours no outcome. Bins of a line are pooled with their neighbours,
    categories and hours with the next rarer ones. The two arrays have one element when nothing can
    be compared.
    """
    before = np.array([*reference.counts, reference.other], dtype=np.float64)
    after = np.array([*current.counts, current.other], dtype=np.float64)
    if before.sum() == 0 or after.sum() == 0:
        return np.zeros(1), np.zeros(1)
    if not reference.edges:
        rarest_last = np.argsort(-before, kind="stable")
        before, after = before[rarest_last], after[rarest_last]
    expected = np.cumsum(before) / before.sum() * min(before.sum(), after.sum())
    starts = [0]
    for place in range(1, before.size):
        so_far = expected[place - 1] - (expected[starts[-1] - 1] if starts[-1] else 0.0)
        if so_far >= EXPECTED_ROWS and expected[-1] - expected[place - 1] >= EXPECTED_ROWS:
            starts.append(place)
    return np.add.reduceat(before, starts), np.add.reduceat(after, starts)


def _parts(reference: FieldProfile, current: FieldProfile, limits: Limits) -> list[_Part]:
    """What can be tested about a field; nothing where either side has no rows."""
    if not reference.rows or not current.rows:
        return []
    before, after = cells(reference, current)
    psi = population_stability_index(reference, current)
    parts = [_Part(cause="values", matters=psi >= limits.psi, p_value=_chi_squared(before, after))]
    missing, known_missing = current.missing / current.rows, reference.missing / reference.rows
    if current.missing:
        matters = (
            current.missing >= limits.fewest_rows
            and missing - known_missing >= limits.missing_rise
            and missing >= 2 * known_missing
        )
        p_value = _by_chance(reference.missing, reference.rows, current.missing, current.rows)
        parts.append(_Part(cause="missing", matters=matters, p_value=p_value))
    new, known_new = unseen_rows(reference, current), reference.other
    if new:
        matters = (
            new >= limits.fewest_rows
            and new / current.rows - known_new / reference.rows >= limits.unseen_rise
        )
        p_value = _by_chance(known_new, reference.rows, new, current.rows)
        parts.append(_Part(cause="unseen", matters=matters, p_value=p_value))
    return parts


def unseen_rows(reference: FieldProfile, current: FieldProfile) -> int:
    """Rows whose value the reference does not list, or lies in a bin where it has none.

    None of words: a reference lists only the frequent ones, so the others need not be new.
    """
    if reference.kind == "text":
        return 0
    empty = (now for now, was in zip(current.counts, reference.counts, strict=True) if was == 0)
    return current.other + sum(empty)


def _chi_squared(before: Floats, after: Floats) -> float:
    """The two-sample chi-squared test's p-value; 1 where there is only one cell."""
    from scipy.special import chdtrc

    if before.size < 2:
        return 1.0
    ratio = np.sqrt(before.sum() / after.sum())
    statistic = ((after * ratio - before / ratio) ** 2 / (before + after)).sum()
    return float(chdtrc(before.size - 1, statistic))


def _by_chance(known: int, known_rows: int, found: int, rows: int) -> float:
    """The chance of finding at least as many in the window if they fell anywhere."""
    from scipy.stats import hypergeom

    chance = hypergeom.sf(found - 1, known_rows + rows, known + found, rows)
    return min(1.0, max(0.0, float(chance)))
