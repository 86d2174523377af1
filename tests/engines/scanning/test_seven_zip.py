"""7z: members, names, coders, bombs and broken headers."""

import lzma
import zlib

import pytest
from tests.engines.scanning.made_files import seven_zip
from tests.engines.scanning.samples import samples
from tests.engines.scanning.scan_bytes import assert_clean, assert_malicious, rules, scan

from strongroom.engines.scanning.findings import Verdict
from strongroom.engines.scanning.reading import Limits

PROGRAM = b"cos\nsystem\n(S'id'\ntR."
LINK = 0o120777


def test_members_are_scanned() -> None:
    assert_clean(seven_zip([("a.txt", b"hello\n"), ("b.md", b"# b\n")]))
    report = assert_malicious(seven_zip([("a.txt", b"hello\n"), ("b", PROGRAM)]), "SR-PKL-001")
    assert report.findings[0].file == "model.bin!/b"


def test_packed_members() -> None:
    packed = zlib.compress(PROGRAM)[2:-4]
    assert_malicious(seven_zip([("x", PROGRAM)], coder=b"\x03\x04\x01\x08", packed=packed))
    raw = lzma.compress(
        PROGRAM, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 4096}]
    )
    assert_malicious(seven_zip([("x", PROGRAM)], coder=b"\x21\x21\x01\x00", packed=raw))


def test_archives_in_an_archive() -> None:
    inner = seven_zip([("deep", PROGRAM)])
    assert_malicious(seven_zip([("inner.7z", inner)]), "SR-PKL-001")
    nested = b"hello\n"
    for _ in range(9):
        nested = seven_zip([("a", nested)])
    assert rules(scan(nested)) == {"SR-ARC-004"}


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a\\b", "a/../../b", "C:x", "a\u202eb"])
def test_members_that_leave(name: str) -> None:
    assert_malicious(seven_zip([(name, b"x\n")]), "SR-ARC-001")


def test_links_and_doubles_and_hidden_bytes() -> None:
    assert_malicious(seven_zip([("a", b"/etc/passwd")], mode=LINK), "SR-ARC-002")
    assert_malicious(seven_zip([("a", b"x\n"), ("a", b"y\n")]), "SR-ARC-003")
    assert_malicious(seven_zip([("a", b"x\n")], tail=b"more"), "SR-ARC-006")
    assert_clean(seven_zip([("a", b"x\n")], mode=0o100644))


@pytest.mark.parametrize(
    "coder",
    [
        pytest.param(b"\x04\x06\xf1\x07\x01", id="encrypted"),
        pytest.param(b"\x03\x03\x04\x01", id="PPMd"),
        pytest.param(b"\x14\x03\x03\x01\x1b\x04\x01", id="four streams"),
    ],
)
def test_what_cannot_be_opened_blocks(coder: bytes) -> None:
    report = scan(seven_zip([("a", b"x\n")], coder=coder))
    assert report.verdict is Verdict.UNREADABLE
    assert rules(report) <= {"SR-ARC-005", "SR-ARC-007"}


def test_a_dictionary_over_the_limit_blocks() -> None:
    report = scan(seven_zip([("a", b"x\n")], coder=b"\x21\x21\x01\x28"))
    assert report.verdict is Verdict.UNREADABLE


def test_a_bomb_stops() -> None:
    blanks = bytes(3_000_000)
    raw = lzma.compress(
        blanks, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 4096}]
    )
    archive = seven_zip([("a", bytes(10_000))], coder=b"\x21\x21\x01\x00", packed=raw)
    tight = Limits(unpacked_bytes=5_000)
    assert rules(scan(archive, limits=tight)) == {"SR-FMT-005"}


@pytest.mark.parametrize("name", ["lzma.7z", "x86_lzma2.7z", "bzip2.7z"])
def test_every_changed_byte_of_the_headers_blocks(name: str) -> None:
    whole = samples()[name]
    for at in [*range(6, 32), *range(len(whole) - 20, len(whole))]:
        changed = bytearray(whole)
        changed[at] ^= 0x55
        report = scan(bytes(changed), "model.7z")
        # Versions and the checksum of the first header are told and not needed.
        assert report.verdict is not Verdict.CLEAN or at < 12, at
