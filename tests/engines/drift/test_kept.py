"""Windows and models as bytes: what comes back, what stays behind, and what is refused."""

import zlib

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.drift.samples import counted, exact, table

from strongroom.engines.drift.calibration import reliability
from strongroom.engines.drift.comparison import compare
from strongroom.engines.drift.error_model import RegressionState
from strongroom.engines.drift.estimation import estimated
from strongroom.engines.drift.model_packing import (
    CLASSES_MAGIC,
    CLASSES_VERSION,
    classes_from_bytes,
    classes_to_bytes,
    scores_in_tens,
)
from strongroom.engines.drift.model_state import ModelState
from strongroom.engines.drift.multiclass import MulticlassState, multiclass_report
from strongroom.engines.drift.packing import (
    MAGIC,
    MAX_WINDOWS,
    VERSION,
    Kept,
    from_bytes,
    kept_from_bytes,
    thin_windows,
    to_bytes,
)
from strongroom.engines.drift.plan import Counts, Plan
from strongroom.engines.drift.planning import plan_of
from strongroom.engines.drift.scores import ScoreState, performance
from strongroom.engines.drift.slices import OTHERS, SliceScores
from strongroom.engines.drift.state import State, merged
from strongroom.engines.drift.windows import Every, Windows
from strongroom.errors import DriftStateError


def scores(rows: int, seed: int) -> ScoreState:
    """Of a calibrated model; a tenth without a label."""
    random = np.random.default_rng(seed)
    said = random.beta(2, 5, rows)
    labels = np.where(random.random(rows) < 0.1, np.nan, random.random(rows) < said)
    state = ScoreState()
    state.update(np.append(said, np.nan), np.append(labels, 1.0))
    return state


def model(rows: int, seed: int) -> ModelState:
    sliced = SliceScores("ward", ["north", "Erika"])
    sliced.states["north"].merge(scores(rows // 2, seed))
    sliced.states["Erika"].merge(scores(3, seed))
    errors = RegressionState(7.0)
    random = np.random.default_rng(seed)
    errors.update(random.normal(size=rows), random.normal(size=rows))
    return ModelState({"score": "p", "label": "ill"}, scores(rows, seed), {"ward": sliced}, errors,
                      classes(rows, seed))  # fmt: skip


def classes(rows: int, seed: int) -> MulticlassState:
    """Of a calibrated model of three classes; a tenth without a label, and one of none of them."""
    random = np.random.default_rng(seed)
    said = random.dirichlet((1.0, 2.0, 3.0), rows)
    drawn = (random.random(rows)[:, None] > np.cumsum(said, axis=1)).sum(axis=1)
    names = np.array(["a", "b", "c"])[np.minimum(drawn, 2)].tolist()
    labels = [None if random.random() < 0.1 else name for name in names]
    state = MulticlassState(("a", "b", "c"))
    state.update(np.append(said, [[np.nan, 0.5, 0.5]], axis=0), [*labels, "d"])
    return state


def kept(plan: Plan, sizes: tuple[int, ...]) -> Kept:
    windows = Windows(plan, Every.DAY)
    for at, rows in enumerate(sizes):
        windows.add(at, counted(table(rows, at), plan))
    untimed = counted(table(40, 99), plan)
    whole = merged([untimed, *(one for _, one in windows)], plan)
    return Kept(whole, windows, by_phase=True, untimed=untimed, model=model(2_000, 5))


EXACT = kept(exact(table(500, 1)), (300, 500))
BYTES = to_bytes(EXACT)


def test_it_comes_back_whole() -> None:
    back = kept_from_bytes(BYTES)
    assert back.state == EXACT.state == from_bytes(BYTES)
    assert back.windows is not None
    assert EXACT.windows is not None
    assert dict(back.windows) == dict(EXACT.windows)
    assert (back.windows.every, back.by_phase, back.untimed) == (Every.DAY, True, EXACT.untimed)
    assert back.model is not None
    assert EXACT.model is not None
    assert back.model.scores == EXACT.model.scores
    assert back.model.errors == EXACT.model.errors
    assert back.model.slices["ward"].states == EXACT.model.slices["ward"].states
    assert back.model.columns == EXACT.model.columns
    assert thin_windows(EXACT) == 0


def test_by_a_private_plan_no_count_is_small_and_none_can_be_reckoned() -> None:
    plan = plan_of(table(4_000, 1))
    given_ = kept(plan, (1_500, 400, 1_200))
    data = to_bytes(given_)
    back = kept_from_bytes(data)
    assert b"Erika" not in zlib.decompress(data[len(MAGIC) + 1 :])
    assert thin_windows(given_) == 1
    assert back.windows is not None
    assert [at for at, _ in back.windows] == [0, 2]
    assert back.untimed is not None
    assert back.untimed.rows == 440  # with the window that was too thin
    parts = [back.untimed, *(one for _, one in back.windows)]
    for one in parts:
        assert (one.counts[one.counts > 0] >= 10).all()
    # The whole is the sum of its parts: their difference tells nothing.
    assert (back.state.counts == sum(one.counts for one in parts)).all()
    assert back.model is not None
    for state in (back.model.scores, *back.model.slices["ward"].states.values()):
        assert (state.counts % 10 == 0).all()
        expected = ScoreState()
        expected.counts = state.counts
        expected.recount_sums()
        assert (state.sums == expected.sums).all()  # they hold nothing that counts do not
        assert state.left_out == 0
    assert set(back.model.slices["ward"].states) == {"north", OTHERS}
    few = to_bytes(Kept(given_.state, model=model(900, 1)))
    read = kept_from_bytes(few).model
    assert read is not None
    assert read.errors is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=256, max_size=256), st.integers(2, 12))
