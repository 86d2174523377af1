"""What a person at a terminal sees of an answer."""

import io
import re
import sys
import time
from collections.abc import Callable

import pytest

from strongroom.faces.cli import output

Show = Callable[..., str]
DIGEST = "sha256:" + "ab" * 32


class Terminal(io.StringIO):
    """Standard output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Show:
    """Shows a value at a terminal of some width and gives what was printed."""

    def show(value: object, *, columns: int = 100) -> str:
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        output.data(value, as_json=False)
        return re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())

    return show


def test_rows_that_fit_are_a_table(shown: Show) -> None:
    text = shown({"models": [{"name": "a", "digest": DIGEST}, {"name": "b", "digest": DIGEST}]})
    heading, first, *_ = (line for line in text.splitlines() if re.search("[a-z]", line))
    assert heading.split() == ["name", "digest"]
    assert first.split() == ["a", DIGEST[:19] + "…"]


def test_columns_that_say_nothing_are_left_out(shown: Show) -> None:
    text = shown([{"workspace": "clinic", "name": "a", "reason": ""},
                  {"workspace": "clinic", "name": "b", "reason": None}])  # fmt: skip
    assert "name" in text
    assert "workspace" not in text
    assert "reason" not in text


def test_moments_are_local_time_at_a_terminal_and_as_they_came_elsewhere(
    shown: Show, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        told = [
            {"name": "a", "created_at": 1_700_000_000.25, "rows_at_most": 1_700_000_000},
            {"name": "b", "created_at": "2023-11-14T22:13:20.250000Z", "rows_at_most": 5},
            {"name": "c", "created_at": None, "rows_at_most": 0},
            {"name": "d", "created_at": 1e300, "rows_at_most": 0},
            {"name": "e", "created_at": "never", "rows_at_most": 0},
        ]
        text = shown(told)
        assert text.count("2023-11-14 23:13:20+01:00") == 2
        assert "1700000000 " in text + " "
        assert "never" in text
        assert "2023-11-14 23:13:20+01:00" in shown({"deployed_at": 1_700_000_000, "of": "x"})
    finally:
        monkeypatch.undo()
        time.tzset()
    output.data(told, as_json=False)
    assert "1700000000.25" in capsys.readouterr().out


def test_rows_that_do_not_fit_are_blocks_without_broken_words(shown: Show) -> None:
    row = {f"column_{n}": f"value_{n}" for n in range(12)}
    text = shown([row, row], columns=60)
    assert text.count("value_11") == 2
    assert max(map(len, text.splitlines())) <= 60


def test_lists_inside_a_thing_become_tables(shown: Show) -> None:
    text = shown({"name": "a", "files": [{"path": "x", "size": 3}, {"path": "y", "size": 4}]})
    assert "files" in text
    assert "{" not in text
    assert text.index("name") < text.index("files") < text.index("path") < text.index("y")


def test_what_stands_inside_a_column_is_said_with_its_share(shown: Show) -> None:
    held = [{"type": "email", "title": "e-mail address", "role": "direct", "share": 0.25}]
    text = shown([{"name": "note", "inside": held}, {"name": "bmi", "inside": []}])
    assert "e-mail address 25%" in text
    assert "{" not in text


def test_one_digest_is_shown_whole(shown: Show) -> None:
    assert DIGEST in shown({"name": "a", "digest": DIGEST})


def test_nothing_is_said_in_words(shown: Show, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown({"models": []}) == ""
    assert "nothing there" in capsys.readouterr().err


def test_a_thing_inside_a_thing_is_shown_and_not_its_json(
    shown: Show, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = {"shown": {"number": 1, "state": "waiting"}, "proof": None, "told": {}}
    text = shown(answer)
    assert "{" not in text.replace("{}", "")
    assert text.index("shown") < text.index("state") < text.index("waiting")
    monkeypatch.undo()
    output.data({**answer, "a": {"b": {"c": 2}}}, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["shown.number\t1", "shown.state\twaiting", "proof\t", "told\t{}", "a.b.c\t2"]


def test_noisy_answers_are_a_table_of_values_with_their_intervals(shown: Show) -> None:
    groups = [
        {"key": {"ward": ward}, "values": {"count": {"value": 174.0, "low": 144.0, "high": 204.0}}}
        for ward in ("north", "south")
    ]
    text = shown({"spent": 2.6993629094373413, "rare": 1e-6, "groups": groups})
    assert [line.split() for line in text.splitlines() if "th " in line] == [
        ["north", "174", "(144", "to", "204)"], ["south", "174", "(144", "to", "204)"]
    ]  # fmt: skip
    assert "2.69936 " in text
    assert "1e-06" in text
    twice = {"key": {"count": "x"}, "values": {"count": 5}}
    assert "values.count" in shown([twice, {**twice, "values": {"count": 6}}])


def test_notes_are_whole_and_told_apart_and_what_is_cut_says_so(shown: Show) -> None:
    notes = ["of one `patient`, 1 row counts", "x " * 120, "the last"]
    text = " ".join(shown({"name": "a", "notes": notes}).split())
    assert "1 row counts; x" in text
    assert "the last" in text
    assert "…" in shown([{"a": "y" * 190, "b": "z" * 300}], columns=600)
    spends = [{"number": n, "at": "2026-11-14T22:13:20.25Z"} for n in (1, 2)]
    assert "T22" not in shown(spends)
