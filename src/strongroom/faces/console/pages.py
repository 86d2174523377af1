"""The pages: each calls the same operations as the API, and shows what it was told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from strongroom.errors import NotFoundError, StrongroomError, TamperedError, UnavailableError
from strongroom.faces.console import assessments, pictures, proofs
from strongroom.faces.console.budget_picture import of_budget
from strongroom.faces.console.visits import Visit


@dataclass(frozen=True, slots=True)
class Page:
    """What a template needs.

    Attributes:
        crumbs: (text, address) from the start to here.
    """

    template: str
    title: str
    context: Mapping[str, Any]
    crumbs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Verb:
    """A button on the page of a thing.

    Attributes:
        states: in which the button makes sense.
        asks: whether the scan's findings must be accepted, where there are any.
        fields: of the form, that the operation takes.
    """

    operation: str
    text: str
    states: tuple[str, ...]
    asks: bool = False
    fields: tuple[str, ...] = ("comment",)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing in a workspace, with a list and a page each.

    Attributes:
        columns: what the list shows, in order; those that an answer lacks are left out.
        verbs: buttons on its page.
    """

    word: str
    title: str
    one: str
    list_operation: str
    show_operation: str
    columns: tuple[str, ...]
    verbs: tuple[Verb, ...] = ()
    empty: str = ""


KINDS = {
    kind.word: kind
    for kind in (
        Kind(
            "data", "Datasets", "Dataset", "data.ls", "data.show",
            ("name", "version", "rows", "columns", "personal_columns", "purpose", "created_at"),
            empty="strongroom data add NAME FILE",
        ),
        Kind(
            "models", "Models", "Model", "model.ls", "model.show",
            ("name", "version", "state", "verdict", "serving", "reason", "registered_at"),
            verbs=(
                Verb(
                    "model.approve", "Approve", ("checked",), asks=True,
                    fields=("comment", "accept_findings", "purpose"),
                ),
                Verb("model.reject", "Reject", ("quarantined", "checked")),
                Verb("model.retire", "Retire", ("approved",)),
            ),
            empty="mlflow.register_model(…)",
        ),
        Kind(
            "endpoints", "Endpoints", "Endpoint", "endpoint.ls", "endpoint.show",
            ("name", "is_ready", "live", "rows_per_minute"),
            empty="strongroom endpoint create NAME",
        ),
        Kind(
            "jobs", "Jobs", "Job", "job.ls", "job.show",
            ("job", "id", "kind", "state", "created_at"),
        ),
    )
}  # fmt: skip

SHOWN_COLUMNS = {
    "columns": ("name", "type", "role", "confidence", "inside", "masked_by", "mask_reason",
                "nulls", "distinct", "evidence"),
    "quasi_identifiers": ("columns", "unique_share", "population_share", "smallest_group"),
    "versions": ("version", "rows", "columns", "source_format", "digest", "created_at",
                 "created_by"),
    "findings": ("severity", "rule_id", "title", "file", "says", "atlas"),
    "decisions": ("decision", "by", "at", "comment"),
    "rules": ("rule", "is_met", "says", "next_step"),
    "trained_on": ("name", "version", "view", "purpose", "state"),
    "files": ("path", "size", "sha256"),
    "callers": ("caller", "rows", "flagged", "refused", "is_alarmed", "because", "raised_at"),
    "spends": ("number", "at", "by", "kind", "purpose", "epsilon", "spent"),
    "raises": ("number", "state", "epsilon", "delta", "asked_by", "asked_at", "reason",
               "approved_by"),
}  # fmt: skip
"""Columns of the tables on the page of one thing; others show all they have."""
_GUARDS = {"models": "model.guard", "endpoints": "endpoint.guard"}
_SHOWN_SPENDS = 500
"""Of a privacy budget, newest first."""


