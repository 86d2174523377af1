"""The name model: only the released file, names of any origin, any words."""
# ruff: noqa: RUF001 # disguised letters are the subject

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.engines.privacy.discover.text import name_model as room
from strongroom.engines.privacy.discover.text.name_model import name_model
from strongroom.errors import TamperedError


def test_a_changed_artifact_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MODEL_SHA256", "0" * 64)
    room.name_model.cache_clear()
    with pytest.raises(TamperedError, match=r"names\.onnx"):
        name_model()
    monkeypatch.undo()
    assert name_model() is name_model()


@pytest.mark.parametrize(
    "text",
    [
        "I spoke with Oluwaseun Adeyemi about the invoice.",
        "i spoke with maria gonzalez about the invoice",
        "SIGNED BY THOMAS MÜLLER ON MONDAY",
        "Frau Yıldız arbeitet seit März bei uns.",
        "watching the game with Jessica tonight lol",
    ],
)
def test_people_of_many_origins_and_spellings(text: str) -> None:
    (spans,) = name_model().find_all([text])
    assert "person_name" in {span.type for span in spans}


def test_texts_without_names() -> None:
    texts = ["the build failed again", "", "12 34", "please restart the server and try again"]
    assert name_model().find_all(texts) == [[], [], [], []]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=200), max_size=4))
def test_texts_together_are_as_texts_alone(texts: list[str]) -> None:
    model = name_model()
    together = [[(s.start, s.end, s.type) for s in spans] for spans in model.find_all(texts)]
    alone = [[(s.start, s.end, s.type) for s in model.find_all([text])[0]] for text in texts]
    assert together == alone


def test_long_texts_are_read_in_passages() -> None:
    text = "The report was sent to Maria Gonzalez in Madrid. " * 200
    (spans,) = name_model().find_all([text])
    assert sum(span.type == "person_name" for span in spans) >= 180
