"""HDF5: what a file reaches for, and structures that no library writes."""

import struct
import zlib

import pytest
from tests.engines.scanning.made_files import UNDEFINED, hdf5, hdf5_link, hdf5_text
from tests.engines.scanning.samples import samples
from tests.engines.scanning.scan_bytes import assert_clean, assert_malicious, rules, scan

from strongroom.engines.scanning.findings import Verdict
from strongroom.engines.scanning.hdf5_walk import walk_hdf5
from strongroom.engines.scanning.reading import Limits, MalformedError

PROGRAM = b"cos\nsystem\n(S'id'\ntR."
VIRTUAL = (0x08, b"\x04\x03" + bytes(8) + b"\x01\x00\x00\x00")
EXTERNAL_FILES = (0x07, b"\x01" + bytes(30))


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(hdf5_link("x", 64, b"\x00/etc/passwd\x00/y\x00"), id="external link"),
        pytest.param(EXTERNAL_FILES, id="external data"),
        pytest.param(VIRTUAL, id="virtual dataset"),
    ],
)
def test_files_that_reach_into_others(message: tuple[int, bytes]) -> None:
    report = assert_malicious(hdf5(message), "SR-HDF-001", "model.h5")
    assert not report.data_only


def test_external_link_says_where_it_leads() -> None:
    finding = scan(hdf5(hdf5_link("x", 64, b"\x00/etc/passwd\x00/y\x00"))).findings[0]
    assert (finding.subject, "`/etc/passwd`" in finding.says) == ("/x", True)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param((0x0B, b"\x02\x01" + struct.pack("<HHHH", 32015, 0, 0, 0)), id="filter"),
        pytest.param(hdf5_link("x", 70, b"any"), id="link of a library"),
        pytest.param(hdf5_text("PSEUDOATOM", b"object"), id="pickles of PyTables"),
    ],
)
def test_what_needs_a_person(message: tuple[int, bytes]) -> None:
    report = scan(hdf5(message))
    assert rules(report) == {"SR-HDF-002"}
    assert report.verdict is Verdict.REVIEW


def test_ordinary_structures() -> None:
    assert_clean(hdf5())
    soft = hdf5_link("s", 1, b"/elsewhere")
    known = (
        0x0B,
        b"\x02\x02" + struct.pack("<HHH", 1, 0, 1) + bytes(4) + struct.pack("<HHH", 2, 0, 0),
    )
    assert_clean(hdf5(soft, known, hdf5_text("note", b"hello")))


def test_pickles_in_attributes_and_in_data() -> None:
    assert_malicious(hdf5(hdf5_text("x", PROGRAM)), "SR-PKL-001")
    kind = (0x03, b"\x13\x00\x00\x00" + struct.pack("<I", len(PROGRAM)))
    compact = (0x08, b"\x03\x00" + struct.pack("<H", len(PROGRAM)) + PROGRAM)
    assert_malicious(hdf5(kind, compact), "SR-PKL-001")
    whole = hdf5(kind, (0x08, b"\x03\x01" + struct.pack("<QQ", 0, len(PROGRAM))))
    placed = hdf5(kind, (0x08, b"\x03\x01" + struct.pack("<QQ", len(whole), len(PROGRAM))))
    file = bytearray(placed + PROGRAM)
    struct.pack_into("<Q", file, 28, len(file))  # its end
    assert_malicious(bytes(file), "SR-PKL-001")


def test_keras_configuration_in_an_attribute() -> None:
    config = b'{"class_name": "Sequential", "config": {"layers": [{"class_name": "%s"}]}}'
    report = scan(hdf5(hdf5_text("model_config", config % b"Dense")))
    assert (report.verdict, report.files[0].format) == (Verdict.CLEAN, "keras-h5")
    assert_malicious(hdf5(hdf5_text("model_config", config % b"Lambda")), "SR-KER-001")
    report = scan(hdf5(hdf5_text("model_config", config % b"Mine")))
    assert rules(report) == {"SR-KER-002"}
    report = scan(hdf5(hdf5_text("training_config", b"{broken")))
    assert rules(report) == {"SR-KER-003"}


