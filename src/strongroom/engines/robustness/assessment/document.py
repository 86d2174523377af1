"""A report as JSON, and what a killed assessment needs to go on.

No value of any row is in it, save for pictures that a plan asks for.

Numbers that JSON has no form for are the texts `inf`, `-inf` and `nan`.
"""

import json
import math
from collections.abc import Sequence
from typing import Any

import msgspec

from strongroom.engines.robustness.assessment.running import Ran, Report, Verdict
from strongroom.engines.robustness.outcome import Status
from strongroom.errors import TooLargeError, ValidationError

VERSION = 1
MAX_BYTES = 32 << 20
MAX_LISTED = 1_000
"""Rows or values that one test lists; the rest is counted."""

STATUS_WORDS = {
    Status.PASSED: "kept its gates",
    Status.FAILED: "did not keep its gates",
    Status.INVALID: "missed what was planted for it: it proves nothing",
    Status.NOT_APPLICABLE: "does not apply here",
    Status.INFORMATION: "measured; no gate was set",
    None: "broke off",
}
VERDICT_WORDS = {
    Verdict.PASSED: "every gate was kept",
    Verdict.FAILED: "a gate was not kept",
    Verdict.INVALID: "nothing is concluded: a canary missed, a test broken off, or no gate set",
}


def report_json(report: Report) -> dict[str, Any]:
    """The report; `version` grows when a field changes its meaning."""
    plan = report.plan
    return {
        "version": VERSION,
        "kind": plan.name,
        "verdict": report.verdict.value,
        "plan": {
            "digest": plan.digest,
            "seed": plan.seed,
            "minutes": plan.minutes,
            "rows": plan.rows,
            "text": plan.text,
        },
        "remarks": list(report.remarks),
        "tests": [ran_json(one) for one in report.ran],
    }


def ran_json(ran: Ran) -> dict[str, Any]:
    """One test."""
    made = plain(msgspec.to_builtins(ran))
    assert isinstance(made, dict)  # noqa: S101 # of a dataclass
    if made["outcome"] is not None:
        made["outcome"]["listed"] = _shortened(made["outcome"]["listed"])
    return {**made, "says": STATUS_WORDS[ran.status]}


def kept(ran: Sequence[Ran]) -> bytes:
    """What was run so far, for `resumed`. Raises: TooLargeError."""
    made = json.dumps({"version": VERSION, "tests": [ran_json(one) for one in ran]}).encode()
    if len(made) > MAX_BYTES:
        raise TooLargeError(f"what the tests found takes more than {MAX_BYTES:,} bytes")
    return made


def resumed(data: bytes) -> dict[str, Ran]:
    """The tests that `kept` wrote, by id. Raises: ValidationError, TooLargeError."""
    if len(data) > MAX_BYTES:
        raise TooLargeError(f"what was kept takes more than {MAX_BYTES:,} bytes")
    try:
        found = json.loads(data)
        if found["version"] != VERSION:
            raise ValueError
        tests = [_ran(one) for one in found["tests"]]
    except (ValueError, KeyError, TypeError, RecursionError, msgspec.ValidationError):
        raise ValidationError(
            "what was kept of the assessment cannot be read", next_step="begin it anew"
        ) from None
    return {one.test: one for one in tests}


def _ran(found: dict[str, Any]) -> Ran:
    found = {name: value for name, value in found.items() if name != "says"}
    return msgspec.convert(found, Ran, strict=False)


def plain(value: Any) -> Any:  # noqa: ANN401 # JSON
    """What JSON can carry of builtins: numbers that it has no form for become texts."""
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _shortened(listed: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in listed.items():
        made[name] = value
        if isinstance(value, list) and len(value) > MAX_LISTED:
            made[name] = value[:MAX_LISTED]
            made[f"{name}_left_out"] = len(value) - MAX_LISTED
    return made
