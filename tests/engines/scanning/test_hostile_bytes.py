"""Mutated, truncated and random bytes: the scanner never raises, hangs or runs anything."""

import io
import pickle
import time
import zipfile

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from tests.engines.scanning.scan_bytes import rules, scan

from strongroom.engines.scanning.findings import Verdict
from strongroom.engines.scanning.reading import Limits

SEEDS: dict[str, bytes] = {}


def setup_module() -> None:
    import skops.io  # goes through all of scikit-learn

    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    for protocol in range(6):
        SEEDS[f"pickle{protocol}"] = pickle.dumps(model, protocol)
    for compress in (0, 3):
        buffer = io.BytesIO()
        joblib.dump(model, buffer, compress=compress)
        SEEDS[f"joblib{compress}"] = buffer.getvalue()
    SEEDS["skops"] = skops.io.dumps(model)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, a=np.arange(10), b=np.array([1, "a"], dtype=object))
    SEEDS["npz"] = buffer.getvalue()
    SEEDS["system"] = b"cos\nsystem\n(S'id'\ntR."


KINDS = ["pickle0", "pickle2", "pickle4", "pickle5", "joblib0", "joblib3", "skops", "npz", "system"]


@settings(max_examples=400, deadline=2000)
@given(
    kind=st.sampled_from(KINDS),
    edits=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6)), max_size=4),
    cut=st.floats(0.2, 1),
)
def test_mutations(kind: str, edits: list[tuple[float, bytes]], cut: float) -> None:
    data = bytearray(SEEDS[kind])
    for place, patch in edits:
        at = int(place * len(data))
        data[at : at + len(patch)] = patch
    report = scan(bytes(data[: int(cut * len(data))]))
    assert report.files or report.findings


@settings(max_examples=300, deadline=2000)
@given(st.binary(max_size=200))
def test_random_programs(data: bytes) -> None:
    for head in (b"", b"\x80\x04", b"\x80\x02", b"PK\x03\x04", b"\x93NUMPY", b"GGUF", b"x\x9c"):
        scan(head + data)


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_every_truncation_of_a_model_blocks(kind: str) -> None:
    whole = SEEDS[kind]
    assert scan(whole).verdict is Verdict.CLEAN
    for length in range(2, len(whole), max(1, len(whole) // 150)):
        report = scan(whole[:length], "model.pkl")
        assert report.verdict is not Verdict.CLEAN, length


def test_deep_nesting_is_followed_without_recursion() -> None:
    for program in (
        b"\x80\x02)" + b"\x85" * 60_000 + b".",
        b"\x80\x02" + b"]" * 60_000 + b"a" * 59_999 + b".",
        b"\x80\x02" + b"(" * 60_000 + b".",
    ):
        scan(program)


def test_huge_declared_lengths_cost_nothing() -> None:
    started = time.monotonic()
    for program in (
        b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f" + b"x",
        b"\x80\x04\x8d" + b"\xff" * 8,
        b"\x80\x04\x95" + b"\xff" * 8 + b".",
        b"\x80\x04\x8b\xff\xff\xff\x7f",
        b"\x80\x02T\xff\xff\xff\x7f",
        b"\x80\x05\x96" + b"\xff" * 8,
    ):
        assert scan(program).verdict is Verdict.UNREADABLE
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("program", "limits"),
    [
        (b"\x80\x02" + b"N0" * 5000 + b".", Limits(opcodes=2000)),
        (b"\x80\x02" + b"N" * 9000 + b".", Limits(stack=1000)),
        (b"\x80\x04N" + b"\x94" * 9000 + b".", Limits(memo=1000)),
        (b"\x80\x04" + b"]0" * 9000 + b"N.", Limits(held_bytes=10_000)),
        (b"\x80\x02(" + b"N" * 2000 + (b"(" + b"2" * 900 + b"t0") * 40 + b".", Limits(stack=1000)),
    ],
)
def test_limits_block(program: bytes, limits: Limits) -> None:
    report = scan(program, limits=limits)
    assert report.verdict is Verdict.UNREADABLE
    assert rules(report) == {"SR-PKL-011"}


def test_a_bomb_stops_at_the_ratio() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("blanks", b" " * 20_000_000)
    report = scan(buffer.getvalue(), limits=Limits(ratio=100, ratio_floor_bytes=1_000_000))
    assert rules(report) == {"SR-FMT-005"}
    report = scan(buffer.getvalue(), limits=Limits(unpacked_bytes=1_000_000))
    assert rules(report) == {"SR-FMT-005"}


def test_archives_in_archives_stop_at_the_depth() -> None:
    data = b"hello"
    for _ in range(9):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("a", data)
        data = buffer.getvalue()
    report = scan(data)
    assert rules(report) == {"SR-ARC-004"}
    assert report.verdict is Verdict.UNREADABLE
