"""7z archives, read by a small parser: headers, folders of coders, members within folders.

A folder is one packed stream that may hold many members. Only chains of coders that the standard
library can undo are opened; any other, and encryption, is a finding that blocks.

Source: 7-Zip, DOC/7zFormat.txt and DOC/Methods.txt.
"""

import struct
import zlib
from dataclasses import dataclass, field

from strongroom.engines.scanning.archives import check_names, exactly
from strongroom.engines.scanning.parts import Behind, First, Region
from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.reading import (
    Budget,
    LimitError,
    Limits,
    MalformedError,
    SeekableStream,
    Stream,
)
from strongroom.engines.scanning.seven_zip_coders import Coder, undo
from strongroom.engines.scanning.seven_zip_cursor import Cursor

_START = struct.Struct("<6s2BLQQL")
_MAX_FOLDERS = 10_000
_MAX_CODERS = 8
_MAX_HEADERS_DEEP = 4
_SOLID_MEMBERS = 64
_UNIX, _LINK, _TYPE = 0x8000, 0o120000, 0o170000
_WINDOWS_LINK = 0x400
_END, _HEADER, _STREAMS, _FILES, _PACK, _UNPACK, _SUBSTREAMS = 0, 1, 4, 5, 6, 7, 8
_SIZE, _CRC, _FOLDER, _CODER_SIZES, _COUNTS = 9, 10, 11, 12, 13
_EMPTY, _NAMES, _ATTRIBUTES, _ENCODED = 14, 17, 21, 23


