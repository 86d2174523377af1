"""What a model is made of, as a CycloneDX 1.6 bill of materials for machine learning.

Files with their digests, the libraries it asks for, the data by its commitments, and a model card
inside. The document is a function of what was signed: asked for twice, it is the same.

Source: CycloneDX 1.6 JSON schema (ECMA-424); purl-spec, type `pypi`.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any
from urllib.parse import quote

from strongroom.services.models.provenance import Origin
from strongroom.services.models.statements import SignedVersion
from strongroom.services.models.tables import ModelEntryRow

SPEC_VERSION = "1.6"
_NAMESPACE = uuid.UUID("6f1c7f0e-52c0-5d6b-9a51-8d0d8f1c2b6e")


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


def bill(
    row: ModelEntryRow,
    signed: SignedVersion,
    origin: Origin,
    libraries: Sequence[Library],
    server_version: str,
) -> dict[str, Any]:
    """The bill of materials of a version, as JSON values."""
    model_ref = f"urn:strongroom:model:{quote(f'{row.workspace}/{row.model}/{row.version}')}"
    unique = {library.ref: library for library in libraries}
    data = [_dataset(index, one) for index, one in enumerate(origin.datasets())]
    serial = uuid.uuid5(_NAMESPACE, f"{model_ref} {signed.digest} {server_version}")
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC_VERSION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": row.registered_at.isoformat(),
            "tools": {
                "components": [
                    {"type": "application", "name": "strongroom", "version": server_version}
                ]
            },
            "component": {
                "type": "machine-learning-model",
                "bom-ref": model_ref,
                "group": row.workspace,
                "name": row.model,
                "version": str(row.version),
                "modelCard": _model_card(signed, origin, data),
                "properties": [
                    {"name": "strongroom:manifest-sha256", "value": signed.digest},
                    {"name": "strongroom:scan-verdict", "value": str(row.verdict)},
                    {"name": "strongroom:state", "value": str(row.state)},
                ],
            },
        },
        "components": [
            *(_file(file.path, file.sha256) for file in signed.files),
            *(_library(library) for library in unique.values()),
            *data,
        ],
        "dependencies": [
            {"ref": model_ref, "dependsOn": [*unique, *(one["bom-ref"] for one in data)]},
            *({"ref": ref} for ref in (*unique, *(one["bom-ref"] for one in data))),
        ],
    }


def _file(path: str, digest: str) -> dict[str, Any]:
    return {
        "type": "file",
        "bom-ref": f"file:{quote(path)}",
        "name": path,
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }


def _library(library: Library) -> dict[str, Any]:
    found: dict[str, Any] = {
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


def _dataset(index: int, dataset: Mapping[str, Any]) -> dict[str, Any]:
    properties = {
        "strongroom:commitment": str(dataset["commitment"]),
        "strongroom:view": str(dataset["view"]),
    }
    found: dict[str, Any] = {
        "type": "data",
        "bom-ref": f"dataset:{index}",
        "name": str(dataset["name"]) or "not named",
        "data": [{"type": "dataset", "name": str(dataset["name"])}],
        "properties": [
            {"name": name, "value": value} for name, value in properties.items() if value
        ],
    }
    if dataset["version"]:
        found["version"] = str(dataset["version"])
    return found


def _model_card(
    signed: SignedVersion, origin: Origin, data: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What the standard has fields for; what nobody stated is left out, not made up."""
    parameters: dict[str, Any] = {}
    if data:
        parameters["datasets"] = [{"ref": one["bom-ref"]} for one in data]
    if signed.features:
        parameters["inputs"] = [
            {"format": f"{name}: {kind}"}
            for name, kind in zip(signed.features, signed.feature_types, strict=False)
        ]
    if signed.classes:
        parameters["approach"] = {"type": "supervised"}
        parameters["task"] = "classification"
        parameters["outputs"] = [{"format": name} for name in signed.classes]
    card: dict[str, Any] = {"modelParameters": parameters} if parameters else {}
    if metrics := origin.facts.get("metrics"):
        card["quantitativeAnalysis"] = {
            "performanceMetrics": [
                {"type": name, "value": format(value, ".6g")} for name, value in metrics.items()
            ]
        }
    facts = {
        **{f"parameter:{name}": value for name, value in origin.parameters.items()},
        **{f"privacy:{name}": value for name, value in origin.privacy.items()},
    }
    if facts:
        card["properties"] = [{"name": name, "value": str(value)} for name, value in facts.items()]
    return card