@pytest.mark.parametrize(
    "message",
    [
        pytest.param((0x10, struct.pack("<QQ", 48, 60)), id="continues at itself"),
        pytest.param((0x10, struct.pack("<QQ", 1 << 40, 60)), id="continues outside"),
        pytest.param((0x06, b"\x01\x00\x01x" + struct.pack("<Q", 1 << 40)), id="link outside"),
        pytest.param((0x06, b"\x01\x00\x01x" + UNDEFINED), id="link to nowhere"),
        pytest.param((0x11, struct.pack("<QQ", 48, 48)), id="group that is none"),
        pytest.param((0x02, b"\x00\x00" + struct.pack("<QQ", 48, 48)), id="heap that is none"),
        pytest.param((0x15, b"\x00\x00" + struct.pack("<QQ", 0, 0)), id="attributes of none"),
        pytest.param((0x0C, b"\x09" + bytes(20)), id="attribute of another version"),
        pytest.param((0x0C, b"\x03\x00" + b"\xff" * 6), id="attribute that breaks off"),
        pytest.param((0x08, b"\x09\x01"), id="layout of another version"),
        pytest.param((0x0B, b"\x07\x01"), id="filters of another version"),
    ],
)  # fmt: skip
def test_broken_structures(message: tuple[int, bytes]) -> None:
    report = scan(hdf5(message))
    assert rules(report) == {"SR-HDF-003"}
    assert report.verdict is Verdict.UNREADABLE


def test_behind_a_block_of_the_users_own() -> None:
    behind = hdf5(hdf5_link("x", 64, b"\x00o\x00/y\x00"), at=512)
    assert "SR-HDF-001" in rules(scan(behind))
    hidden = b"notes\n" + bytes(506) + behind[512:]
    assert_malicious(hidden, "SR-FMT-007")


@pytest.mark.parametrize("name", ["old.h5", "dense.h5"])
def test_every_object_and_value_is_found(name: str) -> None:
    """Both kinds of groups: a B-tree over a heap of names, and a fractal heap."""
    from io import BytesIO

    data = samples()[name]
    facts = walk_hdf5(BytesIO(data), len(data), Limits())
    values = {(path, key): value.rstrip(b"\x00") for path, key, value in facts.values}
    for number in range(1, 12):
        assert values[("/", f"attribute{number}")] == b"x" * number
    assert len(facts.raw) == 1
    start, length = facts.raw[0]
    assert data[start : start + length] == b"hello"


def test_limits_of_the_walk() -> None:
    from io import BytesIO

    data = samples()["dense.h5"]
    report = scan(data, limits=Limits(members=5))
    assert rules(report) == {"SR-FMT-005"}
    with pytest.raises(MalformedError):
        walk_hdf5(BytesIO(b"no"), 2, Limits())


# ---- chunks ----

BYTES = (0x03, b"\x15\x00\x00\x00" + struct.pack("<I", 1))
NUMBERS = (0x03, b"\x10\x00\x00\x00" + struct.pack("<I", 8))
PACKED = (0x0B, b"\x02\x02" + struct.pack("<HHH", 1, 0, 0) + struct.pack("<HHH", 3, 0, 0))
SHUFFLED = (0x0B, b"\x02\x01" + struct.pack("<HHH", 2, 0, 0))
LZF = (0x0B, b"\x02\x01" + struct.pack("<HHHH", 32000, 0, 0, 0))


def node(level: int, *entries: tuple[int, int, int]) -> bytes:
    """A node of a B-tree of chunks: size, filter mask and address of each child."""
    head = b"TREE\x01" + struct.pack("<BH", level, len(entries)) + UNDEFINED * 2
    return head + b"".join(
        struct.pack("<IIQQQ", size, mask, 0, 0, address) for size, mask, address in entries
    )


def chunked(
    *chunks: bytes, messages: tuple[tuple[int, bytes], ...] = (BYTES,), element: int = 1
) -> bytes:
    """A file with one dataset, its chunks behind the tree that lists them."""

    def layout(address: int) -> tuple[int, bytes]:
        return 0x08, b"\x03\x02\x02" + struct.pack("<QII", address, 8, element)

    at = len(hdf5(*messages, layout(0)))
    place = at + len(node(0, *[(0, 0, 0)] * len(chunks)))
    entries = []
    for chunk in chunks:
        entries.append((len(chunk), 0, place))
        place += len(chunk)
    return hdf5(*messages, layout(at)) + node(0, *entries) + b"".join(chunks)


