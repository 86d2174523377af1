"""What `strongroom attack` shows and writes: a table, a plan to edit, what was done so far."""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path

from strongroom.engines.robustness.assessment import document
from strongroom.engines.robustness.assessment.page import shown
from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.engines.robustness.assessment.running import Ran, Report, Test
from strongroom.errors import ConflictError, ValidationError
from strongroom.faces.cli import output
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
    output.words(f"{report.verdict.value}: {document.VERDICT_WORDS[report.verdict]}")


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


def keep(to: Path, plan: Plan, ran: Sequence[Ran]) -> None:
    """Write what was done under a plan in place of what was there."""
    with draft(to, force=True) as file:
        file.write(json.dumps({"plan": plan.digest}).encode() + b"\n" + document.kept(ran))


def kept_for(path: Path, plan: Plan) -> dict[str, Ran]:
    """What was done under this plan. Raises: ConflictError: it was another plan."""
    with path.open("rb") as file:
        data = file.read(document.MAX_BYTES + 1_000)
    head, _, rest = data.partition(b"\n")
    try:
        digest = json.loads(head)["plan"]
    except (ValueError, KeyError, TypeError):
        raise ValidationError(
            f"`{path}` holds no assessment", next_step="give --keep another name"
        ) from None
    if digest != plan.digest:
        raise ConflictError(
            f"`{path}` holds what was done under another plan",
            next_step="give --keep another name, or remove the file",
        )
    return document.resumed(rest)
