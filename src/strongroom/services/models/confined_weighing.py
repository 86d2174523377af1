"""The part of hardening that compares: the same tests before and after, inside a sandbox.

Called by `hardening_job`, never in the server. Here are the rows and the tests; the model as it was
runs in a second sandbox, the one that was fitted anew in a third. They are asked as
`confined_dialogue` says: so no code of a model reaches the rows, the verdict, or the other model.
"""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from strongroom.engines.robustness.assessment import document, running
from strongroom.engines.robustness.assessment.catalog import tests
from strongroom.engines.robustness.assessment.plan import parse_plan
from strongroom.engines.robustness.assessment.running import Ran, Report
from strongroom.engines.robustness.assessment.subject import Subject
from strongroom.engines.robustness.hardening.advice import warnings
from strongroom.engines.robustness.hardening.ways import Way
from strongroom.engines.robustness.hardening.weighing import (
    Weighed,
    changes,
    turns,
    weighed_json,
)
from strongroom.errors import StrongroomError
from strongroom.services.models.added_columns import (
    naming_rows,
    numbered,
    taken_apart,
    without_unused,
)
from strongroom.services.models.assessed import subject_of
from strongroom.services.models.confined_dialogue import Answer, ConfinedDialogue, Handle
from strongroom.services.models.hardening import (
    HardenedModel,
    cost_of,
    ran_already,
    subject_after,
)
from strongroom.services.models.subjects import AssessedModel

OLD, CONTROL, NEW = "old", "control", "new"
"""The three models, as questions name them."""
VERSION = 1


def start(argument: dict[str, Any], _folder: Path) -> Handle:
    """Begin; each call of what is returned brings it one step on.

    Args:
        argument: `plan`, its text; `way`; `control`, whether there is one; `left_out`, rows of the
            whole dataset that are not trained on.
    """
    return _Weighing(argument).answer


class _Weighing(ConfinedDialogue):
    """The steps: `kept` also brings what ran before.

    Answers ask one of the models (`ask`, `who`), want one fitted (`need`), tell how far it is
    (`test`, `share`), give what another try would need (`kept`), or are the last (`verdict`).
    """

    def __init__(self, argument: dict[str, Any]) -> None:
        super().__init__()
        self._plan = parse_plan(str(argument["plan"]))
        self._way = Way(argument["way"])
        self._has_control = bool(argument["control"])
        self._left_out = int(argument["left_out"])
        self._done: dict[str, dict[str, Ran]] = {}

    def take(self, head: dict[str, Any], body: bytes) -> None:
        """What ran before."""
        if head["do"] != "kept":
            super().take(head, body)
        self._done = _resumed(body)

    def work(self) -> Answer:
        """Run the tests on each of the models, and compare."""
        trained, numbers, removed = taken_apart(self.table("trained"))
        held_out, there, _ = taken_apart(self.table("held_out"))
        plan = naming_rows(self._plan, [trained, held_out])
        trained, held_out = (without_unused(plan, one) for one in (trained, held_out))
        old = AssessedModel(partial(self.ask, who=OLD))
        before = numbered(subject_of(plan, trained, held_out, old), numbers, there)
        first = self._assess(OLD, before, {})
        recipe = old.stated()
        about = {
            "recipe": None if recipe is None else recipe.document(),
            "features": [one.name for one in before.space.features],
            "classes": list(before.classes),
        }
        same = ran_already(first, same_rows=True)
        control: Report | None = None
        weighed: list[Weighed] = []
        if self._has_control:
            made = self._needed(CONTROL, about)
            after = subject_after(plan, trained, held_out, made, before, None)
            after = numbered(after, numbers, there)
            control = self._assess(CONTROL, after, same)
            # Against itself: what it changed, fitting anew did.
            found = self._compared(Way.RETRAINED, before, after, first, control, made, control)
            weighed.append(replace(found, is_control=True))
        made = self._needed(NEW, about)
        kept = trained if not removed.any() else trained.filter(pa.array(~removed))
        after = subject_after(plan, kept, held_out, made, before, None)
        after = numbered(after, numbers[~removed], there)
        is_same = not removed.any() and set(after.space.places) == set(before.space.places)
        last = self._assess(NEW, after, same if is_same else {})
        found = self._compared(self._way, before, after, first, last, made, control)
        weighed.append(found)
        return self._ended(first, last, weighed)

    def _compared(
        self, way: Way, before: Subject, after: Subject, first: Report, last: Report,
        made: HardenedModel, control: Report | None = None,
    ) -> Weighed:  # fmt: skip
        left_out = self._left_out if way is self._way else 0
        return Weighed(
            way, first.verdict, last.verdict, turns(first, last), changes(first, last, control),
            cost_of(before, after, last, made), made.says,
            warnings(way, first, left_out=left_out),
        )  # fmt: skip

    def _ended(self, first: Report, last: Report, weighed: list[Weighed]) -> Answer:
        found = {
            "version": VERSION, "way": self._way.value, "left_out": self._left_out,
            "before": document.report_json(first), "after": document.report_json(last),
            "ways": weighed_json(weighed),
        }  # fmt: skip
        head = {"verdict": last.verdict.value, "before": first.verdict.value}
        return head, json.dumps(found, ensure_ascii=False).encode()

    def _needed(self, who: str, about: dict[str, Any]) -> HardenedModel:
        """A model that the other side has fitted meanwhile."""
        told, _ = self.exchange({"need": who, **about})
        says = tuple(str(one) for one in told["says"])
        return HardenedModel(
            self._way, AssessedModel(partial(self.ask, who=who)), {}, says, {},
            seconds=float(told["seconds"]),
        )  # fmt: skip

    def _assess(self, who: str, subject: Subject, done: dict[str, Ran]) -> Report:
        finished = {**done, **self._done.get(who, {})}
        self._done[who] = finished

        def each(ran: Ran) -> None:
            finished[ran.test] = ran
            self.tell({"kept": who, "tests": len(finished)}, _kept(self._done))

        return running.assess(
            subject, self._plan, tests(), done=finished, each=each,
            progress=lambda test, share: self.tell(
                {"who": who, "test": test, "share": share}
            ),
            clock=subject.clock,
        )  # fmt: skip


# ---- what another try would need ----


def _kept(done: dict[str, dict[str, Ran]]) -> bytes:
    found = {who: [document.ran_json(one) for one in ran.values()] for who, ran in done.items()}
    return json.dumps({"version": VERSION, "sides": found}).encode()


def _resumed(body: bytes) -> dict[str, dict[str, Ran]]:
    """What an earlier try left; nothing where it cannot be read: then all is done anew."""
    try:
        sides = json.loads(body)["sides"]
        return {
            who: document.resumed(json.dumps({"version": document.VERSION, "tests": ran}).encode())
            for who, ran in sides.items()
            if who in {OLD, CONTROL, NEW}
        }
    except (ValueError, KeyError, TypeError, AttributeError, StrongroomError):
        return {}
