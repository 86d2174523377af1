"""An index of a mirror of OSV advisories: built once, asked in well under a millisecond.

The index is one run of bytes, so that it can be kept in a file and mapped into memory:

    magic | length of header | header (JSON) | names | entries

Names are sorted lines `name offset length`; an entry is the packed JSON of all that is known of
one project. Records that are about the same vulnerability, by their aliases, are one.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cmp_to_key
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from strongroom.engines.scanning.osv import (
    RATINGS,
    Advisory,
    Affected,
    Range,
    compare_pep440,
    merged,
    read_record,
)
from strongroom.engines.scanning.reading import LimitError, MalformedError
from strongroom.engines.scanning.requirements import Requirement

MAX_RECORDS = 1_000_000
_MAGIC = b"SROSV\x00\x00\x02"
_LENGTH = 8
_MAX_ENTRY = 64 << 20
NEWEST = "1000000!0"
"""Stands for the newest version, whichever that is: no epoch is so high."""

# Distributions that are a part or another build of a project, with the same version numbers;
# advisories stand under the project's name.
FILED_UNDER: Mapping[str, str] = {
    "mlflow-skinny": "mlflow",
    "mlflow-tracing": "mlflow",
    "tensorflow-cpu": "tensorflow",
    "tensorflow-gpu": "tensorflow",
    "tensorflow-intel": "tensorflow",
    "tensorflow-macos": "tensorflow",
    "tensorflow-cpu-aws": "tensorflow",
    "intel-tensorflow": "tensorflow",
    "opencv-python-headless": "opencv-python",
    "opencv-contrib-python": "opencv-python",
    "opencv-contrib-python-headless": "opencv-python",
    "onnxruntime-gpu": "onnxruntime",
    "onnxruntime-directml": "onnxruntime",
    "psycopg2-binary": "psycopg2",
    "psycopg-binary": "psycopg",
    "xgboost-cpu": "xgboost",
    "polars-lts-cpu": "polars",
    "polars-u64-idx": "polars",
    "apache-airflow-core": "apache-airflow",
    "pycryptodomex": "pycryptodome",
}


@dataclass(frozen=True, slots=True)
class Known:
    """An advisory that concerns a requirement.

    Attributes:
        version: of which it is said: the required one, or the newest that is allowed and known.
        filed_under: the project's name where it is not the requirement's, else empty.
    """

    advisory: Advisory
    version: str
    filed_under: str = ""


def build_index(records: Iterable[Mapping[str, Any]], fingerprint: str) -> bytes:
    """The index of some records.

    Args:
        records: in OSV form.
        fingerprint: of where they came from, kept in the index.

    Raises:
        MalformedError: a record is not of that form.
        LimitError: there are more than a million.
    """
    groups = _Groups()
    newest, count = "", 0
    by_name: dict[str, list[Advisory]] = {}
    for record in records:
        count += 1
        if count > MAX_RECORDS:
            raise LimitError("more advisories than the limit")
        newest = max(newest, str(record.get("modified") or "")[:10])
        for name, advisory in read_record(record):
            groups.join(advisory.ids)
            by_name.setdefault(name, []).append(advisory)
    names, entries, offset = [], [], 0
    for name in sorted(by_name):
        alike: dict[str, list[Advisory]] = {}
        for advisory in by_name[name]:
            alike.setdefault(groups.of(advisory.ids[0]), []).append(advisory)
        packed = zlib.compress(json.dumps([_plain(merged(a)) for a in alike.values()]).encode(), 6)
        names.append(f"{name} {offset} {len(packed)}\n")
        entries.append(packed)
        offset += len(packed)
    listed = ("\n" + "".join(names)).encode()
    header = {"fingerprint": fingerprint, "newest": newest, "records": count,
              "projects": len(by_name), "names": len(listed)}  # fmt: skip
    head = json.dumps(header).encode()
    return b"".join((_MAGIC, len(head).to_bytes(_LENGTH, "big"), head, listed, *entries))


class AdvisoryIndex:
    """Advisories by project.

    Attributes:
        fingerprint: of the mirror that it was built from.
        newest: day of the newest change of a record, `YYYY-MM-DD`; empty where none tells.
        records: how many there were, withdrawn ones and other ecosystems among them.
        projects: how many projects have any.
    """

    def __init__(self, data: bytes) -> None:
        """Reads what `build_index` gave.

        Raises:
            MalformedError: it is something else, or of another version.
        """
        self._data = data
        start = len(_MAGIC) + _LENGTH
        if len(data) < start or data[: len(_MAGIC)] != _MAGIC:
            raise MalformedError("not an index of advisories")
        end = start + int.from_bytes(data[len(_MAGIC) : start], "big")
        try:
            header = json.loads(data[start:end])
            self.fingerprint = str(header["fingerprint"])
            self.newest = str(header["newest"])
            self.records, self.projects = int(header["records"]), int(header["projects"])
            self._names_at, self._entries_at = end, end + int(header["names"])
        except (ValueError, KeyError, TypeError):
            raise MalformedError("an index of advisories with a broken header") from None
        if not end < self._entries_at <= len(data):
            raise MalformedError("an index of advisories that is cut short")

    def about(self, name: str) -> tuple[Advisory, ...]:
        """All advisories on a project, by its normalized name.

        Raises:
            MalformedError: the entry is damaged.
        """
        wanted = f"\n{name} ".encode()
        at = self._data.find(wanted, self._names_at, self._entries_at)
        if at < 0:
            return ()
        line = self._data[at + len(wanted) : self._data.find(b"\n", at + 1, self._entries_at)]
        try:
            offset, length = (int(part) for part in line.split())
            start = self._entries_at + offset
            packed = self._data[start : start + length]
            unpacked = zlib.decompressobj().decompress(packed, _MAX_ENTRY)
            return tuple(_advisory(one) for one in json.loads(unpacked))
        except (ValueError, KeyError, TypeError, zlib.error):
            raise MalformedError("an index of advisories with a broken entry") from None

    def concerning(self, requirement: Requirement) -> list[Known]:
        """What is known against a requirement, the worst first.

        Where several versions are allowed, an advisory is told if it has no end, or if it
        concerns the newest version that the mirror knows of and the requirement allows.
        """
        found: list[Known] = []
        for name in dict.fromkeys((requirement.name, FILED_UNDER.get(requirement.name, ""))):
            if not name:
                continue
            known = self.about(name)
            version = _judged_version(requirement, known)
            filed = name if name != requirement.name else ""
            found.extend(
                Known(advisory, version, filed)
                for advisory in known
                if (advisory.is_malware and not _tells_versions(advisory))
                or (version and advisory.concerns(version))
            )
        return sorted(found, key=_worst_first)


def _judged_version(requirement: Requirement, known: tuple[Advisory, ...]) -> str:
    """The version that would be installed, as far as can be told; empty for none."""
    if requirement.version is not None:
        # Advisories know no builds: `2.1.0+cpu` is 2.1.0 to them.
        return requirement.version.public
    if not _has_end(requirement.specifier):
        return NEWEST
    named = {
        text
        for advisory in known
        for affected in advisory.affected
        for text in (*affected.versions, *(e[1] for r in affected.ranges for e in r.events))
    }
    allowed = requirement.specifier.filter(text for text in named if _is_version(text))
    return max(allowed, key=cmp_to_key(compare_pep440), default="")


def _has_end(specifier: SpecifierSet) -> bool:
    """Whether it bounds versions from above."""
    return any(one.operator in ("<", "<=", "==", "===", "~=") for one in specifier)


def _tells_versions(advisory: Advisory) -> bool:
    return any(affected.versions or affected.ranges for affected in advisory.affected)


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _worst_first(known: Known) -> tuple[bool, int, tuple[str, ...]]:
    advisory = known.advisory
    return not advisory.is_malware, -RATINGS.index(advisory.rating), advisory.ids


class _Groups:
    """Ids that stand for one vulnerability (union-find)."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def of(self, identity: str) -> str:
        """The id that stands for the group of `identity`."""
        root = identity
        while (above := self._parent.get(root, root)) != root:
            root = above
        while (above := self._parent.get(identity, identity)) != root:
            self._parent[identity], identity = root, above
        return root

    def join(self, ids: tuple[str, ...]) -> None:
        """Says that these are one."""
        first = self.of(ids[0])
        for other in ids[1:]:
            self._parent[self.of(other)] = first


def _plain(advisory: Advisory) -> list[Any]:
    return [
        advisory.ids,
        advisory.summary,
        advisory.rating,
        advisory.is_malware,
        [
            [sorted(one.versions), [[span.type, span.events] for span in one.ranges]]
            for one in advisory.affected
        ],
    ]


def _advisory(plain: list[Any]) -> Advisory:
    ids, summary, rating, malware, affected = plain
    if rating not in RATINGS:
        raise ValueError(rating)
    parts = tuple(
        Affected(
            frozenset(versions),
            tuple(Range(kind, tuple((str(e[0]), str(e[1])) for e in es)) for kind, es in ranges),
        )
        for versions, ranges in affected
    )
    return Advisory(tuple(ids), str(summary), rating, bool(malware), parts)
