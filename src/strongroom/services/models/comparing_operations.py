"""The verb that compares two versions of a model."""

import json
from collections.abc import Mapping

from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Route, operation
from strongroom.gate.operation import Call
from strongroom.services.models.keeping_types import Compared, CompareVersions, Difference
from strongroom.services.models.looking_operations import LookingOperations
from strongroom.services.models.parts import VERSION_ROUTE, entity_of, version_entity
from strongroom.services.models.types import ModelDetail, ModelReference

_MOST_SHOWN = 1_000
"""Of each list of differences."""


class ComparingOperations(LookingOperations):
    """The part of the room of models that compares."""

    @operation(
        "model.compare",
        action="readModel",
        resource=version_entity,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", VERSION_ROUTE + "/compare/{other}"),
        command=Command("model compare", positional=("name", "version", "other")),
    )
    def compare(self, call: Call, request: CompareVersions) -> Compared:
        """Compare two versions: files, sizes, parameters, metrics, data, findings, features, rules.

        Only what differs is shown, but for the number of files that are the same.
        """
        with call.reading() as session:
            other = entity_of(session, request.workspace, request.name, request.other)
            call.require("readModel", other)
        before, after = (
            self.detail(
                ModelReference(workspace=request.workspace, name=request.name, version=number)
            )
            for number in (request.version, request.other)
        )
        old, new = _files(before), _files(after)
        return Compared(
            name=request.name,
            version=request.version,
            other=request.other,
            facts=_differences(_facts(before), _facts(after)),
            files=_differences(old, new),
            same_files=sum(new.get(path) == told for path, told in old.items()),
            parameters=_differences(_texts(before, "parameters"), _texts(after, "parameters")),
            metrics=_differences(_texts(before, "metrics"), _texts(after, "metrics")),
            data=_differences(_data(before), _data(after)),
            features=_differences(_features(before), _features(after)),
            findings=_differences(_findings(before), _findings(after)),
        )


def _differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[Difference]:
    return [
        Difference(name=name, before=before.get(name, ""), after=after.get(name, ""))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ][:_MOST_SHOWN]


def _facts(detail: ModelDetail) -> dict[str, str]:
    unmet = [one.rule for one in detail.rules if not one.is_met]
    return {
        "state": detail.state.value,
        "verdict": detail.verdict,
        "serving": detail.serving.value,
        "bytes": str(sum(file.size for file in detail.files)),
        "registered by": detail.registered_by,
        "trained on data since erased": str(detail.is_stale).lower(),
        "rules not met": ", ".join(unmet),
    }


def _files(detail: ModelDetail) -> dict[str, str]:
    return {file.path: f"{file.size} bytes, sha256:{file.sha256}" for file in detail.files}


def _texts(detail: ModelDetail, fact: str) -> dict[str, str]:
    """Parameters or metrics of the run, as text."""
    found = detail.facts.get(fact)
    if not isinstance(found, Mapping):
        return {}
    return {
        str(name): value if isinstance(value, str) else json.dumps(value)
        for name, value in found.items()
    }


def _data(detail: ModelDetail) -> dict[str, str]:
    return {
        one.name: f"version {one.version or '?'}, {one.view or 'unknown view'}, {one.state}"
        for one in detail.trained_on
    }


def _features(detail: ModelDetail) -> dict[str, str]:
    return {name: str(place) for place, name in enumerate(detail.features, 1)}


def _findings(detail: ModelDetail) -> dict[str, str]:
    return {f"{one.rule_id} in {one.file}": one.severity for one in detail.findings}
