"""Texts: what was found is gone, all else stays where it was."""

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.privacy.discover.custom import CustomType
from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rulebook import role_named
from strongroom.engines.privacy.discover.text.finder import text_finder
from strongroom.engines.privacy.discover.text.spans import Span
from strongroom.engines.privacy.mask.policy_file import parse_policy
from strongroom.engines.privacy.mask.texts import TextMasker, label, replace_spans
from strongroom.engines.privacy.mask.tokens import TokenFile

KEY = bytes(range(32))
TEXT = "Susan Miller wrote to susan.miller@clinic.org on 2024-03-05 about ZIP 88645, aged 47."


class Fixed:
    """Finds given words, wherever they stand."""

    def __init__(self, words: dict[str, str], confidence: float = 0.9) -> None:
        self._words = words
        self._confidence = confidence

    def find_all(self, texts: Iterable[str]) -> Iterator[list[Span]]:
        for text in texts:
            yield sorted(
                (
                    Span(
                        text.index(word), text.index(word) + len(word), kind, self._confidence, "t"
                    )
                    for word, kind in self._words.items()
                    if word in text
                ),
                key=lambda span: span.start,
            )

    def role_of(self, type_name: str) -> Role:
        return role_named(type_name, ())


FINDER = Fixed(
    {"Susan Miller": "person_name", "susan.miller@clinic.org": "email", "2024-03-05": "date",
     "88645": "postcode", "47": "age"}
)  # fmt: skip


def masked(policy: str, *, tokens: TokenFile | None = None, text: str = TEXT) -> str:
    return TextMasker(parse_policy(policy), KEY, FINDER, tokens=tokens).mask(text)


def test_each_find_is_replaced_by_the_rule_of_its_type() -> None:
    assert masked("") == (
        "[person_name] wrote to [email] on [date] about ZIP [postcode], aged [age]."
    )
    assert (
        masked(
            """
        [types]
        person_name = "drop"
        email = { method = "partial", keep_first = 1 }
        date = { method = "generalize", unit = "month" }
        postcode = { method = "generalize", prefix = 2 }
        age = { method = "generalize", bin_width = 10 }
        """
        )
        == " wrote to s****.******@******.*** on 2024-03 about ZIP 88***, aged 40."
    )
    assert masked('[spans]\ndate = "keep"\n[types]\ndate = "drop"').count("2024-03-05") == 1


def test_stand_ins_and_tokens_are_those_of_the_columns() -> None:
    vault = TokenFile()
    text = masked('[types]\nperson_name = "stand_in"\nemail = "tokenize"', tokens=vault)
    [token] = vault.tokens_for("email", ["susan.miller@clinic.org"], "opaque")
    assert token in text
    assert vault.drawn == 1
    name = text.partition(" wrote")[0]
    assert name.istitle()
    assert name != "Susan Miller"
    assert masked('[types]\nperson_name = "stand_in"').startswith(f"{name} wrote")


def test_hashes_link_within_one_key() -> None:
    rule = '[types]\nemail = "hash"'
    assert masked(rule) == masked(rule)
    other = TextMasker(parse_policy(rule), bytes(32), FINDER).mask(TEXT)
    assert masked(rule) != other


def test_tokens_without_a_vault_are_redacted() -> None:
    assert "[email]" in masked('[types]\nemail = "tokenize"')


def test_unsure_finds_stay_only_where_the_rule_says_so() -> None:
    unsure = Fixed({"Susan": "person_name"}, confidence=0.4)
    policy = parse_policy("")
    assert TextMasker(policy, KEY, unsure).mask("Hi Susan") == "Hi [person_name]"
    masker = TextMasker(policy, KEY, unsure, min_confidence=0.5)
    assert masker.mask("Hi Susan") == "Hi Susan"


texts = st.text(max_size=60)


@given(texts, st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=6))
def test_offsets_hold_and_nothing_of_a_find_stays(text: str, places: list[tuple[int, int]]) -> None:
    spans = [
        Span(min(a, b, len(text)), min(max(a, b), len(text)), "email", 1.0, "t") for a, b in places
    ]
    covered = {i for span in spans for i in range(span.start, span.end)}
    made = replace_spans(text, spans, lambda _text, _type: "\0")
    rest = made.replace("[redacted]", "\0").replace("\0", "")
    expected = "".join(c for i, c in enumerate(text) if i not in covered)
    assert rest == expected.replace("[redacted]", "").replace("\0", "")


@pytest.mark.parametrize("span", [Span(-1, 2, "email", 1, "t"), Span(0, 9, "email", 1, "t")])
def test_a_span_outside_its_text_is_refused(span: Span) -> None:
    with pytest.raises(ValueError, match="outside"):
        replace_spans("short", [span], lambda _text, kind: label(kind))


def test_overlapping_finds_become_one() -> None:
    spans = [Span(0, 5, "email", 1, "t"), Span(3, 8, "url", 1, "t"), Span(8, 9, "age", 1, "t")]
    assert replace_spans("abcdefghij", spans, lambda _text, kind: label(kind)) == (
        "[redacted][age]j"
    )


def test_characters_beyond_the_basic_plane_do_not_move_anything() -> None:
    text = "👩‍⚕️ Susan 🏥 é"
    masker = TextMasker(parse_policy(""), KEY, Fixed({"Susan": "person_name"}))
    assert masker.mask(text) == "👩‍⚕️ [person_name] 🏥 é"


def test_with_the_real_finder() -> None:
    masker = TextMasker(parse_policy(""), KEY, text_finder(model=False))
    text = masker.mask("Call Dr. Smith or write to a.smith@clinic.org, SSN 536-90-4000.")
    assert "clinic" not in text
    assert "536" not in text
    assert text.startswith("Call ")


def test_finds_of_types_of_ones_own_obey_the_role_that_the_type_states() -> None:
    policy = parse_policy('[roles]\ndirect = "keep"\nspecial = "redact"\nplain = "keep"')
    text = "Study ST-123456, write to ann.lee@clinic.org."
    for role, stays in ((Role.SPECIAL, False), (Role.SECRET, False), (Role.DIRECT, True)):
        own = CustomType("study_code", "code of a study", r"ST-\d{6}", ("study",), role=role)
        finder = text_finder(model=False, custom=(own,))
        made = TextMasker(policy, KEY, finder).mask(text)
        assert ("ST-123456" in made) is stays
        assert "ann.lee@clinic.org" in made
        assert finder.role_of("health_condition") is Role.SPECIAL
        assert finder.role_of("nobody_knows") is Role.DIRECT
