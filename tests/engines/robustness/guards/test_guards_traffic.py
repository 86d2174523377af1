"""Monitors of callers: what they remember, whom they catch, and whom they leave alone."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

from strongroom.engines.robustness.guards import callers, streams, traffic, traffic_packing
from strongroom.engines.robustness.guards import tests as room
from strongroom.engines.robustness.guards.callers import KEPT, STATE_BYTES, Caller
from strongroom.engines.robustness.guards.traffic import Habits, Traffic
from strongroom.engines.robustness.outcome import Status, judge
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Labels, OutputForm, Predict, Rows, Target
from strongroom.errors import ValidationError

HABITS = Habits(length=192, streams=80, rate=0.025)


@pytest.fixture(scope="module")
def natural() -> tuple[Rows, Labels, Predict]:
    rows, labels = load_breast_cancer(return_X_y=True)
    rows = (rows - rows.min(axis=0)) / np.ptp(rows, axis=0)
    order = np.random.default_rng(0).permutation(len(rows))
    rows, labels = rows[order], labels[order].astype(np.int64)
    fitted = LogisticRegression(C=10).fit(rows[:150], labels[:150])
    return rows[150:], labels[150:], fitted.predict_proba


@pytest.fixture(scope="module")
def known(natural: tuple[Rows, Labels, Predict]) -> Traffic:
    rows, labels, predict = natural
    return traffic.fit(rows[:300], labels[:300], predict(rows[:300]), habits=HABITS)


def caught(known: Traffic, predict: Predict, rows: Rows) -> int | None:
    return traffic.first_alarm(known, known.ask(rows, predict(rows)))


def test_one_by_one_or_together_is_remembered_alike(
    natural: tuple[Rows, Labels, Predict], known: Traffic
) -> None:
    rows, _, predict = natural
    asked = known.ask(rows[:KEPT], predict(rows[:KEPT]))
    first, second = Caller(), Caller()
    for place in range(KEPT):
        known.hear(first, asked.part(place, place + 1))
    for start in range(0, KEPT, 16):
        known.hear(second, asked.part(start, start + 16))
    assert first.new == second.new == KEPT
    for name in ("digest", "label", "oddness", "margin", "sketch"):
        np.testing.assert_array_equal(first.records[name], second.records[name])
    np.testing.assert_allclose(first.records["nearest"], second.records["nearest"], atol=2e-3)
    np.testing.assert_allclose(known.signals(first), known.signals(second), rtol=0.05, atol=0.05)


def test_a_row_asked_again_is_counted_and_changes_nothing(
    natural: tuple[Rows, Labels, Predict], known: Traffic
) -> None:
    rows, _, predict = natural
    asked = known.ask(rows[:40], predict(rows[:40]))
    caller = Caller()
    known.hear(caller, asked)
    before = known.signals(caller)
    for _ in range(20):
        known.hear(caller, asked)
    assert (caller.rows, caller.repeats, caller.new) == (840, 800, 40)
    np.testing.assert_array_equal(known.signals(caller), before)
    assert known.alarm(caller, bits=3.0).bits == 120.0


def test_a_caller_is_so_many_bytes_and_comes_back(
    natural: tuple[Rows, Labels, Predict], known: Traffic
) -> None:
    rows, _, predict = natural
    caller = Caller()
    assert len(caller.to_bytes()) == STATE_BYTES <= 8_192
    for start in range(0, 250, 16):
        known.hear(caller, known.ask(rows[start : start + 16], predict(rows[start : start + 16])))
    again = Caller.from_bytes(caller.to_bytes())
    assert len(caller.to_bytes()) == STATE_BYTES
    assert known.alarm(again) == known.alarm(caller)
    assert len(again.remembered()) == KEPT


@pytest.mark.parametrize("data", [
    b"", b"\x00" * (STATE_BYTES - 1), b"\xff" * STATE_BYTES, b"\x01" + b"\x00" * (STATE_BYTES - 1),
], ids=["none", "short", "ones", "count"])  # fmt: skip
def test_other_bytes_are_no_caller(data: bytes) -> None:
    with pytest.raises(ValidationError):
        Caller.from_bytes(data)


def test_whoever_asks_for_long_is_no_suspect_for_that(
    natural: tuple[Rows, Labels, Predict], known: Traffic
) -> None:
    rows, _, predict = natural
    fresh, rng = rows[300:], np.random.default_rng(2)
    asked = known.ask(fresh, predict(fresh))
    caller, raised = Caller(), 0
    for _ in range(400):
        known.hear(caller, asked.at(rng.integers(len(fresh), size=16)))
        raised += known.alarm(caller).is_raised
    assert caller.rows == 6_400
    assert raised <= 8  # of 400 looks; a caller who is never forgiven would raise all of them
    attack = rng.random((192, 30))
    known.hear(caller, known.ask(attack, predict(attack)))
    assert known.alarm(caller).is_raised  # and is caught all the same, with what went before


def test_cells_are_counted_anew_after_a_stretch(
    natural: tuple[Rows, Labels, Predict], known: Traffic
) -> None:
    rows, _, predict = natural
    asked = known.ask(rows, predict(rows))
    caller = Caller()
    known.hear(caller, asked.part(0, 191))
    assert caller.cells.sum() > 20
    known.hear(caller, asked.part(191, 193))
    assert caller.new == 193
    np.testing.assert_array_equal(np.flatnonzero(caller.cells), [asked.cells[192]])


def test_digests_need_their_key() -> None:
    rows = np.array([[0.1, 0.2], [0.1, 0.2], [0.1, np.nextafter(0.2, 1)]])
    first, second = callers.digests(rows, b"a"), callers.digests(rows, b"b")
    assert first[0] == first[1] != first[2]
    assert not set(first.tolist()) & set(second.tolist())


def test_attacks_are_caught_and_honest_callers_left_alone(
    natural: tuple[Rows, Labels, Predict], known: Traffic
) -> None:
    rows, _, predict = natural
    fresh, space = rows[300:], Space.box(30)
    rng = np.random.default_rng(5)
    honest = [caught(known, predict, streams.natural(fresh, 192, 0.3, rng)) for _ in range(25)]
    assert sum(one is not None for one in honest) <= 3
    walks = streams.decisions(predict, 2, space, fresh[:1], fresh[1:40], 400, 1)
    lines = streams.lines(predict, space, fresh, 192, rng)
    found = [caught(known, predict, one) for one in (rng.random((192, 30)), walks, lines)]
    assert all(one is not None and one <= 160 for one in found), found
    covered = caught(known, predict, streams.stretched(walks, fresh, 0.5, rng))
    assert covered is not None


def test_lines_keep_to_their_length_and_cover_keeps_the_order() -> None:
    rows = np.random.default_rng(0).random((30, 2))
    rng = np.random.default_rng(1)

    def predict(asked: Rows) -> Rows:
        return np.stack([asked[:, 0], 1 - asked[:, 0]], axis=1)

    made = streams.lines(predict, Space.box(2), rows, 55, rng)
    assert made.shape == (55, 2)
    ends = np.abs(made.reshape(-1, 2)[9::10][:5, 0] - 0.5)
    assert ends.max() < 0.01, "each bisection ends at the edge"
    same = streams.lines(lambda asked: np.tile([1.0, 0.0], (len(asked), 1)), Space.box(2), rows,
                         20, rng)  # fmt: skip
    assert same.shape == (20, 2)
    covered = streams.stretched(np.full((10, 2), 7.0), rows, 0.75, rng)
    assert covered.shape == (40, 2)
    assert (covered == 7.0).all(axis=1).sum() == 10


def test_its_bytes_say_the_same_of_a_caller(
    natural: tuple[Rows, Labels, Predict], known: Traffic
) -> None:
    rows, _, predict = natural
    data = traffic_packing.to_bytes(known)
    again = traffic_packing.from_bytes(data)
    for part in (rows[:100], np.random.default_rng(0).random((100, 30))):
        caller = Caller()
        known.hear(caller, again.ask(part, predict(part)))
        assert again.alarm(caller) == known.alarm(caller)
    assert again.habits == known.habits
    rng = np.random.default_rng(0)
    broken = [b"", data[:-5], data + b"x", b"strongroom guard\x00" + data[19:]]
    for _ in range(40):
        made = bytearray(data)
        made[int(rng.integers(19, len(data)))] ^= int(rng.integers(1, 256))
        broken.append(bytes(made))
    for one in broken:
        with pytest.raises(ValidationError):
            traffic_packing.from_bytes(one)


def test_no_cell_is_a_row(natural: tuple[Rows, Labels, Predict], known: Traffic) -> None:
    sketches = natural[0][:300].astype(np.float32) @ known.projection
    assert np.abs(known.cells[:, None] - sketches[None]).max(axis=2).min() > 1e-4


@pytest.mark.parametrize("habits", [
    Habits(repeats=0.95), Habits(length=10), Habits(streams=20), Habits(rate=0.001),
], ids=["repeats", "length", "streams", "rate"])  # fmt: skip
def test_habits_have_ranges(natural: tuple[Rows, Labels, Predict], habits: Habits) -> None:
    rows, labels, predict = natural
    with pytest.raises(ValidationError):
        traffic.fit(rows, labels, predict(rows), habits=habits)
    with pytest.raises(ValidationError, match="50 rows"):
        traffic.fit(rows[:40], labels[:40], predict(rows[:40]))
    with pytest.raises(ValidationError, match="regression"):
        traffic.fit(rows, labels, predict(rows)[:, :1])


def test_the_assessment_measures_callers(natural: tuple[Rows, Labels, Predict]) -> None:
    rows, labels, predict = natural
    target = Target(predict, classes=2, form=OutputForm(decimals=2))
    settings = room.MonitorSettings(HABITS, streams=4)
    outcome = room.extraction_monitor((rows, labels), target, Space.box(30), settings, 1)
    assert outcome.canary is not None
    assert outcome.canary.was_found, outcome.canary.found
    assert judge(outcome, []) is Status.INFORMATION
    for kind in ("uniform", "lines", "decision attack"):
        found = outcome.measure(f"streams caught: {kind}")
        assert found is not None
        assert found.value == 1.0, kind
    bits = outcome.measure("bits that an answer can tell")
    assert bits is not None
    assert bits.value == pytest.approx(np.log2(101))


def test_a_monitor_that_forgets_misses_its_canary(
    natural: tuple[Rows, Labels, Predict], known: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, _, predict = natural
    inside = Target(predict, classes=2)
    assert room._walk(known, inside, rows).was_found
    monkeypatch.setattr(traffic, "remember", lambda *_: None)
    assert not room._walk(known, inside, rows).was_found


def test_where_monitoring_does_not_apply_it_says_so(
    natural: tuple[Rows, Labels, Predict],
) -> None:
    rows, labels, predict = natural
    space = Space.box(30)
    one = room.extraction_monitor((rows, labels), Target(predict, classes=1), space)
    two = room.extraction_monitor((rows[:60], labels[:60]), Target(predict, classes=2), space)
    three = room.extraction_monitor(
        (rows, labels), Target(predict, classes=2), space,
        room.MonitorSettings(Habits(streams=50)),
    )  # fmt: skip
    assert "regression" in one.reason
    assert "natural rows" in two.reason
    assert "honest streams" in three.reason