def _crumbs(workspace: str, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (("Workspaces", "/"), (workspace, f"/w/{workspace}/data"), *more)


def home(visit: Visit) -> Page:
    """The workspaces that one may read."""
    found = visit.call("workspace.ls")["workspaces"]
    claim = ""
    if not found and visit.offers("whoami"):  # a newcomer, whom an Owner will ask for it
        claim = visit.call("whoami")["claim"]
    context = {"workspaces": found, "claim": claim, "integrity": _integrity(visit)}
    return Page("home.html", "Workspaces", context)


def _integrity(visit: Visit) -> list[Any]:
    """What was found changed outside the server, for those who may see it."""
    if not visit.may("audit.findings"):
        return []
    found: list[Any] = visit.call("audit.findings", limit=100)["findings"]
    return found


def things(visit: Visit, workspace: str, kind: Kind) -> Page:
    """The list of one kind of thing."""
    answer = visit.call(kind.list_operation, workspace=workspace)
    rows = _rows(answer)
    shown = [name for name in kind.columns if any(name in row for row in rows)]
    naming = visit.positional(kind.show_operation) if visit.offers(kind.show_operation) else ()
    items = [(_address(workspace, kind, naming, row), row) for row in rows]
    context = {"workspace": workspace, "tab": kind.word, "kind": kind, "items": items,
               "columns": shown}  # fmt: skip
    return Page("things.html", kind.title, context, _crumbs(workspace, (kind.title, "")))


def thing(visit: Visit, workspace: str, kind: Kind, parts: list[str]) -> Page:
    """The page of one thing."""
    fields = _named(visit, kind, parts)
    answer = visit.call(kind.show_operation, workspace=workspace, **fields)
    state = answer.get("state") if isinstance(answer, Mapping) else None
    buttons = [
        verb
        for verb in kind.verbs
        if state in verb.states and visit.may(verb.operation, workspace=workspace, **fields)
    ]
    name = " ".join(parts)
    crumbs = _crumbs(workspace, (kind.title, f"/w/{workspace}/{kind.word}"), (name, ""))
    context = {
        "workspace": workspace, "tab": kind.word, "kind": kind, "name": name,
        "value": _flat(answer),
        "buttons": buttons, "here": f"/w/{workspace}/{kind.word}/{'/'.join(parts)}",
        "shown_columns": SHOWN_COLUMNS,
        "pictures": pictures.of_dataset(answer) if kind.word == "data" else [],
        "report": f"/w/{workspace}/data/{parts[0]}/report" if kind.word == "data" else "",
        "budget": _budget(visit, workspace, answer, fields),
        "assessments": assessments.of(visit, workspace, kind.word, fields),
        "guard": _guard(visit, workspace, kind, fields),
    }  # fmt: skip
    return Page("thing.html", f"{kind.one} {name}", context, crumbs)


def _budget(
    visit: Visit,
    workspace: str,
    answer: object,
    fields: Mapping[str, object],
) -> Mapping[str, Any] | None:
    """The privacy budget of a dataset that has one, with a picture, for those who may see it."""
    if not (isinstance(answer, Mapping) and answer.get("has_budget")):
        return None
    if not visit.may("data.budget", workspace=workspace, **fields):
        return None
    found = visit.call("data.budget", workspace=workspace, limit=_SHOWN_SPENDS, **fields)
    return {"value": found, "picture": of_budget(found)}


def _guard(
    visit: Visit, workspace: str, kind: Kind, fields: Mapping[str, object]
) -> Mapping[str, Any] | None:
    """How a version or an endpoint is guarded, for those who may see it; None: it is not."""
    operation = _GUARDS.get(kind.word)
    if operation is None or not visit.may(operation, workspace=workspace, **fields):
        return None
    try:
        found: Mapping[str, Any] = visit.call(operation, workspace=workspace, **fields)
    except (NotFoundError, UnavailableError):  # none was fitted, or nothing is deployed
        return None
    except TamperedError as error:
        # The rest of the page is as true as before.
        return {"is_tampered": True, "reason": error.message}
    return found


def act(visit: Visit, workspace: str, kind: Kind, parts: list[str], verb: str,
        form: Mapping[str, str]) -> None:  # fmt: skip
    """Press a button of a thing's page."""
    pressed = next((known for known in kind.verbs if known.operation == verb), None)
    if pressed is None:
        raise NotFoundError("there is no such button")
    # The buttons of a page share one form: what is for another of them is left out.
    others = {name for known in kind.verbs for name in known.fields} - {*pressed.fields}
    given = {name: text for name, text in form.items() if name not in others}
    visit.call(verb, workspace=workspace, **{**given, **_named(visit, kind, parts)})


def log(visit: Visit, workspace: str, query: Mapping[str, str]) -> Page:
    """Search the log."""
    names = ("actor", "action", "outcome", "since", "until", "before")
    wanted = {name: query.get(name, "").strip() for name in names}
    found = visit.call("audit.search", workspace=workspace, limit=50, **wanted)["entries"]
    context = {"workspace": workspace, "tab": "log", "entries": found, "wanted": wanted,
               "integrity": _integrity(visit)}  # fmt: skip
    return Page("log.html", "Log", context, _crumbs(workspace, ("Log", "")))


def entry(visit: Visit, workspace: str, index: str) -> Page:
    """One entry of the log, with its proof."""
    answer = visit.call("audit.prove", workspace=workspace, index=index)
    proof = proofs.view(answer["receipt"], answer["log_key"])
    crumbs = _crumbs(workspace, ("Log", f"/w/{workspace}/log"), (f"Entry {proof.index}", ""))
    context = {"workspace": workspace, "tab": "log", "entry": answer["entry"], "proof": proof}
    return Page("entry.html", f"Entry {proof.index}", context, crumbs)


def receipt(visit: Visit, workspace: str, index: str) -> tuple[str, str]:
    """A receipt to download: (file name, text)."""
    answer = visit.call("audit.prove", workspace=workspace, index=index)
    return f"entry-{answer['entry']['index']}.tlog-proof", str(answer["receipt"])


def report(visit: Visit, workspace: str, name: str) -> tuple[str, bytes]:
    """The findings of a dataset as a page to download: (file name, content)."""
    stream = visit.stream("data.report", workspace=workspace, name=name)
    return stream.filename or "report.html", b"".join(stream.chunks)


def people(visit: Visit, workspace: str, query: Mapping[str, str]) -> Page:
    """Who holds which role, and who may do something."""
    answer = visit.call("role.ls", workspace=workspace)
    action = query.get("action", "").strip()
    who: list[Any] | None = None
    fault = ""
    if action and visit.offers("access.who_can"):
        try:
            found = visit.call("access.who_can", workspace=workspace, action=action)
            who = found["principals"]
        except StrongroomError as error:
            fault = error.message
    context = {"workspace": workspace, "tab": "people", "members": answer["members"],
               "roles": answer["roles"], "action": action, "who": who, "fault": fault}  # fmt: skip
    return Page("people.html", "People", context, _crumbs(workspace, ("People", "")))


def _rows(answer: Any) -> list[Mapping[str, Any]]:  # noqa: ANN401 # JSON
    if isinstance(answer, Mapping):
        for value in answer.values():
            if isinstance(value, list):
                return value
    return answer if isinstance(answer, list) else []


def _flat(answer: Any) -> Any:  # noqa: ANN401 # JSON
    """The answer with the thing's own facts first, and without what is empty."""
    if not isinstance(answer, Mapping):
        return answer
    inner = answer.get("shown")
    facts = {**(inner if isinstance(inner, Mapping) else {}), **answer}
    skipped = {"shown", "existed", "workspace"}
    return {name: v for name, v in facts.items() if name not in skipped and v not in ([], {})}


def _address(workspace: str, kind: Kind, naming: tuple[str, ...], row: Mapping[str, Any]) -> str:
    """Where the page of a listed thing is; empty where the row does not say."""
    parts = []
    for name in naming:
        value = row.get(name, row.get("name", row.get("id")))
        if not isinstance(value, str | int) or "/" in str(value):
            return ""
        parts.append(quote(str(value), safe=""))
    return f"/w/{workspace}/{kind.word}/{'/'.join(parts)}" if parts else ""


def _named(visit: Visit, kind: Kind, parts: list[str]) -> dict[str, object]:
    naming = visit.positional(kind.show_operation)
    if len(parts) != len(naming):
        raise NotFoundError("there is nothing here")
    return dict(zip(naming, parts, strict=True))
