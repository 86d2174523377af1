"""What a pickle does, as findings: each import, call and change judged as the machine tells it."""

import io
import re
from dataclasses import replace
from functools import partial

from strongroom.engines.scanning.allowlist import may_be_named, may_be_text, objection
from strongroom.engines.scanning.code_objects import described, is_code_type, is_function_maker
from strongroom.engines.scanning.dangers import Danger, danger
from strongroom.engines.scanning.findings import Finding
from strongroom.engines.scanning.joblib_arrays import read_array
from strongroom.engines.scanning.nested_pickles import (
    may_hold_a_pickle,
    pickle_within,
    starts_as_pickle,
)
from strongroom.engines.scanning.pickle_machine import PickleMachine
from strongroom.engines.scanning.problems import printable
from strongroom.engines.scanning.reading import Budget, LimitError, Limits, MalformedError, Reader
from strongroom.engines.scanning.symbols import Call, Items, Made, Opaque, Symbol, kind_of
from strongroom.engines.scanning.training_rows import kept_rows

_NAME = re.compile(r"[^\W\d][\w.]*(?: \d+)?|\?")
_FILE_INPUTS = ("filename", "file")
_NESTED_MIN_BYTES = 8
_PLAUSIBLE_STACK = 20_000
_BYTES_OF_TEXT = frozenset(
    (Symbol("_codecs", "encode"), Symbol("builtins", "bytes"), Symbol("builtins", "bytearray"))
)
# cloudpickle names these for every class it brings along; only a call of one does something.
_ONLY_CALLED = frozenset(("builtins.type", "builtins.map"))


