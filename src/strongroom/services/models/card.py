"""A model card from what is known of a version; what nobody stated is called not stated.

Source: Mitchell et al. 2019, "Model Cards for Model Reporting", for the headings.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from strongroom.engines.scanning.cyclonedx import Library
from strongroom.services.models.provenance import Origin
from strongroom.services.models.statements import SignedVersion
from strongroom.services.models.tables import ModelDecisionRow, ModelEntryRow
from strongroom.services.models.types import Serving

FORMAT = "strongroom model card 1"
NOT_STATED = "not stated"
# What Markdown or HTML would take for more than text.
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|<>~&$-])")


def card(
    row: ModelEntryRow,
    signed: SignedVersion,
    origin: Origin,
    libraries: Sequence[Library],
    decisions: Sequence[ModelDecisionRow],
    key_id: str,
) -> dict[str, Any]:
    """The card as JSON values."""
    facts, predicate = origin.facts, signed.predicate
    conversion = predicate["conversion"]
    return {
        "format": FORMAT,
        "model": {
            "workspace": row.workspace,
            "name": row.model,
            "version": row.version,
            "state": row.state,
            "files": len(signed.files),
            "bytes": sum(file.size for file in signed.files),
            "manifest_sha256": signed.digest,
            "signed_by_key": key_id,
            "registered_by": row.registered_by,
            "registered_at": row.registered_at.isoformat(),
        },
        "intended_use": {"uses": NOT_STATED, "users": NOT_STATED, "out_of_scope": NOT_STATED},
        "inputs": [
            {"name": name, "type": kind}
            for name, kind in zip(signed.features, signed.feature_types, strict=False)
        ]
        or NOT_STATED,
        "outputs": list(signed.classes) or NOT_STATED,
        "training": {
            "trained_by": "this server, in its sandbox"
            if origin.is_trained_here
            else "a run that its owner recorded; what it says is that run's word",
            "run": facts.get("run_id") or NOT_STATED,
            "started_at": facts.get("started_at") or NOT_STATED,
            "ended_at": facts.get("ended_at") or NOT_STATED,
            "code": facts.get("code_source") or NOT_STATED,
            "code_commit": facts.get("code_commit") or NOT_STATED,
            "parameters": origin.parameters or NOT_STATED,
            "datasets": origin.datasets() or NOT_STATED,
            "libraries": [library.asked_for for library in libraries] or NOT_STATED,
        },
        "evaluation": {"metrics": dict(facts.get("metrics") or {}) or NOT_STATED},
        "privacy": origin.privacy or "no guarantee: it was not trained with privacy on this server",
        "scan": {**predicate["scan"], "verdict": row.verdict, "reason": row.reason},
        "conversion": {
            "serving": row.serving,
            "reason": row.serving_reason,
            "points_compared": conversion["points_tried"],
            "largest_difference": conversion["largest_difference"],
        },
        "decisions": [
            {"decision": one.decision, "by": one.by, "at": one.at.isoformat(),
             "comment": one.comment}
            for one in decisions
        ],
        "limits": _limits(row, signed, origin),
    }  # fmt: skip


def _limits(row: ModelEntryRow, signed: SignedVersion, origin: Origin) -> list[str]:
    """What a reader should not take for granted."""
    found = ["Intended use and groups of people it was made for are not stated."]
    if not origin.facts.get("metrics"):
        found.append("No evaluation was recorded with it.")
    elif not origin.is_trained_here:
        found.append("Its metrics are as the run reported them; this server did not measure them.")
    if not origin.facts.get("datasets"):
        found.append("The data it was trained on is not known.")
    if not origin.privacy:
        found.append("Nothing bounds what it tells about single people in its training data.")
    if row.verdict != "clean":
        found.append(f"The scan asks for a person: {row.reason}")
    if row.serving != Serving.ONNX:
        found.append("It is served by running its own files in the sandbox.")
    if not signed.features:
        found.append("Names and types of its inputs are not known.")
    return found


# ---- Markdown ----

_HEADINGS = {
    "intended_use": "Intended use",
    "inputs": "Inputs",
    "outputs": "Outputs",
    "training": "Training",
    "evaluation": "Evaluation",
    "privacy": "Privacy",
    "scan": "Scan",
    "conversion": "Conversion",
    "decisions": "Decisions",
    "limits": "Limits",
}


def markdown(found: Mapping[str, Any]) -> str:
    """A card in Markdown; every value is text, whatever characters it has."""
    model = found["model"]
    lines = [f"# {_text(model['name'])}, version {model['version']}", ""]
    lines += _shown(model)
    for name, heading in _HEADINGS.items():
        lines += ["", f"## {heading}", "", *_shown(found[name])]
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> list[str]:  # noqa: ANN401 # JSON
    """Markdown lines of a JSON value: lists of things as tables, things as lists of fields."""
    if isinstance(value, Mapping):
        lines = []
        for name, inner in value.items():
            if isinstance(inner, Mapping | list):
                lines += [f"- {_label(name)}:", *(f"  {line}" for line in _shown(inner))]
            else:
                lines.append(f"- {_label(name)}: {_text(inner)}")
        return lines
    if isinstance(value, list):
        return [
            "- " + "; ".join(f"{_label(n)}: {_text(v)}" for n, v in one.items())
            if isinstance(one, Mapping)
            else f"- {_text(one)}"
            for one in value
        ] or ["- none"]
    return [_text(value)]


def _label(name: str) -> str:
    return _text(name.replace("_", " "))


def _text(value: object) -> str:
    """Text that Markdown shows as it is, on one line."""
    plain = "".join(c if c.isprintable() else " " for c in str(value))
    return _SPECIAL.sub(r"\\\1", plain)