def test_tens_stay_near_their_place(counts: list[int], minimum: int) -> None:
    state = ScoreState()
    state.counts[1, 0] = counts
    found: Counts = scores_in_tens(state, minimum).counts[1, 0]
    assert (found % minimum == 0).all()
    assert abs(int(found.sum()) - sum(counts)) <= minimum // 2
    mean = np.average(np.arange(256), weights=np.maximum(counts, 1e-9))
    if found.any():
        most = 256 * minimum / max(sum(counts), minimum)
        assert abs(np.average(np.arange(256), weights=found) - mean) < 0.5 + most


def test_what_a_private_state_says_of_the_model_is_nearly_the_same() -> None:
    first, second = scores(5_000, 1), scores(4_000, 2)
    coarse = scores_in_tens(first, 10)
    for name in ("accuracy", "precision", "recall", "auc", "brier", "log_loss"):
        expected = getattr(performance(first), name)
        assert getattr(performance(coarse), name) == pytest.approx(expected, abs=0.01), name
    before, now = estimated(first, second), estimated(coarse, scores_in_tens(second, 10))
    assert before is not None
    assert now is not None
    assert now.warnings == before.warnings == ()
    assert now.performance.accuracy == pytest.approx(before.performance.accuracy, abs=0.01)
    # Rounding is no sign of scores that are off.
    p_values = [reliability(scores_in_tens(scores(1_500, seed), 10)) for seed in range(40)]
    assert sum(one is not None and one.p_value < 0.05 for one in p_values) <= 5


def test_rounded_windows_tell_no_change_that_is_none_and_those_that_are() -> None:
    found = moved = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        rows = {"x": random.normal(size=1_200), "y": random.lognormal(0, 2, 1_200)}
        plan = plan_of(pa.table(rows))
        windows = Windows(plan, Every.DAY)
        windows.add(0, counted(rows, plan))
        back = kept_from_bytes(to_bytes(Kept(windows.of(0), windows))).state
        assert back.noise > 0
        now = {"x": random.normal(size=1_000), "y": random.lognormal(0.2, 2, 1_000) * 1.3}
        x, y = compare(back, counted(now, plan)).columns
        found += x.p_value <= 0.05
        moved += y.p_value <= 0.05
        measure = x.measure("jensen_shannon")
        assert measure is not None
        assert measure < 0.15
    assert found <= 6  # 2 are expected
    assert moved >= 35


def test_the_first_version_is_read() -> None:
    state = counted(table(200, 3), exact(table(200, 3)))
    document = msgspec.msgpack.decode(zlib.decompress(to_bytes(state)[len(MAGIC) + 1 :]))
    digest, plan, part = document[:3]
    first = msgspec.msgpack.encode([digest, plan, *part[:6]])
    assert from_bytes(MAGIC + bytes([1]) + zlib.compress(first)) == state


def test_the_second_version_is_read() -> None:
    document = msgspec.msgpack.decode(zlib.decompress(BYTES[len(MAGIC) + 1 :]))
    document[6] = document[6][:4]
    second = zlib.compress(msgspec.msgpack.encode(document))
    back = kept_from_bytes(MAGIC + bytes([2]) + second).model
    now = kept_from_bytes(BYTES).model
    assert back is not None
    assert now is not None
    assert back.classes is None
    assert back.scores == now.scores
    private = to_bytes(counted(table(900, 1), plan_of(table(900, 1))))
    earlier = MAGIC + bytes([2]) + private[len(MAGIC) + 1 :]
    assert any("make it again" in one for one in from_bytes(earlier).remarks)
    assert not any("make it again" in one for one in from_bytes(private).remarks)


