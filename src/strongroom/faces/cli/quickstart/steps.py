"""The steps of the main job that need a server, each made of ordinary operations."""

import json
import os
import secrets
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from strongroom.engines.ledger.checkpoint import LogKey
from strongroom.engines.ledger.receipt import Receipt
from strongroom.engines.ledger.verification import verify_export
from strongroom.errors import (
    ConflictError,
    InternalError,
    StrongroomError,
    TamperedError,
)
from strongroom.faces.cli import demo_table
from strongroom.faces.cli.quickstart import people
from strongroom.faces.cli.quickstart.hosting import Hosted
from strongroom.faces.cli.quickstart.people import (
    AUDITOR,
    ENGINEER,
    OWNER,
    READER,
    SCIENTIST,
    WORKSPACE,
    Cast,
)
from strongroom.faces.cli.quickstart.tampering import (
    flipped_byte,
    flipped_entry,
    largest_model_file,
)
from strongroom.faces.cli.quickstart.telling import Teller
from strongroom.faces.client.client import Client
from strongroom.gate.identity.tokens import TokenKind, new_token

DATASET = "biopsies"
MODEL = "diagnosis"
ENDPOINT = "diagnosis"
SEED = 20_260_101
ROWS_PER_MINUTE = 60
FLOOD = 1_000
"""Requests at most; far more than any machine could need to be told to wait."""
REFUSED = 20
SCIENTIST_SECONDS = 180
FINDINGS_SECONDS = 5
SHOWN_COLUMNS = ("name", "birth_date", "email", "postcode", "mean radius", "diagnosis")


@dataclass(slots=True)
class Stage:
    """What the steps share."""

    tell: Teller
    home: Path
    server: Hosted
    operator: Client
    cast: Cast

    def must_be_refused(self, who: str, attempt: Callable[[], object]) -> None:
        """Tell why `attempt` was refused.

        Raises:
            InternalError: it was not.
        """
        try:
            attempt()
        except StrongroomError as error:
            self.tell.refused(who, error.message)
            return
        raise InternalError(f"this should have been refused: {who}")


def keep_the_operator_out(stage: Stage) -> None:
    """Show that who runs the server can neither take a person's place nor open the workspace."""
    operator = stage.operator
    stage.must_be_refused(
        f"the operator inviting another into {OWNER}'s place",
        lambda: operator.call("user.invite", user=OWNER),
    )
    stage.must_be_refused(
        "the operator opening the workspace",
        lambda: operator.call("workspace.show", workspace=WORKSPACE),
    )


def take_in(stage: Stage) -> None:
    """Stream the table in, and show which columns were found to be personal."""
    owner = stage.cast[OWNER]
    added = owner.call(
        "data.add", demo_table.biopsies_as_csv(SEED), name=DATASET, format="csv",
        purpose="diagnosis research", subject_column="medical_record_number",
    )  # fmt: skip
    stage.tell.fact(
        f"{added['rows']} rows, {added['columns']} columns, version {added['version']}"
        + (" (was there already)" if added["existed"] else "")
    )
    shown = owner.call("data.show", name=DATASET)
    personal = [column for column in shown["columns"] if column["masked_by"] != "keep"]
    stage.tell.table(
        "Personal columns, found by looking",
        ["column", "holds", "sure", "masked by"],
        [[c["name"], c["type"], f"{c['confidence']:.2f}", c["masked_by"]] for c in personal],
    )
    stage.tell.fact(f"digest {added['digest']}")
    stage.tell.keep(dataset=added, personal=[column["name"] for column in personal])


def show_views(stage: Stage) -> None:
    """The same rows as three people see them."""
    views: dict[str, Any] = {}
    for name in (OWNER, SCIENTIST):
        table = stage.cast[name].read_table(DATASET, limit=2)
        shown = [column for column in SHOWN_COLUMNS if column in table.column_names]
        rows = [[row[column] for column in shown] for row in table.to_pylist()]
        stage.tell.table(f"{people.PEOPLE[name]} ({name})", shown, rows)
        views[name] = {"columns": shown, "rows": [[str(cell) for cell in row] for row in rows]}
    stage.must_be_refused(
        f"{people.PEOPLE[READER]} ({READER})", lambda: stage.cast[READER].read_table(DATASET)
    )
    stage.tell.keep(views=views)


