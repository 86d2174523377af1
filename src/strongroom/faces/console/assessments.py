"""Assessments on the pages of model versions and datasets: how they ended, reports to download."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from strongroom.faces.console.visits import Visit


def of(
    visit: Visit, workspace: str, word: str, fields: Mapping[str, object]
) -> list[Mapping[str, Any]]:
    """Those of the thing on a page, the newest first; none of kinds of things that have none.

    Args:
        word: the kind of thing, as in the page's address.
        fields: that name it.
    """
    match word:
        case "models":
            return of_version(visit, workspace, fields)
        case "data":
            return of_dataset(visit, workspace, fields)
        case _:
            return []


def of_version(
    visit: Visit, workspace: str, fields: Mapping[str, object]
) -> list[Mapping[str, Any]]:
    """The attacks on a version and how they ended; the newest of a kind with its report."""
    name, version = str(fields["name"]), str(fields["version"])
    if not visit.may("model.assessments", workspace=workspace, name=name):
        return []
    found = visit.call("model.assessments", workspace=workspace, name=name)["assessments"]
    reads = visit.may("model.assessment", workspace=workspace, **fields)
    of_it = [one for one in found if str(one["version"]) == version]
    newest = _newest(of_it)
    return [
        {
            **one,
            "report": _address(workspace, "models", name, version, "assessment", one["kind"])
            if reads and one["id"] in newest
            else "",
        }
        for one in of_it
    ]


def of_dataset(
    visit: Visit, workspace: str, fields: Mapping[str, object]
) -> list[Mapping[str, Any]]:
    """The searches of a dataset for poison; the newest of a version and kind with what it found."""
    name = str(fields["name"])
    if not visit.may("data.assessments", workspace=workspace, name=name):
        return []
    found = visit.call("data.assessments", workspace=workspace, name=name)["assessments"]
    reads = visit.may("data.assessment", workspace=workspace, name=name)
    newest = _newest(found)
    shown: list[Mapping[str, Any]] = []
    for one in found:
        at = (workspace, "data", name, str(one["version"]))
        is_read = reads and one["id"] in newest
        shown.append({
            **one,
            "report": _address(*at, "assessment", one["kind"]) if is_read else "",
            "suspects": _address(*at, "quarantine", one["kind"]) if is_read else "",
        })  # fmt: skip
    return shown


def report_of_version(visit: Visit, workspace: str, name: str, version: str, kind: str) -> bytes:
    """The report of an assessment as a page to download."""
    stream = visit.stream(
        "model.assessment", workspace=workspace, name=name, version=version, kind=kind, form="html"
    )
    return b"".join(stream.chunks)


def report_of_dataset(visit: Visit, workspace: str, name: str, version: str, kind: str) -> bytes:
    """The report of a search for poison as a page to download."""
    stream = visit.stream(
        "data.assessment", workspace=workspace, name=name, version=version, kind=kind, form="html"
    )
    return b"".join(stream.chunks)


def suspects(visit: Visit, workspace: str, name: str, version: str, kind: str) -> bytes:
    """The rows that a search for poison listed, as CSV to download and edit."""
    stream = visit.stream(
        "data.quarantine", workspace=workspace, name=name, version=version, kind=kind
    )
    return b"".join(stream.chunks)


def _newest(found: list[Mapping[str, Any]]) -> set[str]:
    """Ids of those that ended last, of each version and kind; `found` has the newest first."""
    newest: dict[tuple[object, object], str] = {}
    for one in found:
        if one["state"] == "done":
            newest.setdefault((one["version"], one["kind"]), one["id"])
    return set(newest.values())


def _address(workspace: str, *parts: str) -> str:
    return f"/w/{workspace}/{'/'.join(quote(part, safe='') for part in parts)}"
