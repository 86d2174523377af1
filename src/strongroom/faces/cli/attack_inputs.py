"""What an attack was made of, by digests: model, rows and settings, so that others can check."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from strongroom.engines.crypto.model_signature import (
    MAX_BUNDLE_BYTES,
    WHOLE_FILE,
    Serialization,
    is_bundle,
)
from strongroom.faces.cli.model_folder import FoundFile, find, hash_files, require_unchanged
from strongroom.faces.cli.signers import read_file

_REPORT = re.compile(rb'\{\s*"version":\s*\d+,\s*"kind":\s*"[^"]*",\s*"verdict":\s*"')
"""How a report as JSON begins; others hold these words, too."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Digests of what was given, and the files they are of.

    Attributes:
        model: path in the model's folder → SHA-256; of one file its name. Empty for an address.
        address: where the model answers; empty for one on disk.
        rows: `trained` and `held_out` → name, SHA-256 and bytes of the file; no digest for stdin.
        settings: what the plan does not say.
        files: on disk, as they were when they were hashed.
    """

    model: Mapping[str, str]
    address: str
    rows: Mapping[str, Mapping[str, str | int]]
    settings: Mapping[str, object]
    files: tuple[FoundFile, ...] = ()

    @property
    def digest(self) -> str:
        """Of all of it, for telling two attacks apart."""
        return sha256(json.dumps(self.fields(), sort_keys=True).encode()).hexdigest()

    def fields(self) -> dict[str, Any]:
        """As reports and statements have them."""
        return {
            "model": dict(self.model), "address": self.address,
            "rows": {name: dict(one) for name, one in self.rows.items()},
            "settings": dict(self.settings),
        }  # fmt: skip

    def require_unchanged(self) -> None:
        """Return if nobody wrote to the files meanwhile. Raises: CallerError."""
        require_unchanged(self.files)


def inputs_of(
    model: Path | None,
    address: str,
    rows: Mapping[str, Path | None],
    settings: Mapping[str, object],
) -> Inputs:
    """What is given.

    Args:
        model: on disk; None for one behind an address.
        rows: name → file; None for stdin.

    Raises: StrongroomError: as `find` and `hash_files`.
    """
    files: list[FoundFile] = []
    digests: dict[str, str] = {}
    if model is not None:
        digests, found = hashed(model)
        files += found
    told: dict[str, Mapping[str, str | int]] = {}
    for name, path in rows.items():
        if path is None:
            told[name] = {"name": "stdin"}
            continue
        [(file, digest)] = hashed_file(path)
        files.append(file)
        told[name] = {"name": path.name, "sha256": digest, "bytes": file.size}
    return Inputs(digests, address, told, settings, tuple(files))


def hashed(model: Path) -> tuple[dict[str, str], list[FoundFile]]:
    """Path → SHA-256 of a model's files, and the files. Raises: as `find`."""
    how = Serialization()
    folder = find(model, how)
    found = {one.path: one.digest for one in hash_files(folder.files, how)}
    if set(found) == {WHOLE_FILE}:
        found = {folder.name: found[WHOLE_FILE]}
    return found, list(folder.files)


def hashed_file(path: Path) -> list[tuple[FoundFile, str]]:
    """One file, whatever links lead to it, with its SHA-256. Raises: as `find`."""
    how = Serialization(follows_links=True)
    files = find(path, how).files
    return list(zip(files, [one.digest for one in hash_files(files, how)], strict=True))


# ---- what a report is compared with ----


@dataclass(frozen=True, slots=True)
class Compared:
    """What else must be as the statement says; None: not looked at."""

    model: Path | None = None
    rows: Mapping[str, Path | None] = field(default_factory=dict)
    plan: Path | None = None

    @property
    def is_any(self) -> bool:
        """Something was given."""
        return bool(self.model or self.plan or any(self.rows.values()))


def is_report(path: Path, signature: Path | None = None) -> bool:
    """Whether a file looks like the report of an attack; nothing is proven by that.

    Args:
        signature: one of a model is verified as such, whatever the file is.
    """
    if not path.is_file():
        return False
    if signature is not None and is_bundle(read_file(signature, MAX_BUNDLE_BYTES)):
        return False
    with path.open("rb") as file:
        start = file.read(4_096)
    if start.startswith(b"<!doctype html>"):
        return b"<title>Assessment " in start
    return _REPORT.match(start) is not None
