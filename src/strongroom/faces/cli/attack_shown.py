"""What `strongroom attack` shows and writes: a table, a plan to edit, what was done so far."""

import json
import os
import tomllib
from collections.abc import Sequence
from pathlib import Path

from strongroom.engines.robustness.assessment import document
from strongroom.engines.robustness.assessment.keeping import MAX_BYTES, Kept, kept_from
from strongroom.engines.robustness.assessment.page import shown
from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.engines.robustness.assessment.running import Report, Test
from strongroom.engines.robustness.outcome import Status
from strongroom.errors import ConflictError, ValidationError
from strongroom.faces.cli import output
from strongroom.faces.cli.attack_inputs import Inputs
from strongroom.faces.cli.drafts import draft

_MARKS = {"passed": "ok", "failed": "fail", "invalid": "fail"}


def show(report: Report) -> None:
    """The report on the terminal: a line a test, its measures, what it means."""
    for ran in report.ran:
        status = "broke off" if ran.status is None else ran.status.value
        output.say(f"{ran.test}: {status}", state=_MARKS.get(status, "warn"))
        if ran.outcome is None:
            output.say(f"       {ran.broke}")
            continue
        if ran.outcome.reason:
            output.say(f"       {ran.outcome.reason}")
        else:
            asked = f", {ran.outcome.queries:,} rows asked" if ran.outcome.queries else ""
            output.say(f"       {ran.cpu_seconds:.1f} s of processor time{asked}")
        for measure in ran.outcome.measures:
            bounds = ""
            if measure.low is not None and measure.high is not None:
                low, high = shown(measure.low, measure.unit), shown(measure.high, measure.unit)
                bounds = f" ({low} to {high})"
            output.say(f"       {measure.name}: {shown(measure.value, measure.unit)}{bounds}")
        for words in ran.outcome.words:
            output.say(f"       {words}")
        canary = ran.outcome.canary
        if canary is not None and not canary.was_found:
            output.say(f"       canary missed: {canary.planted}; {canary.found}")
    for remark in report.remarks:
        output.words(remark)
    statuses = [one.status for one in report.ran]
    unjudged = {
        "do not apply": statuses.count(Status.NOT_APPLICABLE),
        "have no gate": statuses.count(Status.INFORMATION),
    }
    told = [f"{count} of {len(statuses)} tests {what}" for what, count in unjudged.items() if count]
    verdict = f"{report.verdict.value}: {document.VERDICT_WORDS[report.verdict]}"
    output.words("; ".join([verdict, *told]))


def drafted(plan: Plan, tests: Sequence[Test]) -> str:
    """The plan with every test and its default gates written out, to edit."""
    lines = [plan.text.rstrip(), ""]
    if "tests" not in tomllib.loads(plan.text):
        lines = [f"tests = {json.dumps([test.id for test in tests])}", *lines]
    chosen = [test for test in tests if not plan.tests or test.id in plan.tests]
    for test in chosen:
        lines.append(f"# {test.title}")
        for gate in plan.gates.get(test.id, test.gates) if test.id not in plan.gates else ():
            side = "at_most" if gate.side == "at most" else "at_least"
            lines += [
                "[[gates]]", f"test = {json.dumps(test.id)}",
                f"measure = {json.dumps(gate.measure)}", f"{side} = {gate.bound!r}",
                f"judged = {json.dumps(gate.judged)}", "",
            ]  # fmt: skip
    return "\n".join(lines) + "\n"


def keep(to: Path, plan: Plan, inputs: Inputs, kept: Kept) -> None:
    """Write what was done in place of what was there; nobody else may read it."""
    head = {"plan": plan.digest, "inputs": inputs.digest}
    with draft(to, force=True) as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(json.dumps(head).encode() + b"\n" + kept.to_bytes())


def kept_for(path: Path, plan: Plan, inputs: Inputs) -> Kept:
    """What was done so far. Raises: ConflictError: under another plan, or on another model or rows.

    Rows from stdin cannot be told from others.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1_000)
    head, _, rest = data.partition(b"\n")
    try:
        said = json.loads(head)
        known = {"plan": said["plan"], "model or other rows": said["inputs"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValidationError(
            f"`{path}` holds no assessment", next_step="give --keep another name"
        ) from None
    now = {"plan": plan.digest, "model or other rows": inputs.digest}
    for what, digest in now.items():
        if known[what] != digest:
            raise ConflictError(
                f"`{path}` holds what was done with another {what}",
                next_step="give --keep another name, or remove the file",
            )
    return kept_from(rest)
