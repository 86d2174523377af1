"""The part of hardening that compares: the same tests before and after, inside a sandbox.

Called by `hardening_job`, never in the server. Here are the rows and the tests; the model as it was
runs in a second sandbox, the one that was fitted anew in a third. What they are asked leaves here
as an answer that says whom, and comes back with the next request: so no code of a model reaches the
rows, the verdict, or the other model.
"""

import io
import json
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strongroom.engines.robustness.assessment import document, running
from strongroom.engines.robustness.assessment.catalog import tests
from strongroom.engines.robustness.assessment.plan import Plan, parse_plan
from strongroom.engines.robustness.assessment.running import Ran, Report
from strongroom.engines.robustness.assessment.subject import Sample, Subject
from strongroom.engines.robustness.hardening.advice import warnings
from strongroom.engines.robustness.hardening.ways import Way
from strongroom.engines.robustness.hardening.weighing import (
    Weighed,
    changes,
    turns,
    weighed_json,
)
from strongroom.engines.robustness.target import ModelError
from strongroom.errors import StrongroomError
from strongroom.services.models.assessed import subject_of
from strongroom.services.models.confined_assessment import PSEUDONYM
from strongroom.services.models.hardening import (
    HardenedModel,
    cost_of,
    ran_already,
    subject_after,
)
from strongroom.services.models.subjects import AssessedModel, Request

Answer = tuple[dict[str, Any], bytes]
ROW, LEFT_OUT = "strongroom row", "strongroom left out"
"""Names of columns: the number of a row in its dataset, and whether it is not trained on."""
OLD, CONTROL, NEW = "old", "control", "new"
"""The three models, as questions name them."""
VERSION = 1


def start(argument: dict[str, Any], _folder: Path) -> Callable[[dict[str, Any], bytes], Answer]:
    """Begin; each call of what is returned brings it one step on.

    Args:
        argument: `plan`, its text; `way`; `control`, whether there is one; `left_out`, rows of the
            whole dataset that are not trained on.
    """
    return _Weighing(argument).answer