@dataclass(slots=True)
class Folder:
    """A packed stream: its coders from the packed side on, its place and its sizes."""

    coders: list[Coder]
    offset: int = 0
    packed_bytes: int = 0
    size_bytes: int = 0
    crc: int | None = None
    member_bytes: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Entry:
    """A member: where it lies in its folder once that is unpacked."""

    name: str
    folder: Folder
    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What an archive holds, and what is wrong with it."""

    entries: list[Entry]
    problems: list[Problem]


def read_seven_zip(stream: SeekableStream, size: int, limits: Limits, budget: Budget) -> Listing:
    """Members of a 7z and what is wrong with it.

    Raises:
        MalformedError: its headers are broken, or packed in a way that cannot be opened here.
        LimitError: it has more members than the limit.
    """
    stream.seek(0)
    start = _START.unpack(exactly(stream, _START.size))
    offset, length, crc = start[4:7]
    header_at = _START.size + offset
    if length > limits.header_bytes:
        raise LimitError("a 7z header over the limit")
    if header_at + length > size:
        raise MalformedError("a 7z that breaks off")
    problems: list[Problem] = []
    if header_at + length < size:
        says = "hides bytes behind the end of the archive"
        problems.append(Problem("SR-ARC-006", says, header_at + length))
    if not length:
        return Listing([], problems)
    stream.seek(header_at)
    data = exactly(stream, length)
    if zlib.crc32(data) != crc:
        raise MalformedError("a 7z header with another checksum")
    for _ in range(_MAX_HEADERS_DEEP):
        cursor = Cursor(data)
        kind = cursor.byte()
        if kind == _HEADER:
            return _listing(cursor, limits, problems)
        if kind != _ENCODED:
            break
        folders = _streams(cursor, limits)
        if len(folders) != 1 or folders[0].size_bytes > limits.header_bytes:
            break
        data = exactly_of(_unpacked(stream, folders[0], limits, budget), folders[0].size_bytes)
        if folders[0].crc is not None and zlib.crc32(data) != folders[0].crc:
            raise MalformedError("a 7z header with another checksum")
    raise MalformedError("a 7z header that cannot be opened")


def exactly_of(stream: Stream, count: int) -> bytes:
    """`count` bytes of a forward stream."""
    parts, left = [], count
    while left > 0:
        data = stream.read(min(left, 1 << 20))
        if not data:
            raise MalformedError("a 7z folder that ends too early")
        parts.append(data)
        left -= len(data)
    return b"".join(parts)


def open_folder(stream: SeekableStream, entry: Entry, limits: Limits, budget: Budget) -> Stream:
    """The unpacked bytes of a member.

    Raises:
        LimitError: it lies in a folder too large to be unpacked anew for each of many members.
    """
    folder = entry.folder
    if folder.size_bytes > limits.nested_bytes and len(folder.member_bytes) > _SOLID_MEMBERS:
        raise LimitError("many members in one packed stream larger than what may be held")
    unpacked = Behind(_unpacked(stream, folder, limits, budget), entry.offset)
    return First(unpacked, entry.size_bytes)


def _unpacked(stream: SeekableStream, folder: Folder, limits: Limits, budget: Budget) -> Stream:
    packed = Region(stream, folder.offset, folder.packed_bytes)
    return undo(packed, folder.coders, limits, budget, folder.size_bytes)


# ---- headers ----


def _listing(cursor: Cursor, limits: Limits, problems: list[Problem]) -> Listing:
    folders: list[Folder] = []
    kind = cursor.byte()
    if kind == 2:  # archive properties
        while cursor.byte():
            cursor.take(cursor.number())
        kind = cursor.byte()
    if kind == _STREAMS:
        folders = _streams(cursor, limits)
        kind = cursor.byte()
    entries: list[Entry] = []
    if kind == _FILES:
        entries = _files(cursor, folders, limits, problems)
        kind = cursor.byte()
    if kind != _END:
        raise MalformedError("a 7z header with something else in it")
    for folder in folders:
        if any(not coder.can_undo for coder in folder.coders):
            says = "is encrypted or packed in a way that cannot be opened here"
            problems.append(Problem("SR-ARC-007", says, folder.offset))
    return Listing([entry for entry in entries if _opens(entry)], problems)


def _opens(entry: Entry) -> bool:
    return all(coder.can_undo for coder in entry.folder.coders)


def _streams(cursor: Cursor, limits: Limits) -> list[Folder]:
    packs: list[tuple[int, int]] = []
    folders: list[Folder] = []
    counted = False
    while (kind := cursor.byte()) != _END:
        if kind == _PACK:
            packs = _packs(cursor, limits)
        elif kind == _UNPACK:
            folders = _folders(cursor, packs)
        elif kind == _SUBSTREAMS:
            _substreams(cursor, folders, limits)
            counted = True
        else:
            raise MalformedError("a 7z header with something else in it")
    for folder in folders:
        if not counted:
            folder.member_bytes = [folder.size_bytes]
    return folders


def _packs(cursor: Cursor, limits: Limits) -> list[tuple[int, int]]:
    at, count = _START.size + cursor.number(), cursor.number()
    if count > limits.members:
        raise LimitError("more packed streams than the limit")
    packs: list[tuple[int, int]] = []
    while (kind := cursor.byte()) != _END:
        if kind == _SIZE:
            for _ in range(count):
                size = cursor.number()
                packs.append((at, size))
                at += size
        elif kind == _CRC:
            cursor.digests(count)
        else:
            raise MalformedError("a 7z header with something else in it")
    return packs


def _folders(cursor: Cursor, packs: list[tuple[int, int]]) -> list[Folder]:
    cursor.expect(_FOLDER)
    count = cursor.number()
    if count > _MAX_FOLDERS or cursor.byte():  # external data
        raise MalformedError("a 7z with strange folders")
    folders, outputs, next_pack = [], [], 0
    for _ in range(count):
        coders, packed, order = _coders(cursor)
        if next_pack + packed > len(packs):
            raise MalformedError("a 7z folder without its packed stream")
        folder = Folder(coders, *packs[next_pack])
        next_pack += packed
        folders.append(folder)
        outputs.append(order)
    cursor.expect(_CODER_SIZES)
    for folder, last in zip(folders, outputs, strict=True):
        sizes = [cursor.number() for _ in folder.coders]
        folder.size_bytes = sizes[last]
    while (kind := cursor.byte()) != _END:
        if kind != _CRC:
            raise MalformedError("a 7z header with something else in it")
        for folder, crc in zip(folders, cursor.digests(count), strict=True):
            folder.crc = crc
    return folders


def _coders(cursor: Cursor) -> tuple[list[Coder], int, int]:
    """Coders of a folder in the order in which they are undone, packed streams, last coder."""
    count = cursor.number()
    if not 0 < count <= _MAX_CODERS:
        raise MalformedError("a 7z folder with strange coders")
    coders: list[Coder] = []
    inputs = outputs = 0
    for _ in range(count):
        flags = cursor.byte()
        method = cursor.take(flags & 15)
        ways = (cursor.number(), cursor.number()) if flags & 0x10 else (1, 1)
        properties = cursor.take(cursor.number()) if flags & 0x20 else b""
        inputs, outputs = inputs + ways[0], outputs + ways[1]
        if inputs > _MAX_CODERS * 4 or outputs != len(coders) + 1:
            raise MalformedError("a 7z folder with strange coders")
        coders.append(Coder(method, properties, is_plain=ways == (1, 1)))
    bound = {}
    for _ in range(outputs - 1):
        into, out_of = cursor.number(), cursor.number()
        bound[into] = out_of
    packed = inputs - len(bound)
    if packed > 1:
        for _ in range(packed):
            cursor.number()
    if len(bound) != outputs - 1 or packed < 1:
        raise MalformedError("a 7z folder with strange coders")
    if inputs != count:  # a coder of several streams: not opened, but told
        return [Coder(b"\xff", b"", is_plain=False)] * count, packed, count - 1
    return _in_order(coders, bound, packed)


def _in_order(
    coders: list[Coder], bound: dict[int, int], packed: int
) -> tuple[list[Coder], int, int]:
    first = [index for index in range(len(coders)) if index not in bound]
    follows = {out_of: into for into, out_of in bound.items()}
    if len(first) != 1 or len(follows) != len(bound):
        raise MalformedError("a 7z folder with strange coders")
    order, at = [first[0]], first[0]
    while at in follows:
        at = follows[at]
        if at in order or at >= len(coders):
            raise MalformedError("a 7z folder that turns in a circle")
        order.append(at)
    if len(order) != len(coders):
        raise MalformedError("a 7z folder with strange coders")
    return [coders[index] for index in order], packed, order[-1]


def _substreams(cursor: Cursor, folders: list[Folder], limits: Limits) -> None:
    counts = [1] * len(folders)
    kind = cursor.byte()
    if kind == _COUNTS:
        counts = [cursor.number() for _ in folders]
        if sum(counts) > limits.members:
            raise LimitError("more members than the limit")
        kind = cursor.byte()
    for folder, count in zip(folders, counts, strict=True):
        sizes = [cursor.number() for _ in range(count - 1)] if kind == _SIZE else []
        left = folder.size_bytes - sum(sizes)
        if left < 0 or (count > 1 and kind != _SIZE):
            raise MalformedError("a 7z folder smaller than its members")
        folder.member_bytes = [*sizes, left] if count else []
    if kind == _SIZE:
        kind = cursor.byte()
    while kind != _END:
        if kind != _CRC:
            raise MalformedError("a 7z header with something else in it")
        known = zip(folders, counts, strict=True)
        cursor.digests(sum(n for folder, n in known if n != 1 or folder.crc is None))
        kind = cursor.byte()


def _files(
    cursor: Cursor, folders: list[Folder], limits: Limits, problems: list[Problem]
) -> list[Entry]:
    count = cursor.number()
    if count > limits.members:
        raise LimitError("more members than the limit")
    names: list[str] = []
    empty, attributes = [False] * count, [0] * count
    while (kind := cursor.byte()) != _END:
        inner = Cursor(cursor.take(cursor.number()))
        if kind == _EMPTY:
            empty = inner.bits(count)
        elif kind == _NAMES:
            names = _names(inner, count)
        elif kind == _ATTRIBUTES:
            attributes = _attributes(inner, count)
    if len(names) != count:
        raise MalformedError("a 7z whose members have no names")
    problems.extend(check_names(names, limits))
    places = _places(folders)
    if len(places) != empty.count(False):
        raise MalformedError("a 7z that does not hold what it counts")
    entries, rest = [], iter(places)
    for name, is_empty, flags in zip(names, empty, attributes, strict=True):
        mode = flags >> 16 & _TYPE if flags & _UNIX else 0
        if mode == _LINK or flags & _WINDOWS_LINK or mode not in (0, 0o100000, 0o040000):
            says = "is a link or a device, which can reach files outside the model"
            problems.append(Problem("SR-ARC-002", says, None, name))
            if not is_empty:
                next(rest)
        elif not is_empty:
            entries.append(Entry(name, *next(rest)))
    return entries


def _places(folders: list[Folder]) -> list[tuple[Folder, int, int]]:
    """Folder, offset in it and size of each member."""
    places = []
    for folder in folders:
        at = 0
        for size in folder.member_bytes:
            places.append((folder, at, size))
            at += size
    return places


def _names(cursor: Cursor, count: int) -> list[str]:
    if cursor.byte():  # external data
        raise MalformedError("a 7z whose names are kept elsewhere")
    text = cursor.take(len(cursor.data) - 1).decode("utf-16-le", "replace")
    names = text.split("\x00")
    if len(names) != count + 1 or names[-1]:
        raise MalformedError("a 7z whose members have no names")
    return names[:-1]


def _attributes(cursor: Cursor, count: int) -> list[int]:
    known = cursor.defined(count)
    if cursor.byte():  # external data
        raise MalformedError("a 7z whose attributes are kept elsewhere")
    return [struct.unpack("<L", cursor.take(4))[0] if yes else 0 for yes in known]
