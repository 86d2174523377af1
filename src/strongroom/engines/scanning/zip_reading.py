"""Zip archives, read by a small parser that trusts nothing it is told.

A zip tells its members twice, in the central directory and before each member. Readers differ in
which they believe, so both must agree, no member may overlap another, and no byte may lie between
members unaccounted for.

Source: PKWARE APPNOTE 6.3.10.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from strongroom.engines.scanning.archives import Member, check_names, exactly
from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.reading import LimitError, Limits, MalformedError, SeekableStream

_END = struct.Struct("<4s4H2LH")
_END64_PLACE = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_MAX16, _MAX32 = 0xFFFF, 0xFFFFFFFF
_DESCRIPTOR_SIZES = (12, 16, 20, 24)
_ENCRYPTED, _DESCRIBED, _UTF8 = 0x1, 0x8, 0x800
_METHODS = {0: "stored", 8: "deflate", 12: "bz2"}
_KIND_BITS, _LINK_BITS, _FILE_BITS, _FOLDER_BITS = 0o170000, 0o120000, 0o100000, 0o040000


def read_zip(
    stream: SeekableStream, size: int, limits: Limits
) -> tuple[list[Member], list[Problem]]:
    """Members of a zip and what is wrong with it.

    Raises:
        MalformedError: it has no directory that can be followed.
        LimitError: it has more members than the limit.
    """
    problems: list[Problem] = []
    start, length, count, end_at = _directory(stream, size, problems)
    if count > limits.members or length > limits.header_bytes:
        raise LimitError("more members than the limit")
    stream.seek(start)
    directory = exactly(stream, length)
    members: list[Member] = []
    spans: list[tuple[int, int, bool]] = []
    at = 0
    while at < len(directory):
        entry, at = _central(directory, at, limits)
        _read_entry(stream, entry, members, spans, problems)
        if len(members) > limits.members:
            raise LimitError("more members than the limit")
    if len(spans) != count:
        problems.append(Problem("SR-ARC-006", "its directory does not hold what it counts"))
    problems.extend(_check_spans(spans, start))
    problems.extend(check_names([member.name for member in members], limits))
    if end_at > start + length and not _only_zip64(stream, start + length, end_at):
        problems.append(Problem("SR-ARC-006", "hides bytes behind its directory", start + length))
    return members, problems


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of the central directory, fields as stored (64-bit ones resolved)."""

    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    local_at: int
    mode: int


def _directory(
    stream: SeekableStream, size: int, problems: list[Problem]
) -> tuple[int, int, int, int]:
    """Start, length and count of the central directory, and where the end record stands."""
    tail_size = min(size, _END.size + _MAX16)
    stream.seek(size - tail_size)
    tail = exactly(stream, tail_size)
    places = [at for at in _places(tail) if _ends_file(tail, at)]
    if not places:
        raise MalformedError("a zip without its end record")
    if len(places) > 1:
        problems.append(Problem("SR-ARC-006", "has two end records; readers would differ"))
    place = places[-1]
    fields = _END.unpack_from(tail, place)
    disk, first_disk, here, count, length, start = fields[1:7]
    end_at = size - tail_size + place
    if _MAX16 in (count, here) or _MAX32 in (length, start):
        count, length, start = _directory64(stream, end_at, (count, length, start))
    elif disk or first_disk or here != count:
        raise MalformedError("a zip in several parts")
    if start + length > end_at:
        raise MalformedError("a zip whose directory lies outside it")
    return start, length, count, end_at


def _places(tail: bytes) -> Iterator[int]:
    at = tail.find(b"PK\x05\x06")
    while at >= 0:
        yield at
        at = tail.find(b"PK\x05\x06", at + 1)


def _ends_file(tail: bytes, at: int) -> bool:
    if at + _END.size > len(tail):
        return False
    comment = _END.unpack_from(tail, at)[7]
    return bool(at + _END.size + comment == len(tail))


def _directory64(
    stream: SeekableStream, end_at: int, narrow: tuple[int, int, int]
) -> tuple[int, int, int]:
    place_at = end_at - _END64_PLACE.size
    if place_at < 0:
        return narrow
    stream.seek(place_at)
    magic, _disk, record_at, _disks = _END64_PLACE.unpack(exactly(stream, _END64_PLACE.size))
    if magic != b"PK\x06\x07":
        return narrow
    if record_at + _END64.size > place_at:
        raise MalformedError("a zip64 record outside the file")
    stream.seek(record_at)
    record = _END64.unpack(exactly(stream, _END64.size))
    if record[0] != b"PK\x06\x06":
        raise MalformedError("a zip64 record that is none")
    return record[7], record[8], record[9]


