"""Members of archives: how they are opened, and names that would do harm when unpacked."""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from strongroom.engines.scanning.compressed import Decompressed
from strongroom.engines.scanning.parts import Region
from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.reading import (
    Budget,
    Limits,
    MalformedError,
    SeekableStream,
    Stream,
)


@dataclass(frozen=True, slots=True)
class Member:
    """One file in an archive; `offset` is where its packed bytes begin."""

    name: str
    method: str
    offset: int
    packed_bytes: int
    size_bytes: int
    header_offset: int


def open_member(stream: SeekableStream, member: Member, limits: Limits, budget: Budget) -> Stream:
    """The unpacked bytes of a member; more of them than declared is malformed."""
    region = Region(stream, member.offset, member.packed_bytes)
    if member.method == "stored":
        return region
    return Decompressed(region, member.method, limits, budget, declared=member.size_bytes)


def check_names(names: list[str], limits: Limits) -> list[Problem]:
    """Members that would land outside the folder, hide, or overwrite each other."""
    problems = []
    seen: set[str] = set()
    for name, other in names_that_meet(names):
        says = f"has `{other}` and `{name}`, which some disks take for one file"
        problems.append(Problem("SR-FMT-008", says, None, name))
    for name in names:
        why = unsafe_name(name, limits)
        if why is not None:
            problems.append(Problem("SR-ARC-001", f"has a member that {why}", None, name))
        folded = unicodedata.normalize("NFC", name).rstrip("/")
        if folded in seen:
            says = "has two members of one name; which one counts depends on the reader"
            problems.append(Problem("SR-ARC-003", says, None, name))
        seen.add(folded)
    return problems


def names_that_meet(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Names that differ in case or in Unicode form only, each with an earlier one."""
    seen: dict[str, str] = {}
    for name in names:
        folded = unicodedata.normalize("NFC", name).casefold().rstrip("/")
        other = seen.setdefault(folded, name)
        if other.rstrip("/") != name.rstrip("/"):
            yield name, other


def unsafe_name(name: str, limits: Limits) -> str | None:
    """Why a relative path is not one that stays in its folder, or None if it is."""
    if not name or len(name) > limits.name_chars:
        return "has no name or a very long one"
    if "\\" in name:
        return "has a backslash in its name"
    if name.startswith("/") or name[1:2] == ":":
        return "names an absolute path"
    if ".." in name.split("/"):
        return "climbs out of its folder"
    if any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in name):
        return "hides control characters in its name"
    return None


def exactly(stream: SeekableStream, count: int) -> bytes:
    """`count` bytes of a stream.

    Raises:
        MalformedError: it has fewer.
    """
    parts = []
    left = count
    while left > 0:
        data = stream.read(left)
        if not data:
            raise MalformedError("ends too early")
        parts.append(data)
        left -= len(data)
    return b"".join(parts)
