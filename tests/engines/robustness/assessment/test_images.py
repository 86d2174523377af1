"""Rows as arrays and images: what is read and refused, their space, both norms, pictures."""

import io
import struct
import zipfile
import zlib
from base64 import b64decode, b64encode
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.lib import format as npy
from numpy.typing import NDArray

from strongroom.engines.robustness.assessment import arrays, evasion_tests, page, pictures
from strongroom.engines.robustness.assessment.plan import Images, Plan, parse_plan
from strongroom.engines.robustness.assessment.running import assess
from strongroom.engines.robustness.assessment.subject import Sample, Subject
from strongroom.engines.robustness.assessment.table import features_of, space_of
from strongroom.engines.robustness.evasion import gradients
from strongroom.engines.robustness.outcome import Canary, Curve, Measure, Outcome, Status
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Rows, Target
from strongroom.errors import TooLargeError, ValidationError

CELLS = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)


def saved(array: NDArray[Any], **more: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    if more:
        np.savez_compressed(file, x=array, **more)  # type: ignore[arg-type] # names are free
    else:
        np.save(file, array)
    return file.getvalue()


# ---- arrays ----


@pytest.mark.parametrize("kind", ["u1", "<i8", ">i2", "<f4", "f8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_numbers_are_read(kind: str, order: str) -> None:
    given = np.asarray(CELLS.astype(kind), order=order)  # type: ignore[call-overload] # one of both
    found = arrays.table_of(saved(given))
    assert found.column_names == [f"x{at}" for at in range(8)]
    table = np.column_stack([found.column(name).to_numpy() for name in found.column_names])
    np.testing.assert_array_equal(table, CELLS.astype(kind).reshape(3, 8).astype(np.float64))


@pytest.mark.parametrize("name", ["label", "y", "targets"])
def test_an_archive_brings_its_labels(name: str) -> None:
    labels = np.array([5, 6, 5])
    found = arrays.table_of(saved(CELLS, **{name: labels}))
    assert found.column("label").to_pylist() == [5, 6, 5]
    other = arrays.table_of(saved(CELLS, mine=labels), "mine")
    assert other.column("mine").to_pylist() == [5, 6, 5]
    assert other.num_columns == 9


class Bomb:
    """Runs where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a pickle was loaded",)


def header(text: str, body: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    line = text.encode("latin1") + b"\n"
    size = struct.pack("<H" if version == (1, 0) else "<I", len(line))
    return npy.MAGIC_PREFIX + bytes(version) + size + line + body


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


GOOD = saved(CELLS)
HOSTILE = {
    "empty": b"",
    "text": b"age,ill\n1,2\n",
    "a pickle inside": saved(np.array([[Bomb()]], dtype=object)),
    "a pickle in an archive": zipped(x=saved(np.array([[Bomb()]], dtype=object))),
    "cut off": GOOD[:-3],
    "more behind": GOOD + b"1",
    "texts": saved(np.array([["a", "b"]])),
    "complex": saved(np.ones((2, 2), np.complex128)),
    "fields": saved(np.zeros((2, 2), [("a", "i4")])),
    "times": saved(np.zeros((2, 2), "M8[s]")),
    "a huge shape": header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 9)}"),
    "a negative shape": header("{'descr': '<f8', 'fortran_order': False, 'shape': (-2, -4)}",
                               bytes(64)),
    "a nested shape": header("{'descr': '<f8', 'fortran_order': False, 'shape': " + "(" * 5_000),
    "a call": header("{'descr': exit(), 'fortran_order': False, 'shape': (1, 1)}", bytes(8)),
    "a long header": header(" " * 60_000),
    "another version": header("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1)}", bytes(8),
                              (3, 0)),
    "one axis": saved(np.arange(5)),
    "no rows": saved(np.empty((0, 4))),
    "two arrays": zipped(x=GOOD, z=GOOD),
    "no array": zipped(),
    "no zip": b"PK\x03\x04" + bytes(100),
    "labels of another length": zipped(x=GOOD, y=saved(np.arange(9))),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_holds_no_numbers_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        arrays.table_of(HOSTILE[name])


@pytest.mark.parametrize("packed", [False, True], ids=["npy", "npz"])
def test_bytes_that_were_changed_are_read_or_refused(packed: bool) -> None:
    whole = saved(CELLS, y=np.arange(3)) if packed else GOOD
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        data = bytearray(whole)
        for at in rng.integers(min(len(data), 200), size=3):
            data[at] = rng.integers(256)
        try:
            arrays.table_of(bytes(data))
        except (ValidationError, TooLargeError):
            refused += 1
    assert refused > 200
    # A member that begins before the archive does: an offset of the directory, moved.
    directory = bytearray(zipped(x=GOOD))
    at = directory.rindex(b"PK\x05\x06") + 16
    directory[at : at + 4] = b"\xff\xff\x00\x00"
    with pytest.raises(ValidationError):
        arrays.table_of(bytes(directory))


def test_what_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooLargeError, match="10,001"):
        arrays.table_of(saved(np.zeros((1, 10_001))))
    with pytest.raises(TooLargeError, match="more than 20"):
        arrays.table_of(zipped(**{f"a{at}": GOOD for at in range(21)}))
    monkeypatch.setattr(arrays, "MAX_BYTES", 300)
    bomb = zipped(x=saved(np.zeros((100, 1_000))))
    assert len(bomb) < 5_000  # it grows as it is read
    with pytest.raises(TooLargeError, match="300 bytes"):
        arrays.table_of(bomb)
    with pytest.raises(TooLargeError):
        arrays.table_of(saved(np.zeros((100, 100))))


# ---- the space of images ----


def table(rows: Rows) -> pa.Table:
    return pa.table({f"x{at}": rows[:, at] for at in range(rows.shape[1])})


def images(text: str) -> Plan:
    return parse_plan(f"version = 1\n[images]\n{text}\n")


def test_cells_have_one_range_and_no_steps() -> None:
    whole = table(np.array([[0.0, 3, 9, 16], [1, 2, 3, 4]]))
    features = features_of(whole, images("shape = [2, 2]").columns)
    space = space_of([whole], features, images("shape = [2, 2]"))
    assert {(one.low, one.high, one.step) for one in space.features} == {(0.0, 16.0, 0.0)}
    said = space_of([whole], features, images("shape = [4, 1, 1]\nlow = -1\nhigh = 255"))
    assert {(one.low, one.high) for one in said.features} == {(-1.0, 255.0)}
    with pytest.raises(ValidationError, match="2 x 3, the rows have 4"):
        space_of([whole], features, images("shape = [2, 3]"))
    alike = table(np.full((2, 4), 7.0))
    with pytest.raises(ValidationError, match="all alike"):
        space_of([alike], features, images("shape = [2, 2]"))
    missing = table(np.full((2, 4), np.nan))
    with pytest.raises(ValidationError, match="all alike"):
        space_of([missing], features, images("shape = [2, 2]"))
    ruled = images("shape = [2, 2]\n[features.x0]\nmutable = false")
    with pytest.raises(ValidationError, match="no rules"):
        space_of([whole], features, ruled)
    words = pa.table({"x0": ["a"], "x1": ["b"]})
    with pytest.raises(ValidationError, match="texts"):
        space_of([words], features_of(words, images("shape = [1, 2]").columns),
                 images("shape = [1, 2]"))  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["shape = [2]", "shape = [2, 2, 2, 2]", "shape = [2.5, 2]", "shape = [0, 2]", "shown = 2",
     "shape = [9999, 2]", "shape = [2, 2]\nshown = 21", "shape = [2, 2]\nlow = 3\nhigh = 3",
     'shape = "2x2"', "shape = [true, 2]", "shape = [nan, 2]", "shape = [2, 2]\nfolder = 1"],
)  # fmt: skip
def test_images_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="images"):
        images(text)


@pytest.mark.parametrize(
    "text",
    ['norm = "l1"', "declared = 0.0", "declared = 100", "tolerance = 0", "tolerance = -1",
     "budgets = [0.2, 0.1]", "budgets = [0.1, 0.1]", "budgets = [0]", "budgets = 1",
     "budgets = [" + "0.1, " * 101 + "]", "tolerance = inf", "rows = 3"],
    ids=range(12),
)  # fmt: skip
def test_evasion_that_is_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="evasion"):
        parse_plan(f"version = 1\n[evasion]\n{text}\n")


def test_what_a_plan_says_of_evasion_is_done() -> None:
    text = '[evasion]\nnorm = "linf"\ndeclared = 0.3\nbudgets = [0.1, 0.5]\ntolerance = 2\n'
    made = evasion_tests.settings_of(parse_plan("version = 1\nrows = 7\n" + text), 64)
    assert (made.norm, made.declared, made.budgets, made.tolerance, made.rows) == (
        "linf", 0.3, (0.1, 0.5), 2.0, 7,
    )  # fmt: skip
    assert evasion_tests.settings_of(parse_plan("version = 1"), 64).budgets == (
        0.02, 0.05, 0.1, 0.2, 0.4, 0.8,
    )  # fmt: skip


def test_wide_rows_are_asked_more_often() -> None:
    plan = parse_plan("version = 1")
    asked = [evasion_tests.settings_of(plan, width).queries for width in (64, 784, 100_000)]
    assert asked == [1_000, 1_960, 5_000]


# ---- tests of images ----

SLOPES = np.random.default_rng(0).normal(size=(2, 16))


def answers(rows: Rows) -> Rows:
    logits = 6 * rows @ SLOPES.T
    made = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(made / made.sum(axis=1, keepdims=True))


def subject() -> Subject:
    rows = np.random.default_rng(1).random((12, 16))
    sample = Sample(rows, answers(rows).argmax(axis=1), np.empty(0), np.arange(12))
    return Subject(
        Target(answers, classes=2), Space.box(16), ("a", "b"), None, sample, answers,
        gradient=gradients.of_linear(6 * SLOPES, np.zeros(2)),
    )  # fmt: skip


def run(plan: Plan, test: str = "evasion.gradient") -> tuple[Outcome, str]:
    tests = [one for one in evasion_tests.listed() if one.id == test]
    report = assess(subject(), plan, tests)
    outcome = report.ran[0].outcome
    assert outcome is not None, report.ran[0].broke
    return outcome, page.report_page(report, model="net")


def test_images_are_attacked_in_both_norms_and_shown_only_where_asked() -> None:
    plan = images("shape = [4, 4]")
    outcome, text = run(plan)
    assert {curve.x for curve in outcome.curves} == {"distance in l2", "distance in linf"}
    one, other = outcome.measure("median distance"), outcome.measure("median distance in linf")
    assert one and other  # noqa: PT018 # both are there
    assert 0 < other.value < one.value < 4 * other.value + 1e-6  # L2 of 16 cells: 4 at most
    assert outcome.canary is not None
    assert outcome.canary.was_found
    assert "pictures" not in outcome.listed
    assert "data:image" not in text
    assert "no value of a row" in text
    shown, drawn = run(replace(plan, images=Images((4, 4), shown=2)))
    assert len(shown.listed["pictures"]) == 2
    assert drawn.count("data:image/png;base64,") == 6
    assert "img-src data:" in drawn
    assert "treat this page like the data" in drawn
    assert replace(shown, listed={}) == replace(outcome, listed={})
    before = np.frombuffer(b64decode(shown.listed["pictures"][0]["before"]), np.uint8)
    row = subject().rows.rows[shown.listed["pictures"][0]["row"]]
    np.testing.assert_array_equal(before, np.round(255 * row))


def test_a_canary_missed_in_one_norm_is_missed() -> None:
    def outcome(found: bool, reason: str = "") -> Outcome:
        return Outcome("t", 3, (), (Measure("m", 1.0),), Canary("c", found, "f"),
                       (Curve("c", "distance", "y", ()),), ("w", "v"), {}, 5, reason)  # fmt: skip

    for first, second in ((True, False), (False, True)):
        both = evasion_tests.in_both(outcome(first), outcome(second), "l2", "linf")
        assert both.canary is not None
        assert not both.canary.was_found
    both = evasion_tests.in_both(outcome(True), outcome(True), "l2", "linf")
    assert both.canary is not None
    assert both.canary.was_found
    assert both.queries == 10
    assert [one.name for one in both.measures] == ["m", "m in linf"]
    assert evasion_tests.in_both(outcome(True), outcome(True, "no"), "l2", "linf").reason == "no"


def test_smoothing_stands_in_where_nothing_is_proved() -> None:
    plan = parse_plan("version = 1")
    outcome, _ = run(plan, "evasion.smoothed")
    assert outcome.measure("smoothed certified accuracy") is not None
    proved = replace(subject(), exact=(6 * SLOPES, np.zeros(2)))
    tests = [one for one in evasion_tests.listed() if one.id == "evasion.smoothed"]
    assert assess(proved, plan, tests).ran[0].status is Status.NOT_APPLICABLE


# ---- pictures ----


def decoded(address: str) -> NDArray[np.uint8]:
    """The cells of a PNG file, read by another hand: no filters, one chunk of data."""
    data = b64decode(address.removeprefix("data:image/png;base64,"))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length :][:4])[0] == zlib.crc32(name + body)
        chunks[name] = body
        at += 12 + length
    width, height, depth, kind = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert depth == 8
    channels = {0: 1, 2: 3}[kind]
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8)
    lines = lines.reshape(height, 1 + width * channels)
    assert not lines[:, 0].any()
    return lines[:, 1:].reshape(height, width, channels)


def listed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> list[dict[str, Any]]:
    return [{
        "row": 4, "distance": 0.25, "before": b64encode(before.tobytes()).decode(),
        "after": b64encode(after.tobytes()).decode(),
    }]  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "drawn"),
    [((5, 4), (5, 4, 1)), ((5, 4, 1), (5, 4, 1)), ((5, 4, 3), (5, 4, 3)), ((3, 5, 4), (5, 4, 3)),
     ((1, 5, 4), (5, 4, 1)), ((5, 4, 2), (5, 4, 1))],
)  # fmt: skip
def test_pictures_are_png_of_the_cells(shape: tuple[int, ...], drawn: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    before = rng.integers(0, 255, size=shape).astype(np.uint8)
    after = before.copy()
    after.flat[0] ^= 64
    [one] = pictures.shown(listed(before, after), shape)
    assert (one.row, one.distance) == (5, 0.25)
    channels = 1 if shape != (5, 4, 2) else 2  # two are drawn as their mean
    assert one.largest == pytest.approx(64 / 255 / channels)
    cells = decoded(one.before)
    assert cells.shape == drawn
    if drawn[2] == shape[-1]:
        np.testing.assert_array_equal(cells, before)
    if shape == (3, 5, 4):
        np.testing.assert_array_equal(cells, before.transpose(1, 2, 0))
    assert decoded(one.difference).shape == drawn


def test_a_difference_of_nothing_is_grey_and_what_does_not_fit_is_left_out() -> None:
    cells = np.full((3, 3), 9, np.uint8)
    [one] = pictures.shown(listed(cells, cells), (3, 3))
    assert (decoded(one.difference) == 128).all()
    assert one.largest == 0.0
    assert pictures.shown(listed(cells, cells), (4, 3)) == []
    broken = [{**listed(cells, cells)[0], "after": "<script>"}]
    assert pictures.shown(broken, (3, 3)) == []
