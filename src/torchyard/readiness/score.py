"""The ML Test Score: points by test, sums by section, and the smallest of them.

Eric Breck, Shanqing Cai, Eric Nielsen, Michael Salib, D. Sculley: "The ML Test Score: A Rubric for
ML Production Readiness and Technical Debt Reduction", IEEE Big Data 2017, section VI.
"""

from __future__ import annotations

from torchyard.readiness import data, infrastructure, model, monitoring
from torchyard.readiness.found import Question
from torchyard.readiness.known import Known
from torchyard.records.readiness import Answer, Readiness, ReadinessTest

SECTIONS: dict[str, tuple[Question, ...]] = {
    "data": data.QUESTIONS,
    "model": model.QUESTIONS,
    "infrastructure": infrastructure.QUESTIONS,
    "monitoring": monitoring.QUESTIONS,
}
_POINTS: dict[Answer, float] = {"automatic": 1.0, "manual": 0.5, "missing": 0.0}
# what the paper reads from a score above each of these, in short
_READINGS = (
    (5.0, "Exceptional: tested and watched by itself throughout."),
    (3.0, "Strong: most tests run by themselves."),
    (2.0, "Reasonable, but more could run by itself."),
    (1.0, "A first step towards production; more is needed."),
    (0.0, "Not untested, but look for serious holes."),
)
_RESEARCH = "A research project rather than a product."


def score(known: Known) -> Readiness:
    """Answer the 28 tests and add up.

    Half a point for a test that is done by hand, one for a test that is done by itself; a section's
    points are their sum, the score is the smallest section's.
    """
    tests, sections = [], {}
    for section, questions in SECTIONS.items():
        points = 0.0
        for question in questions:
            found = question.answer(known)
            points += _POINTS[found.answer]
            tests.append(
                ReadinessTest(
                    id=question.id,
                    question=question.asks,
                    answer=found.answer,
                    evidence=found.evidence,
                    lacks=found.lacks,
                    remedy=found.remedy,
                )
            )
        sections[section] = points
    least = min(sections.values())
    return Readiness(score=least, sections=sections, reading=reading(least), tests=tuple(tests))


def reading(points: float) -> str:
    """What the paper says of a score.

    Example:
        >>> reading(0.0)
        'A research project rather than a product.'
        >>> reading(3.0)
        'Reasonable, but more could run by itself.'
    """
    return next((told for above, told in _READINGS if points > above), _RESEARCH)
