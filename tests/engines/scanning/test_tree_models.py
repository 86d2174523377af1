"""Boosting models in their own formats: whole or not."""

import struct
from io import BytesIO

import pytest
from tests.engines.scanning.made_files import flatbuffer
from tests.engines.scanning.samples import samples
from tests.engines.scanning.scan_bytes import assert_clean, rules, scan

from strongroom.engines.scanning.findings import Verdict
from strongroom.engines.scanning.reading import LimitError, MalformedError, Reader
from strongroom.engines.scanning.tree_models import check_ubjson


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def xgboost_binary(
    booster: bytes = b"gbtree", *, trees: int = 2, tail: bytes = b"", attributes: int = 1
) -> bytes:
    """XGBoost's format of before 3.1, from its structures."""
    learner = struct.pack("<fIiiiIIIi100x", 0.5, 2, 0, attributes, 0, 1, 7, 1, 0)
    tree = struct.pack("<iii", 0, 3, 0).ljust(148, b"\x00") + bytes(3 * (20 + 16))
    model = struct.pack("<i", trees).ljust(160, b"\x00") + tree * trees + bytes(4 * max(0, trees))
    if booster == b"dart":
        model += struct.pack("<Q", trees) + bytes(4 * trees)
    if booster == b"gblinear":
        model = struct.pack("<Ii128x", 2, 1) + struct.pack("<Q", 3) + bytes(12)
    extra = struct.pack("<Q", 1) + text(b"best_iteration") + text(b"1") if attributes else b""
    return b"binf" + learner + text(b"binary:logistic") + text(booster) + model + extra + tail


@pytest.mark.parametrize("booster", [b"gbtree", b"dart", b"gblinear"], ids=bytes.decode)
def test_the_old_binary_format(booster: bytes) -> None:
    whole = xgboost_binary(booster)
    for data in (whole, whole[4:]):  # with and without its mark
        report = assert_clean(data, "model.bin")
        assert (report.files[0].format, report.data_only) == ("xgboost-binary", True)
    assert rules(scan(xgboost_binary(booster, tail=b"x"))) == {"SR-TRE-001"}
    for length in range(170, len(whole), 11):
        assert rules(scan(whole[:length], "model.bin")) == {"SR-TRE-001"}, length


def test_a_booster_that_is_none() -> None:
    assert rules(scan(xgboost_binary(b"other"))) == {"SR-TRE-001"}
    assert rules(scan(xgboost_binary(trees=-1))) == {"SR-TRE-001"}


def test_ubjson_with_a_tail() -> None:
    assert rules(scan(samples()["xgboost.ubj"] + b"x", "m.ubj")) == {"SR-TRE-001"}


@pytest.mark.parametrize(
    "value",
    [
        b"{i\x01a",
        b"[$d#i\x05xx",
        b"[$d",
        b"?",
        b"{S",
        b"[$Q#i\x01x",
        b"{$i#i\x01",
        b"Si\xff",
        b"SZ",
    ],
    ids=range(9),
)
def test_broken_ubjson(value: bytes) -> None:
    with pytest.raises(MalformedError):
        check_ubjson(Reader(BytesIO(value)))


def test_deep_ubjson_stops() -> None:
    with pytest.raises(LimitError):
        check_ubjson(Reader(BytesIO(b"[" * 100_000)))


@pytest.mark.parametrize("name", ["xgboost.json", "lightgbm.model"])
def test_texts_that_break_off(name: str) -> None:
    whole = samples()[name]
    assert_clean(whole, name)
    for length in range(len(whole) - 300, len(whole)):
        found = rules(scan(whole[:length], name))
        # What stops behind the parameters is a whole model of LightGBM's own command.
        is_whole = name == "lightgbm.model" and whole[:length].rstrip().endswith(b"of parameters")
        assert found == (set() if is_whole and whole[length - 1] == 10 else {"SR-TRE-001"}), length
    trees = whole.find(b"end of trees")
    for length in range(trees + 13, trees + 300, 9):
        assert rules(scan(whole[:length], name)) == {"SR-TRE-001"}, length


def test_json_whole_or_not() -> None:
    for good in (b'{"learner":{}}', b' {"version":[3,2,0],"learner":{"a":["}\\"]"]}} \n'):
        assert_clean(good, "m.json")
    for bad in (b'{"learner":{}}x', b'{"learner":{}}{', b'{"learner":{}}"x"', b'{"learner":"a\\'):
        assert rules(scan(bad, "m.json")) == {"SR-TRE-001"}, bad
    # A text and an escape across the pieces in which it is read.
    for place in range(3):
        text = b"a" * ((1 << 18) - 14 + place) + b'\\"}'
        assert_clean(b'{"learner":"' + text + b'"}', "m.json")


def catboost(root: dict[int, object], tail: bytes = b"") -> bytes:
    core = flatbuffer(root, b"")  # type: ignore[arg-type] # texts only
    return b"CBM1" + struct.pack("<I", len(core)) + core + tail


def test_catboost() -> None:
    assert_clean(catboost({0: "v1"}), "m.cbm")
    assert_clean(catboost({0: "v1", 3: ["ctr"]}, b"parts"), "m.cbm")
    assert rules(scan(catboost({0: "v1"}, b"more"), "m.cbm")) == {"SR-TRE-001"}
    whole = catboost({0: "v1"})
    for length in range(5, len(whole)):
        report = scan(whole[:length], "m.cbm")
        assert report.verdict is Verdict.UNREADABLE, length


def test_catboost_with_categories() -> None:
    def table(size: int) -> bytes:
        return struct.pack("<I", size) + bytes(size)

    tables = struct.pack("<I", 2) + table(40) + struct.pack("<IQ", 0xFFFFFFFF, 24) + bytes(24)
    root: dict[int, object] = {0: "v1", 3: ["static_provider_v1"]}
    assert_clean(catboost(root, tables), "m.cbm")
    for length in range(len(tables)):
        assert rules(scan(catboost(root, tables[:length]), "m.cbm")) == {"SR-TRE-001"}, length
    assert rules(scan(catboost(root, tables + b"x"), "m.cbm")) == {"SR-TRE-001"}
