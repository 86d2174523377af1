"""Rows in files and words in answers, by models and servers that keep or say them."""

import io
import json
import zipfile
from collections.abc import Callable

import joblib
import numpy as np
import pytest
from skl2onnx import to_onnx
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from strongroom.engines.robustness.leakage import carried
from strongroom.engines.robustness.leakage import tests as leakage
from strongroom.engines.robustness.leakage.words import MARK, Columns, Said, bad, good
from strongroom.engines.robustness.outcome import Outcome, Status, judge
from strongroom.engines.robustness.space import Feature, Space

RNG = np.random.default_rng(5)
VALUES = RNG.normal([50.0, 120.0, 1.7, 70.0], [15.0, 18.0, 0.1, 12.0], (60, 4))
LABELS = (VALUES[:, 0] + VALUES[:, 1] > 170).astype(int)
NAMES = ("age", "pressure", "height", "weight")
SPACE = Space([
    Feature(name, float(column.min()), float(column.max()))
    for name, column in zip(NAMES, VALUES.T, strict=True)
] + [Feature("ward", levels=("a", "b"))])  # fmt: skip
POINTS = SPACE.encode({
    **dict(zip(NAMES, VALUES.T, strict=True)), "ward": np.array(["a", "b"] * 30, dtype=object),
})  # fmt: skip


def dumped(model: object, compress: int = 0) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(model, buffer, compress=compress)
    return buffer.getvalue()


def looked_at(data: bytes) -> Outcome:
    return leakage.rows_in_files({"model": data}, POINTS, SPACE, 1, lambda _: None)


def count(outcome: Outcome, name: str = leakage.SURELY) -> float:
    measure = outcome.measure(name)
    assert measure is not None
    return measure.value


KEEPERS = {
    "neighbours": lambda: dumped(KNeighborsClassifier().fit(VALUES, LABELS)),
    "by columns, packed": lambda: dumped(
        KNeighborsClassifier(algorithm="brute").fit(np.asfortranarray(VALUES), LABELS), 3
    ),
    "standardised": lambda: dumped(
        make_pipeline(StandardScaler(), KNeighborsClassifier()).fit(VALUES, LABELS)
    ),
    "by range": lambda: dumped(
        make_pipeline(MinMaxScaler(), KNeighborsClassifier()).fit(VALUES, LABELS)
    ),
    "ONNX, 32 bits": lambda: to_onnx(
        KNeighborsClassifier().fit(VALUES, LABELS), VALUES[:1].astype(np.float32)
    ).SerializeToString(),
    "an example as JSON": lambda: json.dumps({"data": VALUES.tolist()}).encode(),
}


@pytest.mark.parametrize("made", KEEPERS.values(), ids=KEEPERS)
def test_models_that_keep_rows_are_found(made: Callable[[], bytes]) -> None:
    outcome = looked_at(made())
    assert outcome.canary is not None
    assert outcome.canary.was_found, outcome.canary.found
    assert count(outcome) == 60
    assert judge(outcome, leakage.GATES[leakage.ROWS]) is Status.FAILED
    assert outcome.listed["rows in files"][:2] == ["0", "1"]
    assert outcome.words[0].startswith("`model` holds 60 of the 60 rows")


def test_models_that_keep_none_or_some() -> None:
    machine = SVC().fit(VALUES, LABELS)
    assert count(looked_at(dumped(machine))) == len(machine.support_)
    five = {"columns": NAMES, "data": VALUES[:5].tolist()}
    assert count(looked_at(json.dumps(five).encode())) == 5  # the example beside a model
    tree = looked_at(dumped(DecisionTreeClassifier().fit(VALUES, LABELS)))
    assert (count(tree), judge(tree, leakage.GATES[leakage.ROWS])) == (0, Status.PASSED)
    # Rows that nobody has are found nowhere; else what is found is put down to chance.
    assert count(tree, "made-up rows in the files") == 0


@pytest.mark.parametrize(
    "data",
    [
        b"", b"PK\x03\x04", b"PK" + bytes(99), b"\x78\x9c" + bytes(50), b"\x1f\x8b\x08" + bytes(9),
        b"BZh9" + bytes(40), b"\xfd7zXZ\x00" + bytes(9), b"\xff" * 4_096, b"1e999 2e999 -3e999 4",
        b"9" * 100_000, np.full(512, np.nan).tobytes(), np.full(512, np.inf).tobytes(),
    ],
    ids=range(12),
)  # fmt: skip
def test_hostile_bytes_hold_no_row(data: bytes) -> None:
    assert count(looked_at(data)) == 0


