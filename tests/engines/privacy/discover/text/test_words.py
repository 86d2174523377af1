"""Words as numbers: places, pieces, and what is remembered."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.privacy.discover.text import words
from strongroom.engines.privacy.discover.text.words import WordReader


@pytest.fixture(scope="module")
def reader() -> WordReader:
    return WordReader(["", " ", "play", "##ing", "the", "a", "##b"])


@given(text=st.text())
def test_words_stand_where_they_say(reader: WordReader, text: str) -> None:
    split = reader.read(text)
    assert split.numbers.shape == (len(split.spans), words.COLUMNS)
    assert all(text[start:end].strip() for start, end in split.spans)
    assert all(a[1] <= b[0] for a, b in pairwise(split.spans))
    assert "".join(text.split()) == "".join(text[s:e] for s, e in split.spans)


def test_the_longest_pieces_are_taken_first(reader: WordReader) -> None:
    (row,) = reader.read("Playing").numbers
    assert row[: words.PIECES].tolist() == [2, 3, 1, 1]
    (row,) = reader.read("zzz").numbers
    assert row[: words.PIECES].tolist() == [0, 1, 1, 1]


def test_only_words_that_the_vocabulary_has_whole_are_remembered() -> None:
    reader = WordReader(["", " ", "the", "wex", "##elby"])
    reader.read("the Wexelby zzz the")
    assert set(reader._known) == {"the"}
