"""Pickles within values of other pickles, and within texts: never clean, and no false alarm."""

import bz2
import gzip
import io
import lzma
import pickle
import zlib
from collections.abc import Callable

import joblib
import numpy as np
import pytest
from tests.engines.scanning.scan_bytes import assert_clean, assert_malicious, rules, scan

from strongroom.engines.scanning.findings import Verdict
from strongroom.engines.scanning.reading import Limits

SYSTEM = b"cos\nsystem\n(S'id'\ntR."
SYSTEM_2 = b"\x80\x02" + SYSTEM


def unpacked(data: bytes) -> bytes:
    return data


def packed_by_gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


PACKERS = [unpacked, packed_by_gzip, zlib.compress, bz2.compress, lzma.compress]


@pytest.mark.parametrize("pack", PACKERS, ids=["plain", "gzip", "zlib", "bz2", "xz"])
@pytest.mark.parametrize("inner", [SYSTEM, SYSTEM_2], ids=["protocol 0", "protocol 2"])
def test_in_bytes_of_every_protocol(inner: bytes, pack: Callable[[bytes], bytes]) -> None:
    long = inner + bytes(range(256)) * 20  # longer than what is kept as a value
    for protocol in range(6):
        for value in (pack(inner), bytearray(pack(inner)), pack(long)):
            data = pickle.dumps({"weights": value}, protocol)
            report = assert_malicious(data, "SR-PKL-001", "m.pkl")
            (found,) = (f for f in report.findings if f.rule_id == "SR-PKL-001")
            assert "inside a bytes value" in found.says
            assert 0 < (found.offset or 0) <= len(data)


def test_in_texts_of_python_2() -> None:
    for text in (SYSTEM_2, SYSTEM_2 + bytes(2000)):
        counted = b"T" + len(text).to_bytes(4, "little") + text
        quoted = b"S'" + b"".join(b"\\x%02x" % byte for byte in text) + b"'\n"
        for value in (counted, quoted):
            assert_malicious(b"\x80\x02" + value + b".", "SR-PKL-001", "m.pkl")


def test_in_arrays_of_objects() -> None:
    values = np.array([packed_by_gzip(SYSTEM_2), 1], dtype=object)
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=True)
    assert_malicious(buffer.getvalue(), "SR-PKL-001", "a.npy")
    for compress in (0, 3):
        buffer = io.BytesIO()
        joblib.dump({"a": values}, buffer, compress=compress)
        assert_malicious(buffer.getvalue(), "SR-PKL-001", "a.joblib")


def test_deep_and_large_ones_stop() -> None:
    data = SYSTEM_2
    for depth in range(9):
        data = pickle.dumps(data, 2 + depth % 3)
        assert scan(data, "m.pkl").verdict is not Verdict.CLEAN, depth
    assert rules(scan(data, "m.pkl")) == {"SR-PKL-011"}
    layers = SYSTEM_2
    for _ in range(9):
        layers = packed_by_gzip(layers)
    assert rules(scan(pickle.dumps(layers), "m.pkl")) == {"SR-PKL-011"}
    bomb = packed_by_gzip(SYSTEM_2[:-1] + b"0N" * 400_000 + b".")
    tight = Limits(unpacked_bytes=100_000)
    assert "SR-PKL-011" in rules(scan(pickle.dumps([bomb]), "m.pkl", tight))
    # Symbols of the outer program and the inner one count together.
    texts = b"]" + b"".join(b"X\x20\x00\x00\x00" + b"%032d" % n + b"a" for n in range(3000))
    outer = b"\x80\x02(" + texts + b"B" + len(SYSTEM_2 + texts).to_bytes(4, "little")
    outer += b"\x80\x02" + texts + SYSTEM + b"t."
    held = Limits(held_bytes=400_000)
    assert "SR-PKL-011" in rules(scan(outer, "m.pkl", held))


def test_values_that_only_look_like_programs() -> None:
    generator = np.random.default_rng(7)
    for protocol in (0, 1, 2, 4, 5):
        values: list[object] = [np.full(30_000, code, np.uint8) for code in b")(N]xB\x1f"]
        values += [bytes(generator.integers(0, 256, 40, dtype=np.uint8)) for _ in range(200)]
        values += ["(the cosine\nsystem)\n" * 100, gzip.compress(b"plain text" * 10, mtime=0)]
        assert_clean(pickle.dumps(values, protocol), "m.pkl")


def test_a_long_line_of_protocol_0() -> None:
    assert_clean(pickle.dumps(np.arange(130_000.0) ** 2, 0), "m.pkl")


def test_calling_what_cannot_be_called() -> None:
    # Both unpicklers fail there, so that nothing is run.
    for program in (b"K\x01K\x02R.", b"N)R.", b"]K\x01\x81."):
        with pytest.raises((TypeError, AttributeError, pickle.UnpicklingError)):
            pickle.loads(b"\x80\x02" + program)
        assert rules(scan(b"\x80\x02" + program, "m.pkl")) == {"SR-PKL-010"}


# ---- within texts ----

PROGRAMS = {
    "reduce": SYSTEM,
    "inst": b"(S'id'\nios\nsystem\n.",
    "obj": b"(cos\nsystem\nS'id'\no.",
    "stack global": b"Vos\nVsystem\nq\xc2\x93(S'id'\ntR.",
    "memo": b"cos\nsystem\np0\n0g0\n(S'id'\ntR.",
}
FRONTS = [
    b" ",
    b"\n\n\t",
    b"\xef\xbb\xbf",
    b"# a comment (of sorts)\n",
    b'{"a": [1, 2]}\n',
    b"---\n",
]


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_behind_text(program: bytes) -> None:
    for front in FRONTS:
        for name in ("a.txt", "README.md", "config.json", "conf.yaml"):
            report = assert_malicious(front + program + b"\nthe end", "SR-PKL-013", name)
            assert "SR-PKL-001" in rules(report), (front, name)


def test_far_behind_text() -> None:
    far = b"a line of text that is no program at all, however long\n" * 20_000
    assert_malicious(far + SYSTEM, "SR-PKL-013", "a.txt")
    late = SYSTEM.replace(b"id", b"x" * 1_200_000)
    assert_malicious(b"\n" + late + far, "SR-PKL-013", "a.txt")


def test_an_unknown_callable_behind_text() -> None:
    assert_malicious(b"\ncowned.models\nrun\n(tR.", "SR-PKL-004", "a.txt")


def test_very_many_beginnings_stop() -> None:
    assert rules(scan(b"\n" + b"cos\nsystem\n" * 500, "a.txt")) == {"SR-PKL-011"}


def test_honest_text() -> None:
    words = ["broadcast", "forecast", "cos", "system", "radios", "(bar)", "p", "Very last", "cast"]
    vocabulary = "\n".join(words * 50).encode()
    assert_clean(vocabulary, "vocab.txt")
    prose = (
        "Sinus, cos\nsystem\n(as in “optics”) or \u2013 with a dash \u2013\nR. Roe, pre\u2013war\n"
        * 20
    )
    assert_clean(prose.encode(), "README.md")
