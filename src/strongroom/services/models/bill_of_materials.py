"""What a model is made of, as a CycloneDX bill of materials for machine learning.

Files with their digests, the libraries it asks for, the data by its commitments, and a model card
inside. The document is a function of what was signed: asked for twice, it is the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from strongroom.engines.scanning import cyclonedx
from strongroom.engines.scanning.cyclonedx import Library
from strongroom.services.models.provenance import Origin
from strongroom.services.models.statements import SignedVersion
from strongroom.services.models.tables import ModelEntryRow


def bill(
    row: ModelEntryRow,
    signed: SignedVersion,
    origin: Origin,
    libraries: Sequence[Library],
    server_version: str,
) -> dict[str, Any]:
    """The bill of materials of a version, as JSON values."""
    model_ref = f"urn:strongroom:model:{quote(f'{row.workspace}/{row.model}/{row.version}')}"
    data = [_dataset(index, one) for index, one in enumerate(origin.datasets())]
    component = {
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
    }
    return cyclonedx.document(
        component,
        files=[(file.path, file.sha256) for file in signed.files],
        asked_for=libraries,
        data=data,
        seed=f"{model_ref} {signed.digest}",
        made_by=server_version,
        moment=row.registered_at.isoformat(),
    )


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