def test_classes_have_bytes_of_their_own_that_merge() -> None:
    first, second = classes(3_000, 1), classes(2_000, 2)
    back = classes_from_bytes(classes_to_bytes(first, 0))
    assert back == first
    assert back.unlisted == 1
    back.merge(classes_from_bytes(classes_to_bytes(second, 0)))
    first.merge(second)
    assert back == first
    private = classes_from_bytes(classes_to_bytes(first, 10))
    states = [private.chosen, *private.by_class.values()]
    assert all(not (one.counts % 10).any() and one.left_out % 10 == 0 for one in states)
    assert private.unlisted == 0
    assert multiclass_report(first, private).accuracy[1] == pytest.approx(
        multiclass_report(first, first).accuracy[1], abs=0.02)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=8), st.booleans())
def test_changed_bytes_of_classes_are_refused_or_sound(at: int, with_: bytes, inside: bool) -> None:
    start = CLASSES_MAGIC + bytes([CLASSES_VERSION])
    body = bytearray(zlib.decompress(CLASSES[len(start) :]) if inside else CLASSES)
    place = at % len(body)
    body[place : place + len(with_)] = with_
    try:
        back = classes_from_bytes(start + zlib.compress(body, 1) if inside else bytes(body))
    except DriftStateError:
        return
    multiclass_report(back, back)


CLASSES = classes_to_bytes(classes(500, 3), 0)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=8))
def test_changed_content_is_refused_or_sound(at: int, with_: bytes) -> None:
    body = bytearray(zlib.decompress(BYTES[len(MAGIC) + 1 :]))
    place = at % len(body)
    body[place : place + len(with_)] = with_
    try:
        back = kept_from_bytes(MAGIC + bytes([VERSION]) + zlib.compress(bytes(body), 1))
    except DriftStateError:
        return
    assert (back.state.counts >= 0).all()
    if back.model is not None:
        performance(back.model.scores)
        estimated(back.model.scores, back.model.scores)
        if back.model.errors is not None:
            back.model.errors.performance()


def changed(**parts: object) -> bytes:
    names = ("digest", "plan", "rest", "every", "by_phase", "windows", "model")
    document = msgspec.msgpack.decode(zlib.decompress(BYTES[len(MAGIC) + 1 :]))
    for name, value in parts.items():
        document[names.index(name)] = value
    return MAGIC + bytes([VERSION]) + zlib.compress(msgspec.msgpack.encode(document))


def test_what_makes_no_sense_is_refused() -> None:
    document = msgspec.msgpack.decode(zlib.decompress(BYTES[len(MAGIC) + 1 :]))
    (at, part), *_ = document[5]
    columns, score, slices, errors, (names, by_class, chosen, unlisted) = document[6]
    kept_model = [columns, score, slices, errors]
    for bad in (
        changed(every="minute"), changed(every=""),
        changed(windows=[[at, part], [at, part]]), changed(windows=[[1 << 50, part]]),
        changed(windows=[[one, part] for one in range(MAX_WINDOWS + 1)]),
        changed(model=[{"role": "x"}, score, slices, errors]),
        changed(model=[{"score": "x" * 999}, score, slices, errors]),
        changed(model=[columns, [score[0][:-8], *score[1:]], slices, errors]),
        changed(model=[columns, [score[0], bytes(len(score[1])), *score[2:]], slices, errors]),
        changed(model=[columns, [*score[:2], -1, 0], slices, errors]),
        changed(model=[columns, score, {"ward": {"north": score}}, errors]),
        changed(model=[columns, score, slices, [float("nan"), *errors[1:]]]),
        changed(model=[columns, score, slices, [0.0, *errors[1:]]]),
        changed(model=[columns, score, slices, [errors[0], 0, *errors[2:]]]),
        changed(model=[columns, score, slices, [*errors[:3], errors[3][:2]]]),
        changed(model=[columns, score, slices, [*errors[:3], [b"\xff" * 32] * 5]]),
        changed(model=[*kept_model, [names[:1], by_class[:1], chosen, unlisted]]),
        changed(model=[*kept_model, [["a", "b", "a"], by_class, chosen, unlisted]]),
        changed(model=[*kept_model, [["a", "b", "x" * 200], by_class, chosen, unlisted]]),
        changed(model=[*kept_model, [names, by_class[:2], chosen, unlisted]]),
        changed(model=[*kept_model, [names, by_class, [chosen[0][:-8], *chosen[1:]], unlisted]]),
        changed(model=[*kept_model, [names, by_class, chosen, -1]]),
        changed(model=[*kept_model, [list(map(str, range(200))), [chosen] * 200, chosen, 0]]),
    ):  # fmt: skip
        with pytest.raises(DriftStateError):
            kept_from_bytes(bad)


def test_what_no_reader_would_take_is_not_written() -> None:
    plan = exact(table(50, 1))
    windows = Windows(plan, Every.HOUR)
    for at in range(MAX_WINDOWS + 1):
        windows.of(at)
    with pytest.raises(DriftStateError, match="too large"):
        to_bytes(Kept(State(plan), windows))
