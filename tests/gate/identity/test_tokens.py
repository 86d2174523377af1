"""The form of secrets."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import SignInError
from strongroom.gate.identity.issuing import Issuer
from strongroom.gate.identity.tokens import TokenKind, new_token, parse_token


def fixed(count: int) -> bytes:
    return hashlib.sha512(b"fixed").digest()[:count]


@given(st.sampled_from(TokenKind), st.binary(min_size=42, max_size=42))
def test_what_is_made_can_be_read_again(kind: TokenKind, noise: bytes) -> None:
    pieces = {10: noise[:10], 32: noise[10:]}
    token = new_token(kind, pieces.__getitem__)
    assert parse_token(token.text) == token
    assert re.fullmatch(r"sr[ksli]_[a-z2-7]{16}_[a-z2-7]{52}_[0-9a-f]{8}", token.text)
    assert token.id == token.text[:20]


@given(st.integers(0, 81), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567_ 019A\u00e9"))
def test_one_wrong_character_is_noticed_without_a_database(place: int, character: str) -> None:
    text = new_token(TokenKind.API_KEY, fixed).text
    assert len(text) == 82
    if text[place] == character:
        return
    with pytest.raises(SignInError):
        parse_token(text[:place] + character + text[place + 1 :])


@pytest.mark.parametrize("cut", [1, 8, 9, 40, 81, 82])
def test_a_secret_cut_off_is_noticed(cut: int) -> None:
    with pytest.raises(SignInError):
        parse_token(new_token(TokenKind.API_KEY, fixed).text[:-cut])


@pytest.mark.parametrize("text", ["", "srk_", "\x00" * 82, "\n", "Bearer x", "srx_" + "a" * 78])
def test_other_texts_are_no_secrets(text: str) -> None:
    with pytest.raises(SignInError):
        parse_token(text)


def test_a_line_end_after_the_secret_is_not_ignored() -> None:
    with pytest.raises(SignInError):
        parse_token(new_token(TokenKind.API_KEY, fixed).text + "\n")


def test_the_secret_stays_out_of_repr() -> None:
    token = new_token(TokenKind.API_KEY, fixed)
    assert token.text[21:40] not in repr(token)
    pepper = fixed(32)
    assert repr(pepper) not in repr(Issuer(pepper))


def test_the_digest_depends_on_the_pepper_and_on_all_of_the_secret() -> None:
    token = new_token(TokenKind.API_KEY, fixed)
    other = new_token(TokenKind.SESSION, fixed)
    digests = {token.digest(fixed(32)), token.digest(fixed(33)), other.digest(fixed(32))}
    assert len(digests) == 3
    assert {len(digest) for digest in digests} == {32}


def test_a_short_pepper_is_refused() -> None:
    with pytest.raises(ValueError, match="pepper"):
        Issuer(bytes(31))