class PickleWatch:
    """Turns what the machine does into findings of one file, each kind of use once.

    Attributes:
        torch: persistent ids are expected.
        inline_arrays: joblib's arrays between the opcodes are passed over as joblib would.
        trial: it is not known to be a pickle: what only an odd loader would go on with ends it.
        acted: since this was last cleared, something was called, built or changed.
        named_any: something was imported.
        saw_array_at: behind the first array of joblib.
        object_arrays: joblib's arrays of objects were among them.
        storages: of torch, by key: the class that the program asked each to be of.
        spent: opcodes that were followed so far.
        findings: what was found so far.
    """

    def __init__(
        self,
        file: str,
        limits: Limits,
        *,
        torch: bool,
        script: bool = False,
        budget: Budget | None = None,
    ) -> None:
        self._file = file
        self._limits = limits
        self.budget = budget or Budget(limits.unpacked_bytes)
        self._running: PickleMachine | None = None
        self._reader = Reader(io.BytesIO())
        self.torch = torch
        self._script = script
        self._depth = 0
        self._inside = ""
        self.spent = 0
        self._seen: set[tuple[str, str]] = set()
        self._named: dict[str, int] = {}
        self.inline_arrays = True
        self.trial = False
        self.findings: list[Finding] = []
        self.acted = False
        self.named_any = False
        self.saw_array_at: int | None = None
        self.object_arrays = False
        self.storages: dict[str, Symbol] = {}

    def run(self, reader: Reader) -> object:
        """One stream to its STOP. Raises MalformedError or LimitError."""
        outer, outer_reader = self._running, self._reader
        machine = PickleMachine(
            reader,
            self,
            self._limits,
            inline_arrays=self.inline_arrays,
            held=0 if outer is None else outer.held,
        )
        self._running, self._reader = machine, reader
        try:
            return machine.run(self._limits.opcodes - self.spent)
        finally:
            self._running, self._reader = outer, outer_reader
            self.spent += machine.opcodes
            self.storages.update(machine.storages)
            if machine.saw_array and self.saw_array_at is None:
                self.saw_array_at = reader.offset

    def add(
        self,
        rule_id: str,
        says: str,
        offset: int | None,
        subject: str = "",
        length: int | None = None,
    ) -> None:
        """Keeps a finding unless the same was kept."""
        key = (rule_id, subject or says)
        if key in self._seen or len(self.findings) >= self._limits.findings:
            return
        self._seen.add(key)
        self.findings.append(
            Finding(
                rule_id,
                self._file,
                offset,
                printable(self._inside + says),
                printable(subject),
                length,
            )
        )

    # ---- what the machine tells ----

    def on_global(self, symbol: Symbol, offset: int) -> None:
        """A name is imported: known danger, unknown, or allowed."""
        name = str(symbol)
        self.named_any = self.named_any or _plausible(symbol)
        if name in self._named or self._is_script_class(symbol):
            return
        self._named[name] = len(self.findings)
        why = None if name in _ONLY_CALLED else danger(symbol)
        if why is not None and not may_be_named(symbol):
            self.add(why.rule_id, f"refers to `{name}`, which {why.does}", offset, name)
        elif not may_be_named(symbol):
            says = f"refers to `{name}`, which no known model format needs"
            self.add("SR-PKL-004", says, offset, name)

    def on_call(self, call: Call) -> None:
        """Something is called, built or filled."""
        target = call.target
        if self._is_script_class(target.target if isinstance(target, Made) else target):
            return
        self._look_at_code(call)
        if isinstance(target, Symbol):
            if call.args and isinstance(call.args[0], str) and target in _BYTES_OF_TEXT:
                # Longer texts were looked at where they stand.
                data = call.args[0].encode("latin-1", "replace")
                self.on_bytes(Reader(io.BytesIO(data)), len(data))
            self.acted = self.acted or _plausible(target)
            if call.how in ("build", "append", "setitem", "additems"):
                says = f"changes `{target}` itself for everyone in the process"
                self.add("SR-PKL-007", says, call.offset, str(target))
                return
            why = None if _is_type_of_none(call) else danger(target)
            if why is not None and not may_be_named(target):
                self._tell_call(target, call, why)
                return
        else:
            self.acted = True
        refused = objection(call)
        if refused is not None and not self._already_named(call):
            self.add(refused.rule_id, refused.does, call.offset)
        if call.how == "build":
            self._look_at_state(call)
            self._look_at_rows(call)

    def _is_script_class(self, target: object) -> bool:
        """A class that TorchScript's own code defines; torch looks for it nowhere else."""
        is_symbol = self._script and isinstance(target, Symbol)
        return is_symbol and str(target).split(".")[0] == "__torch__"

    def _look_at_code(self, call: Call) -> None:
        """Functions that the file brings: what their code names, and whether they run at once."""
        if call.how == "call" and is_function_maker(call.target):
            says = "runs a function of its own while it is loaded"
            self.add("SR-PKL-001", says, call.offset, "function of its own")
        elif call.how == "call" and is_code_type(call.target):
            rule_id, says = described(call.args)
            self.add(rule_id, says, call.offset, says)

    def _already_named(self, call: Call) -> bool:
        target = call.target.target if isinstance(call.target, Made) else call.target
        return isinstance(target, Symbol) and not may_be_named(target)

    def _tell_call(self, target: Symbol, call: Call, why: Danger) -> None:
        """Replaces the finding on the name by one that tells with what it is called."""
        shown = ", ".join(_show(argument) for argument in (call.args or ())[:3])
        says = f"calls `{target}({shown})`, which {why.does}"
        for index, finding in enumerate(self.findings):
            if finding.subject == printable(str(target)):
                if finding.says.startswith(self._inside + "refers"):
                    self.findings[index] = Finding(
                        why.rule_id,
                        finding.file,
                        call.offset,
                        printable(self._inside + says),
                        finding.subject,
                    )
                return

    def _look_at_state(self, call: Call) -> None:
        made = call.target
        if not isinstance(made, Made) or not made.origin.startswith("sklearn.feature_extraction."):
            return
        state = call.args[0] if call.args else None
        for pair in state.items if isinstance(state, Items) else ():
            if isinstance(pair, tuple) and pair[0] == "input" and pair[1] in _FILE_INPUTS:
                says = "reads files of the server whose names come with each request"
                self.add("SR-PKL-014", says, call.offset, made.origin)

    def _look_at_rows(self, call: Call) -> None:
        for rows in kept_rows(call):
            if rows.are_many and not self.trial:
                self.add("SR-PII-003", rows.says(), call.offset, rows.place, rows.size_bytes)

    def on_oddity(self, rule_id: str, says: str, offset: int) -> None:
        """Extension codes, persistent ids, computed names, foreign buffers."""
        if rule_id == "SR-PKL-009" and self.torch:
            return
        if self.trial and rule_id != "SR-PKL-006":
            raise MalformedError("a plain unpickler stops here")
        self.acted = self.acted or rule_id != "SR-PKL-009"
        self.add(rule_id, says, offset)

    def may_be_text(self, value: object) -> bool:
        """Whether a value could be a name."""
        return may_be_text(value)

    def on_bytes(self, reader: Reader, size: int) -> None:
        """A bytes value: followed if it is a pickle itself, packed or not."""
        if size < _NESTED_MIN_BYTES or not may_hold_a_pickle(reader.peek(_NESTED_MIN_BYTES)):
            return
        at = self._reader.offset
        inner = PickleWatch(self._file, self._limits, torch=False, budget=self.budget)
        inner.inline_arrays = False
        inner._depth = self._depth + 1
        inner.spent = self.spent
        inner._running = self._running
        inner.trial = True
        inner._inside = "" if self._inside else "in a pickle inside a bytes value: "
        starts_plainly, found = True, None
        try:
            found = pickle_within(reader, size, self._limits, self.budget)
            if found is None:
                return
            if self._depth >= self._limits.depth:
                raise LimitError("pickles in pickles deeper than the limit")
            starts_plainly = starts_as_pickle(found.peek(2))
            if not starts_plainly:
                inner._limits = replace(self._limits, stack=_PLAUSIBLE_STACK)
            inner.run(found)
        except MalformedError:
            if not inner.acted:
                return
        except LimitError:
            # Numbers that are all alike may push or mark for long, but they name nothing.
            if starts_plainly or inner.acted or inner.named_any:
                raise
            return
        finally:
            self.spent = inner.spent
        for finding in inner.findings:
            offset = finding.offset if found is self._reader else at
            self.add(finding.rule_id, finding.says, offset, finding.subject)

    def on_array(self, wrapper: Made, reader: Reader) -> None:
        """An array between the opcodes, or a pickle where it holds objects."""
        if self.saw_array_at is None:
            self.saw_array_at = reader.offset
        read_array(wrapper, reader, partial(self._object_array, reader))

    def _object_array(self, reader: Reader) -> None:
        self.object_arrays = True
        self.run(reader)


def _is_type_of_none(call: Call) -> bool:
    """`type(None)`: how every pickler writes the class of None."""
    return call.how == "call" and str(call.target) == "builtins.type" and call.args == (None,)


def _plausible(symbol: Symbol) -> bool:
    return bool(_NAME.fullmatch(symbol.module) and _NAME.fullmatch(symbol.name))


def _show(value: object) -> str:
    if isinstance(value, str):
        return repr(value[:80])
    if isinstance(value, bytes):
        return repr(value[:40])
    if isinstance(value, Symbol):
        return str(value)
    if isinstance(value, Made) and value.origin:
        return f"{value.origin}(…)"
    if isinstance(value, int | float | None):
        return repr(value)
    return f"<{value.kind if isinstance(value, Opaque | Items) else kind_of(value)}>"