def _only_zip64(stream: SeekableStream, start: int, end: int) -> bool:
    """Whether only the zip64 records stand between directory and end record."""
    gap = end - start
    if gap != _END64.size + _END64_PLACE.size:
        return False
    stream.seek(start)
    return exactly(stream, 4) == b"PK\x06\x06"


def _central(directory: bytes, at: int, limits: Limits) -> tuple[_Entry, int]:
    if at + _CENTRAL.size > len(directory):
        raise MalformedError("a zip directory that breaks off")
    fields = _CENTRAL.unpack_from(directory, at)
    if fields[0] != b"PK\x01\x02":
        raise MalformedError("a zip directory with something else in it")
    flags, method, crc = fields[3], fields[4], fields[7]
    packed, size, name_size, extra_size, comment_size = fields[8:13]
    name_at = at + _CENTRAL.size
    extra_at = name_at + name_size
    after = extra_at + extra_size + comment_size
    if after > len(directory) or name_size > 4 * limits.name_chars:
        raise MalformedError("a zip directory that breaks off")
    extra = directory[extra_at : extra_at + extra_size]
    packed, size, local_at = _widen(extra, packed, size, fields[16])
    name = directory[name_at:extra_at]
    return _Entry(name, flags, method, crc, packed, size, local_at, fields[15] >> 16), after


def _widen(extra: bytes, packed: int, size: int, local_at: int) -> tuple[int, int, int]:
    """The 64-bit values that replace those that do not fit 32 bits."""
    at = 0
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<2H", extra, at)
        if tag == 1:
            data = extra[at + 4 : at + 4 + length]
            values = [value for (value,) in struct.iter_unpack("<Q", data[: len(data) // 8 * 8])]
            wide = []
            for value in (size, packed, local_at):
                if value == _MAX32 and values:
                    wide.append(values.pop(0))
                else:
                    wide.append(value)
            return wide[1], wide[0], wide[2]
        at += 4 + length
    return packed, size, local_at


def _read_entry(
    stream: SeekableStream,
    entry: _Entry,
    members: list[Member],
    spans: list[tuple[int, int, bool]],
    problems: list[Problem],
) -> None:
    name = entry.raw_name.decode("utf-8" if entry.flags & _UTF8 else "cp437", "replace")
    stream.seek(entry.local_at)
    header = stream.read(_LOCAL.size)
    if len(header) < _LOCAL.size or header[:4] != b"PK\x03\x04":
        raise MalformedError("a zip member without its header")
    local = _LOCAL.unpack(header)
    local_name = exactly(stream, local[9])
    extra = exactly(stream, local[10])
    packed, size, _ = _widen(extra, local[7], local[8], 0)
    described = bool(entry.flags & _DESCRIBED)
    sizes_agree = (packed, size) == (entry.packed, entry.size) or (
        described and (local[7], local[8]) in ((0, 0), (_MAX32, _MAX32))
    )
    agrees = (
        local_name == entry.raw_name
        and (local[2], local[3]) == (entry.flags, entry.method)
        and sizes_agree
    )
    if not agrees:
        says = "tells other things before a member than in its directory"
        problems.append(Problem("SR-ARC-006", says, entry.local_at, name))
    data_at = entry.local_at + _LOCAL.size + local[9] + local[10]
    spans.append((entry.local_at, data_at + entry.packed, described))
    kind = entry.mode & _KIND_BITS
    if kind == _LINK_BITS or kind not in (0, _FILE_BITS, _FOLDER_BITS):
        says = "is a link or a device, which can reach files outside the model"
        problems.append(Problem("SR-ARC-002", says, entry.local_at, name))
        return
    if entry.flags & _ENCRYPTED or entry.method not in _METHODS:
        says = "is encrypted or packed in a way that cannot be opened here"
        problems.append(Problem("SR-ARC-007", says, entry.local_at, name))
        return
    method = _METHODS[entry.method]
    if method == "stored" and entry.packed != entry.size:
        problems.append(Problem("SR-ARC-006", "has two lengths for one member", None, name))
    if name.endswith("/") and entry.size == 0:
        return
    members.append(Member(name, method, data_at, entry.packed, entry.size, entry.local_at))


def _check_spans(spans: list[tuple[int, int, bool]], directory_at: int) -> list[Problem]:
    """No member may overlap another, none may lie outside, no bytes may be between them."""
    problems = []
    at, described = 0, False
    for start, end, has_descriptor in [*sorted(spans), (directory_at, directory_at, False)]:
        gap = start - at
        if gap < 0:
            problems.append(Problem("SR-ARC-006", "has members that overlap", start))
        elif gap and not (described and gap in _DESCRIPTOR_SIZES):
            says = f"hides {gap} bytes that no member holds"
            problems.append(Problem("SR-ARC-006", says, at))
        at, described = max(at, end), has_descriptor
    return problems
