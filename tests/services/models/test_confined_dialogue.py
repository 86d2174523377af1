"""The dialogue of a sandbox with a model elsewhere: steps, questions, and what errors tell."""

import io
from typing import Any

import pyarrow as pa
import pytest

from strongroom.engines.robustness.assessment.plan import ColumnRoles, Plan
from strongroom.engines.robustness.target import ModelError
from strongroom.errors import SandboxError, ValidationError
from strongroom.services.models.added_columns import (
    LEFT_OUT,
    PSEUDONYM,
    ROW,
    naming_rows,
    taken_apart,
    without_unused,
)
from strongroom.services.models.confined_dialogue import Answer, ConfinedDialogue
from strongroom.services.models.pseudonyms import Pseudonyms


class Asking(ConfinedDialogue):
    """Asks a model for the sum of the rows, and fails as it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self._error = error

    def work(self) -> Answer:
        """Ask once."""
        if self._error is not None:
            raise self._error
        table = self.table("trained")
        assert table is not None
        assert self.table("trained") is None  # once
        self.tell({"share": 0.5})
        try:
            head, body = self.ask(
                {"do": "add"}, bytes(table.column("x").to_numpy().tolist()), who="old"
            )
        except ModelError as error:
            return {"said": error.kind}, b""
        return head, body


def poured(dialogue: ConfinedDialogue) -> None:
    sink = io.BytesIO()
    table = pa.table({"x": [1, 2, 3]})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    for piece in (sink.getvalue()[:50], sink.getvalue()[50:]):
        assert dialogue.answer({"do": "rows", "table": "trained"}, piece) == ({}, b"")


@pytest.mark.parametrize(
    ("told", "end"),
    [
        ({"head": {"verdict": "sum"}}, ({"verdict": "sum"}, b"6")),
        ({"raised": "ValueError"}, ({"said": "ValueError"}, b"")),
    ],
    ids=["answers", "fails"],
)
def test_what_is_asked_leaves_as_an_answer_and_comes_back_with_the_next_step(
    told: dict[str, Any], end: Answer
) -> None:
    dialogue = Asking()
    poured(dialogue)
    assert dialogue.answer({"do": "go"}, b"") == ({"share": 0.5}, b"")
    asked = dialogue.answer({"do": "next"}, b"")
    assert asked == ({"ask": {"do": "add"}, "who": "old"}, b"\x01\x02\x03")
    assert dialogue.answer({"do": "next", **told}, b"6") == end


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ValidationError("no label", next_step="name it"), {"failed": "no label",
                                                            "next_step": "name it"}),
        (ValueError("Ann is ill"), {"failed": "ValueError", "next_step": ""}),
    ],
    ids=["ours", "a-librarys"],
)  # fmt: skip
def test_an_error_is_the_last_answer_and_only_our_own_words_leave(
    error: Exception, says: dict[str, str]
) -> None:
    assert Asking(error).answer({"do": "go"}, b"") == (says, b"")


def test_an_unknown_step_is_refused() -> None:
    with pytest.raises(SandboxError, match="asked to dance"):
        Asking().answer({"do": "dance"}, b"")


def test_added_columns_come_off_and_pseudonyms_are_used_or_taken_away() -> None:
    table = pa.table({"x": [1.0, 2.0], PSEUDONYM: ["p-1", "p-2"], ROW: [7, 9],
                      LEFT_OUT: [False, True]})  # fmt: skip
    bare, numbers, removed = taken_apart(table)
    assert bare.column_names == ["x", PSEUDONYM]
    assert (numbers.tolist(), removed.tolist()) == ([7, 9], [False, True])
    named = naming_rows(Plan(""), [bare])
    assert named.columns.pseudonym == PSEUDONYM
    assert without_unused(named, bare) is bare
    own = Plan("", columns=ColumnRoles(pseudonym="case"))
    assert naming_rows(own, [bare]) is own
    assert without_unused(own, bare).column_names == ["x"]
    for lacking in (None, pa.table({"x": [1.0]})):
        with pytest.raises(SandboxError, match="numbers"):
            taken_apart(lacking)


def test_a_pseudonym_is_the_same_each_time_and_another_elsewhere() -> None:
    batch = pa.RecordBatch.from_pydict({"who": ["ann", "bob", "ann"], "x": [1, 2, 3]})
    first = Pseudonyms(b"k" * 32)
    names = [
        [str(one) for one in made.named(batch, "who", workspace).column(1).to_pylist()]
        for made, workspace in (
            (first, "clinic"), (first, "clinic"), (first, "other"),
            (Pseudonyms(b"l" * 32), "clinic"),
        )
    ]  # fmt: skip
    assert names[0] == names[1]
    assert names[0][0] == names[0][2] != names[0][1]
    assert not set(names[0]) & (set(names[2]) | set(names[3]))
    assert first.named(batch, "who", "clinic").schema.names == ["x", PSEUDONYM]
    assert first.named(batch, "", "clinic") is batch