class _Weighing:
    """The steps: `rows` brings a piece of a table, `kept` what ran before, `go` begins.

    After that each answer asks one of the models (`ask`, `who`), wants one fitted (`need`), tells
    how far it is (`test`, `share`), gives what another try would need (`kept`), or is the last
    (`verdict`, or `failed`). `next` brings what was asked for, or nothing.
    """

    def __init__(self, argument: dict[str, Any]) -> None:
        self._plan = parse_plan(str(argument["plan"]))
        self._way = Way(argument["way"])
        self._has_control = bool(argument["control"])
        self._left_out = int(argument["left_out"])
        self._streams: dict[str, io.BytesIO] = {}
        self._done: dict[str, dict[str, Ran]] = {}
        self._out: queue.Queue[Answer] = queue.Queue()
        self._in: queue.Queue[Answer] = queue.Queue()

    def answer(self, head: dict[str, Any], body: bytes) -> Answer:
        """One step."""
        match head["do"]:
            case "rows":
                self._streams.setdefault(str(head["table"]), io.BytesIO()).write(body)
                return {}, b""
            case "kept":
                self._done = _resumed(body)
                return {}, b""
            case "go":
                threading.Thread(target=self._run, daemon=True).start()
            case _:
                self._in.put((head, body))
        return self._out.get()

    # ---- in a thread of its own ----

    def _run(self) -> None:
        try:
            self._weigh()
        except StrongroomError as error:
            self._out.put(({"failed": error.message, "next_step": error.next_step}, b""))
        except Exception as error:  # noqa: BLE001 # whatever it is, the other side must hear
            self._out.put(({"failed": type(error).__name__, "next_step": ""}, b""))

    def _weigh(self) -> None:
        trained, numbers, removed = _taken_apart(self._table("trained"))
        held_out, there, _ = _taken_apart(self._table("held_out"))
        plan = _with_pseudonyms(self._plan, [trained, held_out])
        trained, held_out = (_bare(one, plan) for one in (trained, held_out))
        old = AssessedModel(self._asking(OLD))
        before = _numbered(subject_of(plan, trained, held_out, old), numbers, there)
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
            after = _numbered(after, numbers, there)
            control = self._assess(CONTROL, after, same)
            # Against itself: what it changed, fitting anew did.
            found = self._compared(Way.RETRAINED, before, after, first, control, made, control)
            weighed.append(replace(found, is_control=True))
        made = self._needed(NEW, about)
        kept = trained if not removed.any() else trained.filter(pa.array(~removed))
        after = subject_after(plan, kept, held_out, made, before, None)
        after = _numbered(after, numbers[~removed], there)
        is_same = not removed.any() and set(after.space.places) == set(before.space.places)
        last = self._assess(NEW, after, same if is_same else {})
        found = self._compared(self._way, before, after, first, last, made, control)
        weighed.append(found)
        self._end(first, last, weighed)

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

    def _end(self, first: Report, last: Report, weighed: list[Weighed]) -> None:
        found = {
            "version": VERSION, "way": self._way.value, "left_out": self._left_out,
            "before": document.report_json(first), "after": document.report_json(last),
            "ways": weighed_json(weighed),
        }  # fmt: skip
        self._out.put((
            {"verdict": last.verdict.value, "before": first.verdict.value},
            json.dumps(found, ensure_ascii=False).encode(),
        ))  # fmt: skip

    def _needed(self, who: str, about: dict[str, Any]) -> HardenedModel:
        """A model that the other side has fitted meanwhile."""
        self._out.put(({"need": who, **about}, b""))
        told, _ = self._in.get()
        says = tuple(str(one) for one in told["says"])
        return HardenedModel(
            self._way, AssessedModel(self._asking(who)), {}, says, {},
            seconds=float(told["seconds"]),
        )  # fmt: skip

    def _assess(self, who: str, subject: Subject, done: dict[str, Ran]) -> Report:
        finished = {**done, **self._done.get(who, {})}
        self._done[who] = finished

        def each(ran: Ran) -> None:
            finished[ran.test] = ran
            self._tell({"kept": who, "tests": len(finished)}, _kept(self._done))

        return running.assess(
            subject, self._plan, tests(), done=finished, each=each,
            progress=lambda test, share: self._tell(
                {"who": who, "test": test, "share": share}, b""
            ),
            clock=subject.clock,
        )  # fmt: skip

    def _table(self, name: str) -> pa.Table:
        stream = self._streams.pop(name)
        stream.seek(0)
        with pa.ipc.open_stream(stream) as reader:
            return reader.read_all()

    def _asking(self, who: str) -> Request:
        def ask(head: dict[str, Any], body: bytes) -> Answer:
            self._out.put(({"ask": head, "who": who}, body))
            told, content = self._in.get()
            if "raised" in told:
                raise ModelError(str(told["raised"]))
            return told["head"], content

        return ask

    def _tell(self, head: dict[str, Any], body: bytes) -> None:
        self._out.put((head, body))
        self._in.get()


# ---- rows ----


def _taken_apart(table: pa.Table) -> tuple[pa.Table, NDArray[np.int64], NDArray[np.bool_]]:
    """The table as the plan knows it, each row's number in its dataset, and whether it is out."""
    numbers = np.asarray(table.column(ROW).to_numpy(), dtype=np.int64)
    out = np.zeros(len(table), dtype=bool)
    if LEFT_OUT in table.column_names:
        out = np.asarray(table.column(LEFT_OUT).to_numpy(), dtype=np.bool_)
    others = [one for one in table.column_names if one in {ROW, LEFT_OUT}]
    return table.drop_columns(others), numbers, out


def _with_pseudonyms(plan: Plan, tables: list[pa.Table]) -> Plan:
    """The plan, naming rows by pseudonyms where all tables have some and it says nothing else."""
    if not plan.columns.pseudonym and all(PSEUDONYM in one.column_names for one in tables):
        return replace(plan, columns=replace(plan.columns, pseudonym=PSEUDONYM))
    return plan


def _bare(table: pa.Table, plan: Plan) -> pa.Table:
    if plan.columns.pseudonym == PSEUDONYM or PSEUDONYM not in table.column_names:
        return table
    return table.drop_columns([PSEUDONYM])


def _numbered(subject: Subject, trained: NDArray[np.int64], held_out: NDArray[np.int64]) -> Subject:
    """The subject, whose rows have the places that they have in their datasets."""

    def placed(sample: Sample | None, numbers: NDArray[np.int64]) -> Sample | None:
        return None if sample is None else replace(sample, places=numbers[sample.places])

    return replace(
        subject, trained=placed(subject.trained, trained),
        every_row=placed(subject.every_row, trained), held_out=placed(subject.held_out, held_out),
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