def _run_scientist(stage: Stage, verb: str) -> dict[str, Any]:
    """Run the data scientist's script, which knows only the stock MLflow client."""
    output = stage.home / "run" / f"scientist-{verb}.json"
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": os.environ.get("HOME", str(stage.home)),
        "MLFLOW_TRACKING_URI": f"{stage.server.url}/mlflow",
        "STRONGROOM_SERVER": stage.server.url,
        "MLFLOW_TRACKING_TOKEN": stage.cast.keys[SCIENTIST],
        "MLFLOW_TRACKING_SERVER_CERT_PATH": str(stage.server.ca),
        "MLFLOW_WORKSPACE": WORKSPACE,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, "-m", "strongroom.faces.cli.quickstart.scientist", verb, str(output)]
    done = subprocess.run(
        command, env=environment, capture_output=True, timeout=SCIENTIST_SECONDS, check=False
    )
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()[-15:]
        raise InternalError("the data scientist's script failed:\n" + "\n".join(words))
    try:
        found: dict[str, Any] = json.loads(output.read_text("utf-8"))
        return found
    finally:
        output.unlink(missing_ok=True)


def train(stage: Stage) -> dict[str, Any]:
    """Train, log and register as the data scientist, with the unmodified MLflow client."""
    found = _run_scientist(stage, "train")
    stage.tell.fact(
        f"read {found['rows']} masked rows, trained on {len(found['features'])} features, "
        f"AUC {found['auc']:.3f}"
    )
    stage.tell.fact(
        f"run {found['run_id']}, model {MODEL} version {found['version']}: {found['status']}"
    )
    stage.tell.keep(training=found)
    return found


