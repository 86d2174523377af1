"""The part of an assessment that runs inside the sandbox: the tests, over rows that came in.

Called by `assessing`, never in the server. The model runs in a sandbox of its own: what is asked
of it leaves here as an answer that says `ask`, and comes back with the next request. So the code
of a model reaches neither the rows nor the verdict.
"""

import io
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from strongroom.engines.robustness.assessment import document, running
from strongroom.engines.robustness.assessment.catalog import tests
from strongroom.engines.robustness.assessment.plan import Plan, parse_plan
from strongroom.engines.robustness.assessment.running import Ran
from strongroom.errors import StrongroomError
from strongroom.services.models.assessed import subject_of
from strongroom.services.models.subjects import AssessedModel

Answer = tuple[dict[str, Any], bytes]
Handle = Callable[[dict[str, Any], bytes], Answer]


PSEUDONYM = "strongroom pseudonym"
"""Name of the column that stands in the place of the people's own key."""


def start(argument: dict[str, Any], _folder: Path) -> Handle:
    """Begin an assessment; each call of what is returned brings it one step on.

    Args:
        argument: `plan`, its text; `epsilon`, a number or None; `delta`.
    """
    plan = parse_plan(str(argument["plan"]))
    return _Assessment(plan, argument.get("epsilon"), float(argument.get("delta", 0))).answer


class _Assessment:
    """The steps: `rows` brings a piece of a table, `kept` what ran before, `go` begins the tests.

    After that each answer asks something (`ask`), tells how far it is (`test`, `share`), gives a
    test that has ended (`ran`), or is the last (`verdict`, or `failed`). `next` brings what was
    asked for, or nothing.
    """

    def __init__(self, plan: Plan, epsilon: float | None, delta: float) -> None:
        self._plan = plan
        self._epsilon = epsilon
        self._delta = delta
        self._streams: dict[str, io.BytesIO] = {}
        self._done: dict[str, Ran] = {}
        self._out: queue.Queue[Answer] = queue.Queue()
        self._in: queue.Queue[Answer] = queue.Queue()

    def answer(self, head: dict[str, Any], body: bytes) -> Answer:
        """One step."""
        match head["do"]:
            case "rows":
                self._streams.setdefault(str(head["table"]), io.BytesIO()).write(body)
                return {}, b""
            case "kept":
                self._done = document.resumed(body)
                return {}, b""
            case "go":
                threading.Thread(target=self._run, daemon=True).start()
            case _:
                self._in.put((head.get("head", {}), body))
        return self._out.get()

    # ---- in a thread of its own ----

    def _run(self) -> None:
        try:
            self._assess()
        except StrongroomError as error:
            self._out.put(({"failed": error.message, "next_step": error.next_step}, b""))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other side must hear
            self._out.put(({"failed": type(error).__name__, "next_step": ""}, b""))

    def _assess(self) -> None:
        tables = [self._table(name) for name in ("trained", "held_out")]
        plan, [trained, held_out] = _with_pseudonyms(self._plan, tables)
        subject = subject_of(
            plan,
            trained,
            held_out,
            AssessedModel(self._ask),
            epsilon=self._epsilon,
            delta=self._delta,
        )
        finished = dict(self._done)

        def each(ran: Ran) -> None:
            finished[ran.test] = ran
            self._tell(
                {"ran": ran.test, "tests": len(finished)}, document.kept([*finished.values()])
            )

        report = running.assess(
            subject, self._plan, tests(), done=self._done, each=each,
            progress=lambda test, share: self._tell({"test": test, "share": share}, b""),
            clock=subject.clock,
        )  # fmt: skip
        self._out.put((
            {"verdict": report.verdict.value, "remarks": list(report.remarks)},
            document.kept(report.ran),
        ))  # fmt: skip

    def _table(self, name: str) -> pa.Table | None:
        stream = self._streams.pop(name, None)
        if stream is None:
            return None
        stream.seek(0)
        with pa.ipc.open_stream(stream) as reader:
            return reader.read_all()

    def _ask(self, head: dict[str, Any], body: bytes) -> Answer:
        self._out.put(({"ask": head}, body))
        return self._in.get()

    def _tell(self, head: dict[str, Any], body: bytes) -> None:
        self._out.put((head, body))
        self._in.get()


def _with_pseudonyms(
    plan: Plan, tables: list[pa.Table | None]
) -> tuple[Plan, list[pa.Table | None]]:
    """The plan, naming rows by pseudonyms where all tables have some and it says nothing else."""
    there = [one for one in tables if one is not None]
    if not plan.columns.pseudonym and all(PSEUDONYM in one.column_names for one in there):
        return replace(plan, columns=replace(plan.columns, pseudonym=PSEUDONYM)), tables
    return plan, [
        one.drop_columns([PSEUDONYM]) if one is not None and PSEUDONYM in one.column_names else one
        for one in tables
    ]
