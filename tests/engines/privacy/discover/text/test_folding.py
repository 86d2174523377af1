"""Folding: one byte a character, and the way back."""
# ruff: noqa: RUF001 # disguised letters are the subject

from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.privacy.discover.text.folding import fold


@given(st.text())
def test_every_byte_tells_its_character(text: str) -> None:
    folded = fold(text)
    assert b"\x01" not in folded.data
    for index in range(len(folded.data)):
        start, end = folded.original(index, index + 1)
        assert 0 <= start < end <= len(text)


@given(st.text(st.characters(max_codepoint=0x7F, exclude_characters="\x01")))
def test_ascii_stays_as_it_is(text: str) -> None:
    assert fold(text).data == text.encode()


def test_look_alikes_become_what_they_resemble() -> None:
    text = "Ｊоhn \U0001d403ое Żółć ß 東 Я \u0661\u0662 e\u0301"
    assert fold(text).data == b"John Doe Zolc s \x82 \x81 12 e"


def test_unseen_signs_are_left_out_and_counted() -> None:
    folded = fold("a\u200bb\u00adc")
    assert folded.data == b"abc"
    assert folded.original(0, 3) == (0, 5)
    assert folded.original(1, 2) == (2, 3)


def test_lone_surrogates_and_control_characters_are_no_trouble() -> None:
    assert len(fold("\ud800\x00\x01\x02x").data) == 5


def test_what_is_known_can_be_taken_out_in_place() -> None:
    folded = fold("call 123 or \u200b456 now")
    rest = folded.without([(5, 8), (12, 15)])
    assert rest.data == b"call \x02\x02\x02 or \x02\x02\x02 now"
    assert rest.original(12, 15) == folded.original(12, 15)