def test_what_grows_when_unpacked_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carried, "MAX_BYTES", 1 << 18)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in "abc":
            archive.writestr(name, bytes(1 << 20))
    looks = 0

    def tell() -> None:
        nonlocal looks
        looks += 1

    rows = carried.wanted(VALUES, np.arange(20))
    assert not carried.found_in(dict.fromkeys("abcdefgh", bomb.getvalue()), rows, tell)
    assert looks <= 2 * (8 + 4) * 2  # the file, and the first of its members, by every reading


def test_too_little_to_tell_a_row_by_is_said() -> None:
    narrow = Space([Feature("a"), Feature("ward", levels=("a", "b")), Feature("b")])
    outcome = leakage.rows_in_files({"m": b"x"}, RNG.random((40, 4)), narrow, 1, lambda _: None)
    assert "fewer than three numbers" in outcome.reason
    few = leakage.rows_in_files({"m": b"x"}, POINTS[:5], SPACE, 1, lambda _: None)
    assert "twenty rows" in few.reason
    flags = Space([Feature(name, step=1) for name in NAMES])
    rows = RNG.integers(0, 2, (60, 4)).astype(float)
    assert leakage.rows_in_files({"m": bytes(999)}, rows, flags, 1, lambda _: None).reason


# ---- words ----


def heard(speak: Callable[[Columns], Said]) -> Outcome:
    return leakage.words_in_answers(speak, POINTS[:3], POINTS, SPACE, lambda _: None)


def in_order(columns: Columns) -> bool:
    return MARK not in json.dumps(dict(columns)) and len(columns) == 5 and len(
        {len(one) for one in columns.values()}
    ) == 1  # fmt: skip


def test_a_server_that_says_no_more_than_it_must_passes() -> None:
    def discreet(columns: Columns) -> Said:
        if in_order(columns):
            return Said(200, '{"predictions": [1], "probabilities": [[0.2, 0.8]], "shape": [1, 2]}')
        return Said(400, '{"error": "`age` is no number"}', {"server": "uvicorn"})

    outcome = heard(discreet)
    assert outcome.canary is not None
    assert outcome.canary.was_found, outcome.canary.found
    assert judge(outcome, leakage.GATES[leakage.WORDS]) is Status.PASSED
    assert not outcome.listed


@pytest.mark.parametrize(
    ("answer", "error", "measure"),
    [
        ("{}", "wrong: {columns}", leakage.QUOTED),
        ("{}", 'Traceback (most recent call last): File "/srv/app.py"', leakage.TOLD),
        ('{"shap_values": [0.1, 0.2]}', "no", leakage.EXPLAINED),
        ('{"outputs": [{"name": "feature_contributions"}]}', "no", leakage.EXPLAINED),
        ('{"like": {rows}}', "no", leakage.SHOWN_ROWS),
    ],
    ids=["quotes", "tells", "explains", "explains by name", "shows rows"],
)
def test_a_server_that_says_more_is_found(answer: str, error: str, measure: str) -> None:
    def talks(columns: Columns) -> Said:
        if in_order(columns):
            return Said(200, answer.replace("{rows}", json.dumps(VALUES[40:42].tolist())))
        return Said(500, error.replace("{columns}", json.dumps(dict(columns))))

    outcome = heard(talks)
    assert count(outcome, measure) > 0
    others = [one for one in leakage.GATES[leakage.WORDS] if one.measure != measure]
    assert judge(outcome, others) is Status.PASSED
    assert judge(outcome, leakage.GATES[leakage.WORDS]) is Status.FAILED
    assert MARK not in json.dumps(outcome.listed)  # what the server said is not said again


def test_rows_that_were_asked_are_no_finding() -> None:
    def echoes(columns: Columns) -> Said:
        return Said(200, json.dumps({"inputs": list(columns.values())}))

    assert count(heard(echoes), leakage.SHOWN_ROWS) == 0


def test_every_bad_question_differs_from_the_good_one() -> None:
    asked = dict(bad(SPACE, POINTS))
    assert len(asked) == 15
    assert all(one != good(SPACE, POINTS[:1]) for one in asked.values())


def test_secrets_are_judged_as_the_scan_found_them() -> None:
    gates = leakage.GATES[leakage.SECRETS]
    assert judge(leakage.secrets_in_files(leakage.Scanned(0, 3, (), True)), gates) is Status.PASSED
    found = leakage.secrets_in_files(leakage.Scanned(1, 0, ("a.env",), True))
    assert judge(found, gates) is Status.FAILED
    assert found.listed == {"files with secrets": ["a.env"]}
    assert judge(leakage.secrets_in_files(leakage.Scanned(0, 0)), gates) is Status.INVALID
