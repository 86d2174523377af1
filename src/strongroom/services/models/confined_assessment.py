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

import msgspec
import pyarrow as pa

from strongroom.engines.robustness.assessment import document, running
from strongroom.engines.robustness.assessment.catalog import tests
from strongroom.engines.robustness.assessment.keeping import Keeper, Kept, kept_from
from strongroom.engines.robustness.assessment.plan import Plan, parse_plan
from strongroom.engines.robustness.leakage.tests import Scanned
from strongroom.engines.robustness.target import ModelError
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
        argument: `plan`, its text; `scanned`, fields of what a scan found in the model's files;
            `epsilon`, a number or None; `delta`.
    """
    plan = parse_plan(str(argument["plan"]))
    told = argument.get("scanned")
    scanned = None if told is None else msgspec.convert(told, Scanned)
    epsilon, delta = argument.get("epsilon"), float(argument.get("delta", 0))
    return _Assessment(plan, scanned, epsilon, delta).answer


class _Assessment:
    """The steps, of which `go` begins the tests.

    Before it `rows` brings a piece of a table, `file` one of the model's files as bytes, `kept`
    what ran before. After it each answer asks something (`ask`), tells how far it is (`test`,
    `share`), gives all that another try would need (`kept`, the tests that have ended), or is the
    last (`verdict`, or `failed`). `next` brings what was asked for, or nothing.
    """

    def __init__(
        self, plan: Plan, scanned: Scanned | None, epsilon: float | None, delta: float
    ) -> None:
        self._plan = plan
        self._scanned = scanned
        self._epsilon = epsilon
        self._delta = delta
        self._streams: dict[str, io.BytesIO] = {}
        self._files: dict[str, io.BytesIO] = {}
        self._kept = Kept()
        self._out: queue.Queue[Answer] = queue.Queue()
        self._in: queue.Queue[Answer] = queue.Queue()

    def answer(self, head: dict[str, Any], body: bytes) -> Answer:
        """One step."""
        match head["do"]:
            case "rows":
                self._streams.setdefault(str(head["table"]), io.BytesIO()).write(body)
                return {}, b""
            case "file":
                self._files.setdefault(str(head["name"]), io.BytesIO()).write(body)
                return {}, b""
            case "kept":
                self._kept = _readable(body)
                return {}, b""
            case "go":
                threading.Thread(target=self._run, daemon=True).start()
            case _:
                self._in.put((head, body))
        return self._out.get()

    # ---- in a thread of its own ----

    def _run(self) -> None:
        try:
            self._assess()
        except StrongroomError as error:
            self._out.put(({"failed": error.message, "next_step": error.next_step}, b""))
        except Exception as error:  # noqa: BLE001 # whatever it is, the other side must hear
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
        keeper = Keeper(
            self._kept, lambda kept: self._tell({"kept": len(kept.ran)}, kept.to_bytes())
        )
        files = {name: held.getvalue() for name, held in self._files.items()}
        subject = replace(
            subject, kept=self._kept.bundles, keep=keeper.bundle, files=files, scanned=self._scanned
        )
        report = running.assess(
            subject, self._plan, tests(), done=self._kept.ran, each=keeper.ran,
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
        told, content = self._in.get()
        if "raised" in told:
            raise ModelError(str(told["raised"]))
        return told["head"], content

    def _tell(self, head: dict[str, Any], body: bytes) -> None:
        self._out.put((head, body))
        self._in.get()


def _readable(body: bytes) -> Kept:
    """What an earlier try left; nothing where it cannot be read: then all is done anew."""
    try:
        return kept_from(body)
    except StrongroomError:
        return Kept()


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
