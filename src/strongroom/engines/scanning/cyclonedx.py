"""Bills of materials as CycloneDX 1.7 has them: the parts that every bill of a model is made of.

A bill is a function of what it describes: made twice, it is the same, its serial number too.

Source: CycloneDX 1.7 JSON schema (ECMA-424, second edition); purl-spec, types `pypi`, `conda` and
`huggingface`.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any
from urllib.parse import quote

from strongroom.engines.scanning.reading import MalformedError
from strongroom.engines.scanning.requirements import read_environment, read_requirements

SPEC_VERSION = "1.7"
LOCKS = ("requirements.txt", "conda.yaml", "python_env.yaml")
"""Files of a model that say in which environment it was made."""
MAX_LOCKS = 16
MAX_LOCK_BYTES = 1 << 20
_NAMESPACE = uuid.UUID("6f1c7f0e-52c0-5d6b-9a51-8d0d8f1c2b6e")

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Library:
    """One distribution that a model asks for; `version` is empty where it allows several.

    Attributes:
        kind: type of its package URL: `pypi` or `conda`.
    """

    kind: str
    name: str
    version: str
    asked_for: str

    @property
    def ref(self) -> str:
        """Package URL."""
        version = f"@{quote(self.version, safe='')}" if self.version else ""
        return f"pkg:{self.kind}/{quote(self.name, safe='')}{version}"


def libraries(files: Iterable[tuple[str, bytes]]) -> list[Library]:
    """What files of `LOCKS` ask for, by path and content, each once.

    A library that one file pins is not told again for another that leaves its version open. Files
    that cannot be read are for a scan to tell.
    """
    found: dict[str, Library] = {}
    for path, content in files:
        for library in _asked_for(path, content):
            found.setdefault(library.ref, library)
    pinned = {library.name for library in found.values() if library.version}
    return [one for one in found.values() if one.version or one.name not in pinned]


def _asked_for(path: str, content: bytes) -> Iterator[Library]:
    try:
        if path.endswith(".txt"):
            read = read_requirements(content.decode("utf-8", "replace"))
        else:
            read = read_environment(content)
    except MalformedError:
        return
    for one in read.wanted:
        yield Library(
            kind="pypi" if one.is_pypi else "conda",
            name=one.name,
            version=str(one.version) if one.version is not None else "",
            asked_for=f"{one.name}{one.specifier}",
        )


def document(
    component: Mapping[str, Any],
    *,
    files: Iterable[tuple[str, str]],
    asked_for: Sequence[Library],
    data: Sequence[Mapping[str, Any]],
    seed: str,
    made_by: str,
    moment: str = "",
) -> Fields:
    """A bill, as JSON values.

    Args:
        component: the model, with its `bom-ref`.
        files: path and SHA-256 in hex of each.
        asked_for: what the model needs to be installed.
        data: components of the data, with their `bom-ref`.
        seed: what the serial number follows from.
        made_by: version of this program.
        moment: when the model was made what it is, in RFC 3339; empty where nobody knows.
    """
    parts = [*(one.ref for one in asked_for), *(one["bom-ref"] for one in data)]
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC_VERSION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'{seed} {made_by}')}",
        "version": 1,
        "metadata": {
            **({"timestamp": moment} if moment else {}),
            "tools": {
                "components": [{"type": "application", "name": "strongroom", "version": made_by}]
            },
            "component": dict(component),
        },
        "components": [
            *(_file(path, digest) for path, digest in files),
            *(_library(library) for library in asked_for),
            *data,
        ],
        "dependencies": [
            {"ref": component["bom-ref"], "dependsOn": parts},
            *({"ref": ref} for ref in parts),
        ],
    }


def _file(path: str, digest: str) -> Fields:
    return {
        "type": "file",
        "bom-ref": f"file:{quote(path)}",
        "name": path,
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }


def _library(library: Library) -> Fields:
    found: Fields = {
        "type": "library",
        "bom-ref": library.ref,
        "name": library.name,
        "purl": library.ref,
        "properties": [{"name": "strongroom:asked-for", "value": library.asked_for}],
    }
    if library.version:
        found["version"] = library.version
    if licence := _licence(library):
        found["licenses"] = [{"expression": licence}]
    return found


def _licence(library: Library) -> str:
    """SPDX expression, where exactly this version is installed here and states one; else empty.

    Only the field that PEP 639 demands to be valid SPDX is believed, not free text.
    """
    if library.kind != "pypi" or not library.version:
        return ""
    try:
        installed = distribution(library.name)
    except PackageNotFoundError:
        return ""
    if installed.version != library.version:
        return ""
    stated = installed.metadata.get_all("License-Expression") or [""]
    return str(stated[0])
