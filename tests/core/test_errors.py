from __future__ import annotations

import pytest

from torchyard.core.errors import BadData, BadUsage, NotReady, YardError, nearest


def test_an_error_reads_where_found_expected_what_to_do() -> None:
    error = BadData(where="a.csv", found="3 cells", expected="4 cells", remedy="Add one.")
    assert str(error) == "a.csv: found 3 cells; expected 4 cells. Add one."
    assert error.as_dict() == {
        "error": "bad_data",
        "where": "a.csv",
        "found": "3 cells",
        "expected": "4 cells",
        "remedy": "Add one.",
    }


@pytest.mark.parametrize("family", YardError.__subclasses__())
def test_a_refusal_comes_back_from_its_parts(family: type[YardError]) -> None:
    error = family(where="a.csv", found="3 cells", expected="4 cells", remedy="Add one.")
    again = YardError.of_dict(error.as_dict())
    assert type(again) is family
    assert str(again) == str(error)
    unknown = YardError.of_dict({**error.as_dict(), "error": "of_tomorrow"})
    assert isinstance(unknown, NotReady)


def test_long_parts_are_bounded() -> None:
    error = BadData(where="x", found="y" * 100_000, expected="z", remedy="Do.")
    assert len(str(error)) < 1_000
    assert "(100000 characters)" in str(error)


def test_only_wrong_usage_ends_with_status_two() -> None:
    families = YardError.__subclasses__()
    assert len(families) >= 8
    assert [family for family in families if family.exit_status == 2] == [BadUsage]
    assert len({family.code for family in families}) == len(families)


@pytest.mark.parametrize(
    ("word", "said"), [("lates", "Did you mean 'late'?"), ("qqq", "Known: early, late.")]
)
def test_the_nearest_known_word_is_suggested(word: str, said: str) -> None:
    assert nearest(word, ["late", "early"]) == said
