"""A hardening under way: questions and answers carried between three sandboxes.

In one runs the model as it was, in one those that are fitted anew, in one the tests. The rows and
the verdict are out of reach of the first.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np

from strongroom.engines.robustness.assessment import document
from strongroom.engines.robustness.assessment.plan import parse_plan
from strongroom.engines.robustness.assessment.running import Verdict
from strongroom.engines.robustness.hardening.stating import read
from strongroom.engines.robustness.hardening.ways import Way
from strongroom.engines.robustness.poisoning.quarantine_list import left_out
from strongroom.errors import SandboxError, TooLargeError
from strongroom.services.data.catalog import Held
from strongroom.services.jobs import sandbox
from strongroom.services.models.between_sandboxes import Deadline, answered, pour, require_done
from strongroom.services.models.confined_weighing import CONTROL, NEW, OLD
from strongroom.services.models.dataset_rows import DatasetRows
from strongroom.services.models.hardening import HardenedModel, Order, fitted
from strongroom.services.models.hardening_types import Wish

MAX_REPORT_BYTES = 2 * document.MAX_BYTES
LONGEST_SECONDS = 3_600.0
"""Of one question."""
_TESTS = "strongroom.services.models.confined_weighing:start"
_FITTING = "strongroom.services.models.confined_hardening:start"
_WALL_FOR_CPU, _WALL_SECONDS, _SIDES = 4.0, 1_200.0, 3
"""What all may take on the clock: so many times the plan's minutes for each side, and this."""

Begin = Callable[[ExitStack, str, Mapping[str, object]], sandbox.Worker]
"""Starts a function in a sandbox, which ends with the stack."""


class Dialogue:
    """One hardening under way."""

    def __init__(
        self, rows: DatasetRows, begin: Begin, keep: Callable[[bytes], None],
        progress: Callable[[str], None], wish: Wish, held: Mapping[str, Held],
    ) -> None:  # fmt: skip
        """Take what the three work with.

        Args:
            begin: starts a sandbox.
            keep: is given what another try would need.
            progress: told how far it is.
            held: `trained` and `held_out` → the dataset.
        """
        self._rows = rows
        self._begin = begin
        self._keep = keep
        self._progress = progress
        self._wish = wish
        self._held = held
        self._plan = parse_plan(wish.plan)
        count = held["trained"].row.rows
        self._removed = np.zeros(count, dtype=bool)
        if wish.quarantine:
            self._removed = left_out(wish.quarantine, count, held["trained"].commitment)
        self._made: HardenedModel | None = None
        wall = 60 * self._plan.minutes * _WALL_FOR_CPU * _SIDES + _WALL_SECONDS
        self._deadline = Deadline(
            wall, LONGEST_SECONDS, what="the hardening",
            next_step="give the plan more minutes, or fewer tests or rows",
        )  # fmt: skip

    def weighed(
        self, stack: ExitStack, model: sandbox.Worker, kept: bytes | None
    ) -> tuple[HardenedModel, dict[str, Any]]:
        """The new model, and the report on both.

        Args:
            stack: ends the sandboxes that are begun here.
            model: as it was, in its sandbox.
            kept: what an earlier try left.
        """
        wish = self._wish
        tests = self._begin(stack, _TESTS, {
            "plan": wish.plan, "way": wish.way, "control": wish.has_control,
            "left_out": int(self._removed.sum()),
        })  # fmt: skip
        for name, held in self._held.items():
            self._progress(f"reading the rows: {name}")
            removed = self._removed if name == "trained" else None
            pour(tests, self._rows.sampled(held, self._plan, removed), name)
        if kept is not None:
            tests.request({"do": "kept"}, kept)
        workers = {OLD: model}
        head, body = tests.request({"do": "go"}, seconds=self._deadline.left())
        while True:
            if "ask" in head:
                asked = workers.get(str(head.get("who")))
                told, content = answered(asked, head["ask"], body, self._deadline.left())
            elif "need" in head:
                told, content = self._needed(stack, workers, head), b""
            elif "verdict" in head or "failed" in head:
                return self._ended(head, body)
            else:
                if "kept" in head:
                    self._keep(body)
                self._progress(_told(head))
                told, content = {"do": "next"}, b""
            head, body = tests.request(told, content, seconds=self._deadline.left())

    def _needed(
        self, stack: ExitStack, workers: dict[str, sandbox.Worker], head: Mapping[str, object]
    ) -> dict[str, object]:
        """Fit the model that the tests want next."""
        who = str(head["need"])
        order = self._order(who, head)
        removed = self._removed if who == NEW else np.zeros_like(self._removed)
        self._progress(f"training: {order.way.value}")
        columns = [*order.features, self._plan.columns.label]
        table = self._rows.training_rows(self._held["trained"], columns, removed)
        if (control := workers.pop(CONTROL, None)) is not None and who == NEW:
            control.stop()  # nobody asks it any more
        workers[who] = self._begin(stack, _FITTING, order.argument())
        made = fitted(order, workers[who], table)
        if who == NEW:
            self._made = made
        return {"do": "next", "says": list(made.says), "seconds": made.seconds}

    def _order(self, who: str, head: Mapping[str, object]) -> Order:
        recipe, features, classes = head.get("recipe"), head.get("features"), head.get("classes")
        if not isinstance(features, list) or not isinstance(classes, list) or who not in {
            CONTROL, NEW,
        }:  # fmt: skip
            raise SandboxError("the tests asked out of shape")
        own = read(recipe) if isinstance(recipe, dict) else None
        return Order(
            Way(self._wish.way) if who == NEW else Way.RETRAINED, self._plan,
            tuple(map(str, features)), tuple(map(str, classes)), self._wish.recipe or own or "",
            self._wish.options,
        )  # fmt: skip

    def _ended(
        self, head: Mapping[str, object], body: bytes
    ) -> tuple[HardenedModel, dict[str, Any]]:
        require_done(head, "docs/robustness-hardening.md")
        if len(body) > MAX_REPORT_BYTES:
            raise TooLargeError(f"the report has more than {MAX_REPORT_BYTES:,} bytes")
        try:
            report = json.loads(body)
            report["verdict"] = Verdict(str(head["verdict"])).value
        except (ValueError, TypeError):
            raise SandboxError("the tests answered out of shape") from None
        if self._made is None:
            raise SandboxError("the tests compared nothing")
        return self._made, report


def _told(head: Mapping[str, object]) -> str:
    if "share" in head:
        return f"{head.get('who')}: {head.get('test')}: {float(str(head['share'])):.0%}"
    return f"{head.get('kept')}: tests done so far: {head.get('tests')}"
