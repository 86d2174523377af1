"""Where a model comes from, as an SLSA provenance attestation (v1) in in-toto form.

Two kinds of builds: a training of this server's own, of which it knows every input; and a run
that a person's client recorded, of which parameters, metrics and code are that client's word. The
builder's id tells which, so that a reader can trust the first and not the second.

Source: slsa.dev/spec/v1.0/provenance; in-toto attestation framework v1, `resource_descriptor.md`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from strongroom.engines.crypto.dsse import Statement, Subject
from strongroom.engines.scanning.cyclonedx import LOCKS
from strongroom.services.models.commitments import PREFIX
from strongroom.services.models.lineage import DataSource
from strongroom.services.models.statements import SignedVersion
from strongroom.services.models.tables import ModelEntryRow
from strongroom.services.models.training import SOURCE

PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
TRAINED_HERE = "urn:strongroom:builder:sandboxed-training:v1"
RECORDED_RUN = "urn:strongroom:builder:recorded-run:v1"
COMMITMENT = "strongroomHmacSha256"
"""Algorithm of a dataset's digest: keyed, so only the server can make it from the data."""
_PRIVACY = "privacy."


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of where a version comes from.

    Attributes:
        facts: as they may be shown, see `Commitments`.
        sources: the data, in the order of `facts["datasets"]`.
    """

    facts: Mapping[str, Any]
    sources: Sequence[DataSource]

    @property
    def is_trained_here(self) -> bool:
        """Whether this server's sandbox trained it."""
        return self.facts.get("source") == SOURCE

    @property
    def parameters(self) -> dict[str, str]:
        """Of the training, without what is about privacy."""
        given = self.facts.get("parameters", {})
        return {name: value for name, value in given.items() if not name.startswith(_PRIVACY)}

    @property
    def privacy(self) -> dict[str, str]:
        """What a training with privacy cost and how; empty for any other."""
        if not self.is_trained_here:
            return {}  # a client's own parameter of such a name proves nothing
        given = self.facts.get("parameters", {})
        return {
            name.removeprefix(_PRIVACY): value
            for name, value in given.items()
            if name.startswith(_PRIVACY)
        }

    def datasets(self) -> list[dict[str, Any]]:
        """Name, version, view and commitment of each dataset."""
        found = []
        for index, recorded in enumerate(self.facts.get("datasets", ())):
            name, _, commitment = str(recorded).rpartition("@")
            source = self.sources[index] if index < len(self.sources) else None
            found.append(
                {
                    "name": (source.name if source is not None else "") or name,
                    "version": source.version if source is not None else 0,
                    "view": source.view if source is not None else "",
                    "commitment": commitment,
                }
            )
        return found


def statement(
    row: ModelEntryRow, signed: SignedVersion, origin: Origin, server_version: str
) -> Statement:
    """The attestation of a version; its subjects are the files as signed."""
    facts = origin.facts
    scan = signed.predicate["scan"]
    metadata = {
        "invocationId": facts.get("run_id", ""),
        "startedOn": facts.get("started_at", ""),
        "finishedOn": facts.get("ended_at", ""),
    }
    return Statement(
        subjects=tuple(Subject(file.path, file.sha256) for file in signed.files),
        predicate_type=PREDICATE_TYPE,
        predicate={
            "buildDefinition": {
                "buildType": "urn:strongroom:build:model:v1",
                "externalParameters": {
                    "parameters": origin.parameters,
                    "experiment": facts.get("experiment", ""),
                    "source": facts.get("source", ""),
                },
                "internalParameters": {
                    "workspace": row.workspace,
                    "model": row.model,
                    "version": row.version,
                    "registeredBy": row.registered_by,
                    "registeredAt": row.registered_at.isoformat(),
                    "privacy": origin.privacy,
                },
                "resolvedDependencies": _dependencies(row, signed, origin),
            },
            "runDetails": {
                "builder": {
                    "id": TRAINED_HERE if origin.is_trained_here else RECORDED_RUN,
                    "version": {"strongroom": server_version},
                },
                "metadata": {name: value for name, value in metadata.items() if value},
                "byproducts": [
                    {"name": "scan report", "digest": {"sha256": scan["report_sha256"]}},
                ],
            },
        },
    )


def _dependencies(
    row: ModelEntryRow, signed: SignedVersion, origin: Origin
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for dataset in origin.datasets():
        digest = str(dataset["commitment"]).removeprefix(PREFIX)
        found.append(
            {
                "name": dataset["name"],
                "uri": f"urn:strongroom:dataset:{row.workspace}",
                "digest": {COMMITMENT: digest},
                "annotations": {"version": dataset["version"], "view": dataset["view"]},
            }
        )
    if commit := origin.facts.get("code_commit"):
        found.append({"name": "code", "uri": origin.facts.get("code_source", ""),
                      "digest": {"gitCommit": commit}})  # fmt: skip
    locks = [file for file in signed.files if file.path.rpartition("/")[2] in LOCKS]
    found += [{"name": file.path, "digest": {"sha256": file.sha256}} for file in locks]
    return found
