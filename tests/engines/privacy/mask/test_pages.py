"""HTML and texts in pieces: masked as the whole that a reader sees, and nothing else kept."""

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.text.spans import Span
from strongroom.engines.privacy.mask.pages import mask_page
from strongroom.engines.privacy.mask.policy_file import parse_policy
from strongroom.engines.privacy.mask.texts import TextMasker, replace_in_pieces, replace_spans
from strongroom.engines.privacy.mask.tokens import TokenFile

WORD = "jane smith"


class Named:
    """Finds one name, whatever stands between its words."""

    def find_all(self, texts: Iterable[str]) -> Iterator[list[Span]]:
        for text in texts:
            lowered, found, at = text.lower(), [], 0
            while (at := lowered.find(WORD, at)) >= 0:
                found.append(Span(at, at + len(WORD), "person_name", 0.9, "pattern"))
                at += len(WORD)
            yield found

    def role_of(self, _type_name: str) -> Role:
        return Role.DIRECT


def masker(rules: str = '[types]\nperson_name = "redact"') -> TextMasker:
    return TextMasker(parse_policy(rules), bytes(32), Named(), tokens=TokenFile())


@given(st.lists(st.sampled_from(["jane smith", "jane ", "smith", "j", "ane sm", "ith", "", "x"]),
                max_size=9))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_pieces_together_are_what_the_whole_would_be(pieces: list[str]) -> None:
    [spans] = Named().find_all(["".join(pieces)])
    made = replace_in_pieces(pieces, spans, lambda _text, _type: "#")
    assert len(made) == len(pieces)
    assert "".join(made) == replace_spans("".join(pieces), spans, lambda _text, _type: "#")
    assert masker().mask_pieces(pieces) == [one.replace("#", "[person_name]") for one in made]


@pytest.mark.parametrize(
    ("page", "masked"),
    [
        ("<p>Dear Jane <b>Smith</b>!</p>", "<p>Dear [person_name]<b></b>!</p>"),
        ("<td>Jane</td><td>Smith</td>", "<td>Jane</td><td>Smith</td>"),
        ('<p class="jane smith" id="x">hi</p>', "<p>hi</p>"),
        ('<a href="mailto:jane smith">mail</a>', "<a>mail</a>"),
        ('<img src="jane smith" alt="Jane Smith">', " [[person_name]] "),
        ("<title>Jane Smith</title><style>Jane Smith</style>x<!-- Jane Smith -->", "x"),
        ("<script>Jane Smith", ""),
        ("<Jane Smith>x</jane>", "x"),
        ("Jane&#32;Smith &lt;b&gt;", "[person_name] &lt;b&gt;"),
        ('<td colspan="2" rowspan="x" colspan="99999">y</td>', '<td colspan="2">y</td>'),
        ("<td colspan='1\"><script>'>y</td>", "<td>y</td>"),
        ("<svg><text>Jane Smith</text></svg><p>x", "<p>x"),
        ("a<br>b<hr/>", "a<br>b<hr>"),
        ("<![CDATA[Jane Smith]]><?jane smith?><!DOCTYPE jane>z", "z"),
    ],
)
def test_a_page_keeps_its_shape_and_what_is_looked_at(page: str, masked: str) -> None:
    assert mask_page(page, masker().mask_pieces) == masked


@given(st.text(alphabet="<>/&;!-[]\"'= abpjs\n\u202e\0", max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_page_and_no_markup_of_others_comes_through(page: str) -> None:
    made = mask_page(page, masker().mask_pieces)
    assert mask_page(made, masker().mask_pieces) is not None
    for tag in made.split("<")[1:]:
        assert tag.partition(">")[0].strip("/") in {"a", "b", "p", "s"}


def test_whole_values_are_masked_by_the_rule_of_their_type_or_a_given_one() -> None:
    made = masker('[types]\nperson_name = "tokenize"\nemail = "hash"\nphone = "keep"')
    token = made.mask_value("Jane Smith", "person_name")
    assert token.startswith("tok_")
    assert made.mask_value(" Jane Smith ", "person_name") == token == made.mask("Jane Smith")
    assert made.mask_value("a@b.org", "email").startswith("[email:")
    assert made.mask_value("123", "phone") == "123"
    assert made.mask_value("123", "city") == "[city]"
    assert made.mask_value("", "person_name") == "[person_name]"
    rules = parse_policy('[columns]\na = { method = "partial", keep_first = 1 }').columns
    assert made.mask_value("abcdef", "email", rules["a"]) == "a*****"
