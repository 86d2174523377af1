"""Tokens: random, one to a value, and back only through the vault that drew them."""

import json
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.crypto.wrapping import unwrap, wrap
from strongroom.engines.privacy.mask.hiding import normal
from strongroom.engines.privacy.mask.tokens import TokenFile, draw_token
from strongroom.errors import TamperedError, TooLargeError, ValidationError

KEY = bytes(32)


def seal(content: bytes) -> bytes:
    """As a face would: authenticated, under a key."""
    return wrap(KEY, content, b"token file")


def unseal(content: bytes) -> bytes:
    return unwrap(KEY, content, b"token file")


@given(st.lists(st.text(max_size=30), max_size=30), st.sampled_from(["opaque", "same"]))
def test_values_and_tokens_are_one_to_one(values: list[str], form: str) -> None:
    vault = TokenFile()
    tokens = vault.tokens_for("email", values, form)
    assert vault.tokens_for("email", values, form) == tokens
    alike = Counter(normal(value) for value in values)
    assert len(set(tokens)) == len(alike)
    assert [normal(value or "") for value in vault.reverse(tokens)] == list(map(normal, values))
    assert not set(tokens) & {value for value in values if value}
    if values:
        assert not set(vault.tokens_for("phone", values, form)) & set(tokens)


def test_a_token_of_the_same_form_looks_like_the_value() -> None:
    vault = TokenFile()
    [token] = vault.tokens_for("us_ssn", ["536-90-4000"], "same")
    assert re.fullmatch(r"\d{3}-\d{2}-\d{4}", token)
    [short] = vault.tokens_for("code", ["12"], "same")
    assert re.fullmatch(r"tok_[a-z2-7]{24}", short)


def test_tokens_say_nothing_of_the_value() -> None:
    first = TokenFile().tokens_for("email", ["ada@clinic.org"], "opaque")
    assert first != TokenFile().tokens_for("email", ["ada@clinic.org"], "opaque")


def test_a_file_keeps_them_sealed() -> None:
    vault = TokenFile()
    tokens = vault.tokens_for("email", ["ada@clinic.org", "alan@clinic.org"], "opaque")
    content = vault.sealed(seal)
    assert b"clinic" not in content
    again = TokenFile.opened(content, unseal)
    assert (len(again), again.drawn) == (2, 0)
    assert again.tokens_for("email", ["alan@clinic.org"], "opaque") == [tokens[1]]
    assert again.reverse([tokens[0], "tok_zzz", f" {tokens[1]} "]) == [
        "ada@clinic.org", None, "alan@clinic.org",
    ]  # fmt: skip
    broken = bytearray(content)
    broken[-1] ^= 1
    with pytest.raises(TamperedError):
        TokenFile.opened(bytes(broken), unseal)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"strongroom":"tokens/2","tokens":[]}',
     b'{"strongroom":"tokens/1","tokens":[["a"]]}', b'{"strongroom":"tokens/1","tokens":3}',
     json.dumps({"strongroom": "tokens/1", "tokens": [["a", "x", "t"], ["a", "y", "t"]]}).encode()],
)  # fmt: skip
def test_what_is_no_token_file_is_refused(body: bytes) -> None:
    with pytest.raises(TamperedError):
        TokenFile.opened(body, lambda content: content)


def test_what_is_forgotten_cannot_come_back() -> None:
    vault = TokenFile()
    [token] = vault.tokens_for("email", ["ada@clinic.org"], "opaque")
    assert vault.forget("phone", ["ada@clinic.org"]) == 0
    assert vault.forget("email", [" ada@clinic.org"]) == 1
    assert vault.reverse([token]) == [None]
    assert vault.tokens_for("email", ["ada@clinic.org"], "opaque") != [token]


def test_there_are_limits() -> None:
    with pytest.raises(TooLargeError):
        draw_token("x" * 5_000, "opaque")
    vault = TokenFile(max_tokens=2)
    with pytest.raises(TooLargeError, match="at most 2"):
        vault.tokens_for("a", ["1", "2", "3"], "opaque")
    content = TokenFile()
    content.tokens_for("a", ["1", "2", "3"], "opaque")
    with pytest.raises(ValidationError, match="at most 2"):
        TokenFile.opened(content.sealed(seal), unseal, max_tokens=2)
