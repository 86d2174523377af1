"""Which of overlapping proposals stay."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.privacy.discover.text.merging import merged
from strongroom.engines.privacy.discover.text.spans import Span

_SPANS = st.builds(
    lambda start, length, name, confidence: Span(start, start + length, name, confidence, "x"),
    st.integers(0, 80), st.integers(1, 20), st.sampled_from(["url", "email", "person_name"]),
    st.sampled_from([0.5, 0.8, 0.95]),
)  # fmt: skip
_TEXT = "https://a.b/?c=d&e=" * 6


@given(st.lists(_SPANS, max_size=30))
def test_what_stays_is_sorted_and_does_not_overlap(spans: list[Span]) -> None:
    kept = merged(_TEXT, spans)
    assert all(a[1] <= b[0] for a, b in pairwise(kept))


def test_the_surer_of_two_stays() -> None:
    sure, unsure = Span(3, 9, "us_ssn", 0.95, "x"), Span(0, 12, "phone", 0.6, "x")
    assert merged("x" * 12, [unsure, sure]) == [sure]


def test_of_two_equally_sure_the_longer_stays() -> None:
    long, short = Span(0, 12, "phone", 0.9, "x"), Span(3, 9, "phone", 0.9, "x")
    assert merged("x" * 12, [short, long]) == [long]


def test_a_web_address_goes_where_another_span_covers_it() -> None:
    mail, web = Span(0, 11, "email", 0.98, "x"), Span(4, 11, "url", 0.75, "x")
    assert merged("ann@abc.org", [web, mail]) == [mail]
