"""Patterns over bytes tell the places that google-re2's own face tells."""

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.privacy.discover.text.patterns import Pattern, PatternSet, ungrouped

_PATTERNS = st.sampled_from((r"\bab?\b", r"a+|b", r"a*", r"\d{2,3}", r"(?i)x(?:y|$)", r"^a|b$"))
_BYTES = st.text(st.sampled_from("abxyXY12 \x81\n"), max_size=40).map(
    lambda text: text.encode("latin-1")
)


def _reference(pattern: str) -> "re2._Regexp[bytes]":
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(pattern.encode("latin-1"), options)


@given(_PATTERNS, _BYTES)
def test_places_are_those_of_re2(pattern: str, data: bytes) -> None:
    expected = [found.span() for found in _reference(pattern).finditer(data)]
    assert list(Pattern(pattern).places(data)) == expected


@given(_PATTERNS, _BYTES, st.integers(0, 40))
def test_single_questions_are_answered_as_by_re2(pattern: str, data: bytes, at: int) -> None:
    start, ours, theirs = min(at, len(data)), Pattern(pattern), _reference(pattern)
    search = theirs.search(data, start, len(data))
    assert ours.first(data, start, len(data)) == (None if search is None else search.span())
    match = theirs.match(data, start, len(data))
    assert ours.end_of(data, start, len(data)) == (-1 if match is None else match.end())
    assert ours.is_in(data) == (theirs.search(data) is not None)


def test_the_value_is_the_group_of_what_matches_as_a_whole() -> None:
    pattern = Pattern(r"no (\d+)")
    assert pattern.value_of(b"no 123") == (3, 6)
    assert pattern.value_of(b"no 123 ") is None


def test_a_set_tells_all_that_match_as_a_whole() -> None:
    which = PatternSet([r"\d+", r"\d{3}", r"[a-z]+"]).which
    assert sorted(which(b"123")) == [0, 1]
    assert sorted(which(b"1234")) == [0]
    assert list(which(b"-")) == []


@pytest.mark.parametrize(
    ("pattern", "without"),
    [(r"(a)(?:b)", r"(?:a)(?:b)"), (r"\((a)[(]", r"\((?:a)[(]"), (r"(?i)x", r"(?i)x")],
)
def test_groups_stop_capturing(pattern: str, without: str) -> None:
    assert ungrouped(pattern) == without
    assert _reference(ungrouped(pattern)).groups == 0


def test_look_around_is_refused() -> None:
    with pytest.raises(re2.error):
        Pattern(r"(?<=a)b")