def check_and_approve(stage: Stage, version: int) -> None:
    """Show what the registry did on its own, then approve: two people, as the rules ask."""
    engineer = stage.cast[ENGINEER]
    shown = engineer.call("model.show", name=MODEL, version=version)
    stage.tell.fact(f"state {shown['state']}, scanned without loading it: {shown['verdict']}")
    stage.tell.fact(f"serves as {shown['serving']}, signed by key {shown['signed_by'][:16]}…")
    stage.must_be_refused(
        f"{people.PEOPLE[SCIENTIST]} approving their own model",
        lambda: stage.cast[SCIENTIST].call("model.approve", name=MODEL, version=version),
    )
    if shown["state"] != "approved":
        first = engineer.call("model.approve", name=MODEL, version=version)
        if first["state"] != "approved":
            [waits] = [rule["says"] for rule in first["rules"] if not rule["is_met"]]
            stage.tell.fact(
                f"approved by {people.PEOPLE[ENGINEER]}, and the rules ask for more: {waits}"
            )
            stage.cast[OWNER].call("model.approve", name=MODEL, version=version)
    shown = engineer.call("model.show", name=MODEL, version=version)
    approved = [it for it in shown["decisions"] if it["decision"].startswith("approv")]
    stage.tell.fact(f"approved by {len(approved)} people: state {shown['state']}")
    smuggled = _run_scientist(stage, "smuggle")
    if not smuggled["refusal"] or smuggled["payload_ran"]:
        raise InternalError("a malicious model was not refused")
    stage.tell.refused("a malicious pickle, in the MLflow client", smuggled["refusal"])
    stage.tell.keep(model=shown, smuggled=smuggled)


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks the endpoint over the Open Inference Protocol, as any client of it would."""

    server: Hosted
    features: list[str]

    def ask(self, key: str, rows: list[list[float]], features: int | None = None) -> httpx.Response:
        """One request with `key`; `features` overrides how many values a row is said to have."""
        width = features or len(self.features)
        body = {
            "inputs": [
                {
                    "name": "input", "shape": [len(rows), width], "datatype": "FP64",
                    "data": [value for row in rows for value in row[:width]],
                }
            ]
        }  # fmt: skip
        with self._http(key) as http:
            return http.post(f"v2/models/{MODEL}/infer", json=body)

    def flood(self, key: str, row: list[float]) -> Counter[int]:
        """Requests one after the other, until enough of them were told to wait; by status."""
        body = {"rows": [row]}
        statuses: Counter[int] = Counter()
        with self._http(key) as http:
            while statuses[httpx.codes.TOO_MANY_REQUESTS] < REFUSED and statuses.total() < FLOOD:
                statuses[http.post("score", json=body).status_code] += 1
        return statuses

    def _http(self, key: str) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.server.url}/endpoints/{WORKSPACE}/{ENDPOINT}/",
            headers={"Authorization": f"Bearer {key}"},
            verify=ssl.create_default_context(cafile=self.server.ca),
            trust_env=False,
            timeout=30,
        )


def deploy_and_predict(stage: Stage, training: dict[str, Any]) -> int:
    """Serve the approved model, predict, and show what is refused; the receipt's log index."""
    engineer = stage.cast[ENGINEER]
    version = int(training["version"])
    try:
        engineer.call("endpoint.create", endpoint=ENDPOINT, rows_per_minute=ROWS_PER_MINUTE)
    except ConflictError:
        stage.tell.fact("the endpoint was there already")
    deployed = engineer.call("endpoint.deploy", endpoint=ENDPOINT, model=MODEL, version=version)
    stage.tell.fact(f"{MODEL} version {version} is live as {deployed['live']['form']}")
    asker = Asker(stage.server, training["features"])
    keys, rows = stage.cast.keys, training["example"]
    answer = asker.ask(keys[SCIENTIST], rows)
    if answer.status_code != httpx.codes.OK:
        raise InternalError(f"the prediction failed: {answer.text[:500]}")
    outputs = {output["name"]: output["data"] for output in answer.json()["outputs"]}
    index = int(answer.headers["X-Strongroom-Receipt"])
    stage.tell.fact(f"predicted over the Open Inference Protocol: {outputs}, log entry {index}")
    refused = {
        # Well formed, so that it is looked up: nobody has it.
        "a wrong key": asker.ask(new_token(TokenKind.API_KEY, secrets.token_bytes).text, rows),
        f"a wrong role ({READER})": asker.ask(keys[READER], rows),
        "a wrong input (29 of 30 values)": asker.ask(keys[SCIENTIST], rows, features=29),
    }
    for who, response in refused.items():
        if response.status_code == httpx.codes.OK:
            raise InternalError(f"this should have been refused: {who}")
        stage.tell.refused(who, f"{response.status_code} {response.json()['error']}")
    statuses = asker.flood(keys[SCIENTIST], rows[0])
    limited = statuses[httpx.codes.TOO_MANY_REQUESTS]
    if not limited:
        raise InternalError("a flood was not refused")
    stage.tell.refused(
        f"a flood of {statuses.total()}",
        f"{statuses[httpx.codes.OK]} answered, {limited} told to wait (429)",
    )
    stage.tell.keep(
        prediction={"outputs": outputs, "index": index},
        refusals={who: response.status_code for who, response in refused.items()},
        flood={str(status): count for status, count in sorted(statuses.items())},
    )
    return index


def tamper(stage: Stage, version: int, index: int) -> None:
    """Change a stored model and the log as someone with the disk could; both are noticed."""
    engineer, auditor = stage.cast[ENGINEER], stage.cast[AUDITOR]
    path, file = largest_model_file(stage.home, WORKSPACE, MODEL, version)
    found: dict[str, str] = {}
    before = _open_findings(stage)
    with flipped_byte(file) as offset:
        stage.tell.fact(f"one byte of {path} flipped on disk, at offset {offset}")
        found["model"] = _must_be_noticed(
            lambda: engineer.call("model.verify", name=MODEL, version=version)
        )
        stage.tell.refused("verifying the model", found["model"])
    engineer.call("model.verify", name=MODEL, version=version)
    stage.tell.fact("restored: the model verifies again")
    with flipped_entry(stage.home / "strongroom.db", index):
        stage.tell.fact(f"one byte of log entry {index} flipped in the database")
        found["log"] = _must_be_noticed(lambda: auditor.call("audit.verify"))
        stage.tell.refused("verifying the log", found["log"])
    auditor.call("audit.verify")
    stage.tell.fact("restored: the log verifies again")
    resolved = _resolve_findings(stage, before, at_least=len(found))
    stage.tell.fact(f"{resolved} integrity findings, resolved by the operator; the record stays")
    stage.tell.keep(tampering=found, findings_resolved=resolved)


