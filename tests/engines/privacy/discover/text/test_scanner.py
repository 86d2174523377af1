"""Families of forms: which wins, and where those that need a context are found."""

from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.privacy.discover.text.folding import fold
from strongroom.engines.privacy.discover.text.forms.form import Form
from strongroom.engines.privacy.discover.text.scanner import Family


def _found(family: Family, text: str) -> list[tuple[str, str]]:
    return [(name, text[start:end]) for start, end, name, _, _ in family.scan(fold(text))]


def test_the_surest_form_that_passes_wins_and_checks_can_refuse() -> None:
    family = Family(
        (
            Form("low", r"\b\d{4}\b", 0.5),
            Form("even", r"\b\d{4}\b", 0.9, lambda text: int(text) % 2 == 0),
            Form("named", r"no (\d{5})\b", 0.8),
            Form("near", r"\b\d{6}\b", 0.7, None, "code"),
        )
    )
    assert _found(family, "1234 1235") == [("even", "1234"), ("low", "1235")]
    assert _found(family, "no 12345") == [("named", "12345")]
    assert _found(family, "code 123456") == [("near", "123456")]
    assert _found(family, "123456") == []


_NEAR = (
    Form("phone", r"\b\d{3}(?: \d{3}){2}\b", 0.8, None, r"call|phone"),
    Form("visa", r"\b\d{4}(?: \d{4}){3}\b", 0.8, None, "card"),
)
_PIECES = st.sampled_from(
    ("call ", "card ", "phone", "415 555 267", "4111 1111 1111 1111", " ", "\x00", "x" * 40, "no\n")
)


@given(st.lists(_PIECES, max_size=12).map("".join))
def test_forms_behind_their_context_are_found_as_by_looking_everywhere(text: str) -> None:
    everywhere, behind = Family(_NEAR), Family(_NEAR, near_context=True)
    assert _found(behind, text) == _found(everywhere, text)


def test_what_needs_a_context_is_not_found_far_from_it_or_in_the_next_text() -> None:
    family = Family(_NEAR, near_context=True)
    assert _found(family, "call 415 555 267") == [("phone", "415 555 267")]
    assert _found(family, "card 415 555 267") == []
    assert _found(family, "call" + " " * 60 + "415 555 267") == []
    assert _found(family, "call \x00 415 555 267") == []
