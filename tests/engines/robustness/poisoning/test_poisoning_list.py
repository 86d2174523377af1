"""The quarantine list as a file: written so that no cell runs, read so that no row is mistaken."""

import csv
import io

import numpy as np
import pytest

from strongroom.engines.robustness.poisoning import quarantine_list
from strongroom.engines.robustness.poisoning.quarantine_list import left_out, merged, to_csv
from strongroom.errors import TooLargeError, ValidationError

DATA = "sha256:abc"
FOUND = [
    {"row": 3, "suspicion": 0.5, "reasons": ["label"], "suggested_label": 1, "name": "p-1"},
    {"row": 9, "suspicion": 0.9, "reasons": ["=cmd|' /C calc'!A0"], "suggested_label": None},
    {"row": 3, "suspicion": 0.5, "reasons": ["label", "twin"], "suggested_label": 0},
]


def test_lists_of_several_tests_become_one() -> None:
    first, second = merged(FOUND, ("no", "yes"))
    assert (first.row, second.row) == (9, 3)
    assert second.suspicion == pytest.approx(0.75)
    assert second.reasons == ("label", "twin")
    assert (second.suggested, second.name, first.suggested) == ("yes", "p-1", "")


def test_what_is_written_is_read_and_runs_nowhere() -> None:
    content = to_csv(merged([*FOUND, {**FOUND[0], "row": 1, "name": "@SUM(1)"}]), DATA).decode()
    cells = [cell for line in csv.reader(io.StringIO(content)) for cell in line]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))]
    assert "'=cmd" in content
    assert np.flatnonzero(left_out(content, 10, DATA)).tolist() == [0, 2, 8]
    # As a spreadsheet of another country gives it back, with one row judged to be right.
    lines = list(csv.reader(io.StringIO(content)))
    assert lines[1][0] == "9"
    lines[1][2] = "No"
    edited = io.StringIO()
    csv.writer(edited, delimiter=";").writerows(lines)
    assert np.flatnonzero(left_out("\ufeff" + edited.getvalue(), 10, DATA)).tolist() == [0, 2]


HEAD = "row,leave out,data\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column"),
        ("row,data\n1,x\n", "`leave out`"),
        (f"{HEAD}1,yes,sha256:other\n", "line 2.*other data"),
        (f"{HEAD}1,yes\n", "other data"),
        (f"{HEAD}1,yes,{DATA}\n1,no,{DATA}\n", "line 3.*twice"),
        (f"{HEAD}11,yes,{DATA}\n", "no row `11`"),
        (f"{HEAD}0,yes,{DATA}\n", "no row `0`"),
        (f"{HEAD}-1,yes,{DATA}\n", "no row `-1`"),
        (f"{HEAD}1e0,yes,{DATA}\n", "no row"),
        (f"{HEAD}²,yes,{DATA}\n", "no row"),
        (f"{HEAD}{'9' * 5000},yes,{DATA}\n", "no row"),
        (f"{HEAD}1,maybe,{DATA}\n", "yes or no"),
        (f"{HEAD}1,no,{DATA}\n", "leaves no row out"),
        (HEAD, "leaves no row out"),
        (HEAD + "".join(f"{row},yes,{DATA}\n" for row in range(1, 11)), "no row to train on"),
        (f'{HEAD}"1,yes,{DATA}\n', "no CSV"),
    ],
    ids=range(16),
)
def test_a_bad_list_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        left_out(text, 10, DATA)


def test_a_list_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine_list, "MAX_ROWS", 1)
    with pytest.raises(TooLargeError):
        left_out(f"{HEAD}1,yes,{DATA}\n2,yes,{DATA}\n", 10, DATA)
    monkeypatch.setattr(quarantine_list, "MAX_CHARACTERS", 10)
    with pytest.raises(TooLargeError):
        left_out(HEAD, 10, DATA)
