"""A mirror of OSV advisories on disk: a folder or a zip, and its index kept beside it.

Read are `.json` (one record), `.jsonl` and `.jsonl.gz` (one a line), and `.zip` with such files
in it, as OSV exports an ecosystem. The index is made anew when size or time of any file changed.
"""

import gzip
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from strongroom.engines.scanning.advisories import AdvisoryIndex, build_index
from strongroom.engines.scanning.reading import LimitError, MalformedError
from strongroom.errors import StorageFullError, UnavailableError, ValidationError

MAX_FILES = 1_000_000
MAX_RECORD_BYTES = 16 << 20
MAX_BYTES = 8 << 30
"""Of all records together, unpacked; the whole export of an ecosystem is some 100 MB."""
_MAX_INDEX_BYTES = 1 << 30
_NEXT_STEP = "give a folder or zip of OSV records, such as an export of the ecosystem PyPI"


def open_advisories(place: Path, cache: Path) -> AdvisoryIndex:
    """The advisories at `place`, from the index that lies in `cache` or a new one.

    Raises:
        ValidationError: there are none, or they cannot be read.
    """
    place = place.expanduser()
    files = _files(place)
    fingerprint = _fingerprint(place, files)
    kept = cache / f"advisories-{sha256(os.fsencode(place.absolute())).hexdigest()[:16]}.index"
    found = _kept(kept, fingerprint)
    if found is not None:
        return found
    try:
        data = build_index(_records(files), fingerprint)
    except (MalformedError, LimitError, OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValidationError(
            f"the advisories at `{place}` cannot be read: {error}", next_step=_NEXT_STEP
        ) from error
    index = AdvisoryIndex(data)
    if not index.records:
        raise ValidationError(f"there are no advisories at `{place}`", next_step=_NEXT_STEP)
    _keep(kept, data)
    return index


def _kept(file: Path, fingerprint: str) -> AdvisoryIndex | None:
    try:
        if file.stat().st_size > _MAX_INDEX_BYTES:
            return None
        found = AdvisoryIndex(file.read_bytes())
    except (OSError, MalformedError):
        return None
    return found if found.fingerprint == fingerprint else None


def _keep(file: Path, data: bytes) -> None:
    """Keeps the index where that is possible; without it each start takes a little longer."""
    from strongroom.vault.durable import replace_file

    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(file, data)
    except (OSError, StorageFullError, UnavailableError):
        return


def _files(place: Path) -> list[Path]:
    """Files that may hold records, in a stable order."""
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise ValidationError(f"there are no advisories at `{place}`", next_step=_NEXT_STEP)
    found: list[Path] = []
    for base, folders, names in os.walk(place):
        folders.sort()
        found.extend(Path(base) / name for name in sorted(names) if _holds_records(name))
        if len(found) > MAX_FILES:
            raise ValidationError(f"`{place}` holds more files than any mirror")
    return [file for file in found if file.is_file()]


def _holds_records(name: str) -> bool:
    return name.lower().endswith((".json", ".jsonl", ".jsonl.gz", ".zip"))


def _fingerprint(place: Path, files: Iterable[Path]) -> str:
    """Changes when a file comes, goes, or is written anew."""
    hasher = sha256()
    for file in files:
        about = file.stat()
        name = os.fsencode(file.relative_to(place) if file != place else file.name)
        hasher.update(b"%s\0%d\0%d\n" % (name, about.st_size, about.st_mtime_ns))
    return hasher.hexdigest()


def _records(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    left = MAX_BYTES
    for data in _texts(files):
        left -= len(data)
        if left < 0:
            raise LimitError("more bytes of advisories than the limit")
        if not data.strip():
            continue
        try:
            record = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise MalformedError("a record that is no JSON") from error
        if not isinstance(record, dict):
            raise MalformedError("a record that is no JSON object")
        yield record


def _texts(files: Iterable[Path]) -> Iterator[bytes]:
    for file in files:
        name = file.name.lower()
        if name.endswith(".zip"):
            with zipfile.ZipFile(file) as archive:
                for member in archive.infolist():
                    if member.filename.lower().endswith(".json"):
                        with archive.open(member) as opened:
                            yield _whole(opened.read(MAX_RECORD_BYTES + 1))
        elif name.endswith((".jsonl", ".jsonl.gz")):
            with gzip.open(file) if name.endswith(".gz") else file.open("rb") as lines:
                while line := lines.readline(MAX_RECORD_BYTES + 1):
                    yield _whole(line)
        else:
            with file.open("rb") as opened:
                yield _whole(opened.read(MAX_RECORD_BYTES + 1))


def _whole(data: bytes) -> bytes:
    if len(data) > MAX_RECORD_BYTES:
        raise LimitError("a record larger than the limit")
    return data