def _open_findings(stage: Stage) -> set[tuple[str, str]]:
    """Kind and subject of each."""
    found = stage.operator.call("audit.findings")["findings"]
    return {(each["kind"], each["subject"]) for each in found}


def _resolve_findings(stage: Stage, before: set[tuple[str, str]], at_least: int) -> int:
    """Resolve what was found since `before`, and nothing else; how many those were.

    Findings are written by a thread of their own, soon after they are met.
    """
    deadline = time.monotonic() + FINDINGS_SECONDS
    fresh = _open_findings(stage) - before
    while len(fresh) < at_least and time.monotonic() < deadline:
        time.sleep(0.1)
        fresh = _open_findings(stage) - before
    for kind, subject in sorted(fresh):
        stage.operator.call(
            "audit.resolve", kind=kind, subject=subject,
            reason="flipped by the quickstart, and put back",
        )  # fmt: skip
    return len(fresh)


def _must_be_noticed(attempt: Callable[[], object]) -> str:
    """What the server says of changed bytes; raises if it notices nothing."""
    try:
        attempt()
    except TamperedError as error:
        return f"{error.code}: {error.message}"
    raise InternalError("a changed byte was not noticed")


def verify(stage: Stage, index: int) -> None:
    """Verify an export of the log and one receipt, without the server."""
    auditor = stage.cast[AUDITOR]
    receipt = auditor.call("audit.prove", index=index)
    key = LogKey.parse(receipt["log_key"])
    folder = stage.home / "quickstart"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "log.key").write_text(receipt["log_key"] + "\n", "utf-8")
    (folder / "receipt.txt").write_text(receipt["receipt"], "utf-8")
    auditor.download("audit.export", folder / "log.zip")
    with (folder / "log.zip").open("rb") as export:
        verified = verify_export(export, [key])
    stage.tell.fact(
        f"the whole log, offline: {verified.checkpoint.size} entries, "
        f"root {verified.checkpoint.root.hex()[:16]}…"
    )
    parsed = Receipt.parse(receipt["receipt"])
    checkpoint = parsed.verify([key])
    entry = json.loads(parsed.entry)
    stage.tell.fact(
        f"the receipt of the prediction, offline: entry {parsed.index} of {checkpoint.size}"
    )
    details = entry["details"]
    stage.tell.fact(
        f"  {entry['operation']} on {entry['resource']}, {entry['outcome']} to {entry['actor']} "
        f"by the policy {', '.join(entry['policies'])}"
    )
    stage.tell.fact(
        f"  {details['rows']} rows to {details['model']} version {details['version']}; "
        f"commitment to question and answer {details['commitment'][:16]}…"
    )
    stage.must_be_refused(
        f"{people.PEOPLE[READER]} reading the log", lambda: stage.cast[READER].call("audit.tail")
    )
    refusals = refusals_on_record(auditor, at_least=REFUSED)
    stage.tell.fact(f"{refusals} refused predictions are on the record")
    stage.tell.keep(
        log={"size": verified.checkpoint.size, "folder": str(folder), "entry": entry},
        refusals_on_record=refusals,
    )


def refusals_on_record(auditor: Client, at_least: int) -> int:
    """How many refused predictions the log holds.

    Those of a flood are counted for a second, then recorded with their number.
    """
    found = 0
    deadline = time.monotonic() + 5
    while found < at_least and time.monotonic() < deadline:
        page = auditor.call("audit.search", action="invokeEndpoint", outcome="refused", limit=500)
        found = sum(int(entry["details"].get("count", 1)) for entry in page["entries"])
        time.sleep(0.1)
    return found