def with_tree(tree: bytes, tail: bytes = b"") -> bytes:
    whole = chunked(b"")
    return whole[: whole.find(b"TREE")] + tree + tail


def test_programs_in_chunks() -> None:
    assert_malicious(chunked(PROGRAM[:9], PROGRAM[9:]), "SR-PKL-001", "m.h5")
    packed = [zlib.compress(part) + b"sum!" for part in (PROGRAM[:9], PROGRAM[9:])]
    assert_malicious(chunked(*packed, messages=(BYTES, PACKED)), "SR-PKL-001", "m.h5")
    single = b"\x04\x02\x00\x02\x01" + b"\x08\x01" + b"\x01"
    at = len(hdf5(BYTES, (0x08, single + bytes(8))))
    program = PROGRAM[:8]
    for message in (BYTES, NUMBERS):
        whole = hdf5(message, (0x08, single + struct.pack("<Q", at))) + program
        assert_clean(whole, "m.h5")  # in its place, and no program yet
        assert rules(scan(whole[:-1], "m.h5")) == {"SR-HDF-003"}


@pytest.mark.parametrize(
    "messages", [(BYTES, LZF), (BYTES, SHUFFLED)], ids=["other filter", "shuffled"]
)
def test_bytes_that_are_not_looked_into(messages: tuple[tuple[int, bytes], ...]) -> None:
    report = scan(chunked(PROGRAM, messages=messages, element=4), "m.h5")
    assert rules(report) == {"SR-HDF-004"}
    assert report.verdict is Verdict.CLEAN


@pytest.mark.parametrize("index", [2, 3, 4, 5])
def test_other_indices_of_chunks(index: int) -> None:
    made_with = {2: b"", 3: b"\x0a", 4: bytes(5), 5: bytes(6)}[index]
    layout = b"\x04\x02\x00\x02\x01\x08\x01" + bytes([index]) + made_with
    inside, outside = struct.pack("<Q", 48), struct.pack("<Q", 1 << 40)
    assert rules(scan(hdf5(BYTES, (0x08, layout + inside)))) == {"SR-HDF-004"}
    wide = layout[:6] + b"\x08" + layout[7:]  # eight bytes each
    assert_clean(hdf5(NUMBERS, (0x08, wide + inside)))
    assert_clean(hdf5(BYTES, (0x08, layout + UNDEFINED)))
    assert rules(scan(hdf5(NUMBERS, (0x08, layout + outside)))) == {"SR-HDF-003"}


def test_numbers_in_chunks() -> None:
    assert_clean(chunked(bytes(64), bytes(64), messages=(NUMBERS,), element=8), "m.h5")


def test_hostile_chunks() -> None:
    at = chunked(b"").find(b"TREE")
    hostile = {
        "out of the file": with_tree(node(0, (8, 0, 1 << 40))),
        "beyond its end": with_tree(node(0, (80, 0, at))),
        "on each other": with_tree(node(0, (8, 0, at), (8, 0, at + 4)), bytes(9)),
        "empty": with_tree(node(0, (0, 0, at))),
        "nowhere": with_tree(node(0, (8, 0, (1 << 64) - 1))),
        "a circle": with_tree(node(1, (8, 0, at))),
        "not a tree": with_tree(b"XXXX" + bytes(60)),
        "a group's tree": with_tree(b"TREE\x00" + bytes(60)),
        "a cut tree": with_tree(node(0, (8, 0, at))[:-4]),
        "large chunks": hdf5(BYTES, (0x08, b"\x03\x02\x03" + UNDEFINED + b"\xff" * 8 + bytes(4))),
        "no size": hdf5(BYTES, (0x08, b"\x04\x02\x00\x02\x00")),
        "no index": hdf5(BYTES, (0x08, b"\x04\x02\x00\x02\x01\x08\x01\x09" + bytes(8))),
    }
    for name, data in hostile.items():
        assert rules(scan(data, "m.h5")) == {"SR-HDF-003"}, name
