"""Further mentions of people who were found once."""

from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.privacy.discover.text.repeats import repeated
from strongroom.engines.privacy.discover.text.spans import Span


def again(text: str, name: str, confidence: float = 0.9) -> list[str]:
    """Texts of the further mentions, `name` being found at its first place."""
    start = text.index(name)
    first = Span(start, start + len(name), "person_name", confidence, "x")
    return [text[start:end] for start, end, *_ in repeated(text, [first])]


def test_parts_and_capitals_of_a_name_are_mentions() -> None:
    text = "Anna Krüger came. KRÜGER, Anna and Anna Krüger's sister left."
    assert again(text, "Anna Krüger") == ["KRÜGER", "Anna", "Anna Krüger"]


def test_parts_of_other_words_are_none() -> None:
    assert again("Ann Lee, Annabel, Leeds, x-Lee, lee", "Ann Lee") == []


def test_plain_words_and_titles_in_a_name_are_not_looked_for() -> None:
    assert again("Dr Will Adeyemi. Will you ask the Dr today?", "Dr Will Adeyemi") == []


def test_unsure_names_are_not_looked_for() -> None:
    assert again("Anna Krüger and Anna", "Anna Krüger", confidence=0.5) == []


@given(st.text(), st.text())
def test_mentions_do_not_overlap_what_is_known(before: str, behind: str) -> None:
    text = f"{before} Anna Krüger {behind} Anna"
    start = len(before) + 1
    known = Span(start, start + 11, "person_name", 0.9, "x")
    for begin, end, *_ in repeated(text, [known]):
        assert end <= known.start or begin >= known.end
