"""The part of an assessment that runs inside the sandbox: the tests, over rows that came in.

Called by `assessing`, never in the server. The model runs in a sandbox of its own, and is asked as
`confined_dialogue` says.
"""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from strongroom.engines.robustness.assessment import document, running
from strongroom.engines.robustness.assessment.catalog import tests
from strongroom.engines.robustness.assessment.keeping import Keeper, Kept, kept_from
from strongroom.engines.robustness.assessment.plan import Plan, parse_plan
from strongroom.engines.robustness.leakage.tests import Scanned
from strongroom.errors import StrongroomError
from strongroom.services.models.added_columns import (
    naming_rows,
    numbered,
    taken_apart,
    without_unused,
)
from strongroom.services.models.assessed import subject_of
from strongroom.services.models.confined_dialogue import Answer, ConfinedDialogue, Handle
from strongroom.services.models.subjects import AssessedModel


def start(argument: dict[str, Any], _folder: Path) -> Handle:
    """Begin an assessment; each call of what is returned brings it one step on.

    Args:
        argument: `plan`, its text; `scanned`, fields of what a scan found in the model's files;
            `epsilon`, a number or None; `delta`; `has_model`, false where rows alone are searched.
    """
    plan = parse_plan(str(argument["plan"]))
    told = argument.get("scanned")
    scanned = None if told is None else msgspec.convert(told, Scanned)
    epsilon, delta = argument.get("epsilon"), float(argument.get("delta", 0))
    has_model = bool(argument.get("has_model", True))
    return _Assessment(plan, scanned, epsilon, delta, has_model=has_model).answer


class _Assessment(ConfinedDialogue):
    """The steps: `file` also brings one of the model's files as bytes, `kept` what ran before.

    Answers tell how far it is (`test`, `share`), give all that another try would need (`kept`, the
    tests that have ended), or are the last (`verdict`, `classes`).
    """

    def __init__(
        self, plan: Plan, scanned: Scanned | None, epsilon: float | None, delta: float, *,
        has_model: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self._plan = plan
        self._scanned = scanned
        self._epsilon = epsilon
        self._delta = delta
        self._has_model = has_model
        self._files: dict[str, io.BytesIO] = {}
        self._kept = Kept()

    def take(self, head: dict[str, Any], body: bytes) -> None:
        """A piece of a file, or what ran before."""
        match head["do"]:
            case "file":
                self._files.setdefault(str(head["name"]), io.BytesIO()).write(body)
            case "kept":
                self._kept = _readable(body)
            case _:
                super().take(head, body)

    def work(self) -> Answer:
        """Run the tests."""
        trained, numbers, _ = taken_apart(self.table("trained"))
        held_out, there = self.table("held_out"), None
        if held_out is not None:
            held_out, there, _ = taken_apart(held_out)
        plan = naming_rows(self._plan, [one for one in (trained, held_out) if one is not None])
        trained = without_unused(plan, trained)
        held_out = None if held_out is None else without_unused(plan, held_out)
        subject = subject_of(
            plan, trained, held_out, AssessedModel(self.ask) if self._has_model else None,
            epsilon=self._epsilon, delta=self._delta,
        )  # fmt: skip
        subject = numbered(subject, numbers, there)
        keeper = Keeper(
            self._kept, lambda kept: self.tell({"kept": len(kept.ran)}, kept.to_bytes())
        )
        files = {name: held.getvalue() for name, held in self._files.items()}
        subject = replace(
            subject, kept=self._kept.bundles, keep=keeper.bundle, files=files, scanned=self._scanned
        )
        report = running.assess(
            subject, self._plan, tests(), done=self._kept.ran, each=keeper.ran,
            progress=lambda test, share: self.tell({"test": test, "share": share}),
            clock=subject.clock,
        )  # fmt: skip
        head = {"verdict": report.verdict.value, "remarks": list(report.remarks),
                "classes": list(subject.classes)}  # fmt: skip
        return head, document.kept(report.ran)


def _readable(body: bytes) -> Kept:
    """What an earlier try left; nothing where it cannot be read: then all is done anew."""
    try:
        return kept_from(body)
    except StrongroomError:
        return Kept()
