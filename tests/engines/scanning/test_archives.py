"""Archives that lie, hide and climb."""

import io
import struct
import tarfile
import zipfile

import pytest
from tests.engines.scanning.scan_bytes import (
    assert_clean,
    assert_malicious,
    rules,
    scan,
    scan_folder,
)

from strongroom.engines.scanning.findings import Verdict
from strongroom.engines.scanning.reading import Limits

SYSTEM = b"cos\nsystem\n(S'id'\ntR."


def zipped(
    *members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_STORED
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(*infos: tarfile.TarInfo, data: bytes = b"", form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for info in infos:
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_honest_zips(method: int) -> None:
    data = zipped(("a.txt", b"hello"), ("b/c.json", b"{}"), ("b/", b""), method=method)
    assert_clean(data)
    assert scan(data).data_only


def test_zip_written_as_a_stream() -> None:
    class Forwards(io.RawIOBase):
        def __init__(self) -> None:
            super().__init__()
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            piece = bytes(data)  # type: ignore[call-overload] # whatever the zip writer gives
            self.data += piece
            return len(piece)

    sink = Forwards()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", b"hello" * 99)
        archive.writestr("b.txt", b"world" * 99)
    assert_clean(sink.data)


@pytest.mark.parametrize(
    "name", ["../a", "/etc/passwd", "a/../../b", "C:\\x", "a\\b", "a\u202eb", "a\nb", "x" * 2000]
)
def test_names_that_climb_or_hide(name: str) -> None:
    assert_malicious(zipped((name, b"x")), "SR-ARC-001")
    assert_malicious(tarred(tarfile.TarInfo(name)), "SR-ARC-001")
    report = scan_folder({name: b"x"})
    assert "SR-FMT-006" in rules(report)


def test_two_members_of_one_name() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        data = zipped(("a", b"good"), ("a", b"bad"))
    assert_malicious(data, "SR-ARC-003")
    assert_malicious(zipped(("\u00e9", b"x"), ("e\u0301", b"y")), "SR-ARC-003")
    assert_malicious(tarred(tarfile.TarInfo("a"), tarfile.TarInfo("a")), "SR-ARC-003")


def test_links_and_devices() -> None:
    info = zipfile.ZipInfo("link")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    assert_malicious(zipped((info, b"/etc/passwd")), "SR-ARC-002")
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        assert_malicious(tarred(link("a", "/etc/passwd", kind)), "SR-ARC-002")


def test_headers_that_disagree() -> None:
    data = bytearray(zipped(("good.txt", b"hello")))
    local = data.index(b"good.txt")
    data[local : local + 8] = b"evil.pkl"
    assert_malicious(bytes(data), "SR-ARC-006")
    other = bytearray(zipped(("a", b"hello")))
    struct.pack_into("<I", other, 22, 3)  # the local length
    assert_malicious(bytes(other), "SR-ARC-006")


def test_bytes_before_between_and_behind_members() -> None:
    plain = zipped(("a", b"hello"))
    with_prefix = zipped(("a", b"hello"))
    assert scan(b"#!/bin/sh\n" + with_prefix).verdict is not Verdict.CLEAN
    # A second, hidden member: its directory entry is taken out.
    data = zipped(("a", b"hello"), ("b", SYSTEM))
    directory = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", directory + 1)
    end = data.index(b"PK\x05\x06")
    entry = data[directory:second]
    tail = bytearray(data[end:])
    struct.pack_into("<2H2L", tail, 8, 1, 1, len(entry), directory)
    hidden = data[:directory] + entry + bytes(tail)
    with zipfile.ZipFile(io.BytesIO(hidden)) as archive:
        assert archive.namelist() == ["a"]
    assert_malicious(hidden, "SR-ARC-006")
    assert scan(plain + plain).verdict is not Verdict.CLEAN


def test_overlapping_members() -> None:
    data = bytearray(zipped(("a", b"x" * 50), ("b", b"y" * 50)))
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    struct.pack_into("<L", data, second + 42, 0)
    report = scan(bytes(data))
    assert report.verdict is Verdict.MALICIOUS
    assert "SR-ARC-006" in rules(report)


def test_encrypted_and_unknown_methods_block() -> None:
    data = bytearray(zipped(("a", b"hello")))
    directory = data.index(b"PK\x01\x02")
    for flags, method in ((1, 0), (0, 99)):
        changed = bytearray(data)
        struct.pack_into("<2H", changed, 6, flags, method)
        struct.pack_into("<2H", changed, directory + 8, flags, method)
        report = scan(bytes(changed))
        assert report.verdict is Verdict.UNREADABLE
        assert "SR-ARC-007" in rules(report)


def test_formats_that_cannot_be_opened_block() -> None:
    for data in (b"7z\xbc\xaf\x27\x1c" + bytes(40), b"\x28\xb5\x2f\xfd" + bytes(40)):
        assert scan(data).verdict is not Verdict.CLEAN


def test_member_longer_than_declared() -> None:
    data = bytearray(zipped(("a", b"hello" * 100), method=zipfile.ZIP_DEFLATED))
    directory = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, 22, 10)
    struct.pack_into("<I", data, directory + 24, 10)
    assert scan(bytes(data)).verdict is not Verdict.CLEAN


def test_limits_on_members_and_files() -> None:
    data = zipped(*((str(n), b"") for n in range(60)))
    assert scan(data, limits=Limits(members=50)).verdict is Verdict.UNREADABLE
    report = scan(data, limits=Limits(members=70))
    assert report.verdict is Verdict.CLEAN


def test_archive_in_an_archive_over_the_memory_limit() -> None:
    """A stored one is jumped in where it lies; a packed one has to be held in memory."""
    inner = zipped(("a.txt", b"x\n" * 100_000))
    tight = Limits(nested_bytes=100_000)
    stored = scan(zipped(("inner.zip", inner)), limits=tight)
    assert stored.verdict is Verdict.CLEAN, stored.findings
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.zip", inner)
    assert rules(scan(packed.getvalue(), limits=tight)) == {"SR-FMT-005"}


def test_honest_tars() -> None:
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        info = tarfile.TarInfo("deep/" * 10 + "a.txt")
        assert_clean(tarred(info, data=b"hello", form=form))


def test_tar_that_breaks_off() -> None:
    data = tarred(tarfile.TarInfo("a.txt"), data=b"hello" * 1000)
    report = scan(data[:2000])
    assert report.verdict is Verdict.UNREADABLE
