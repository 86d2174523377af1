"""Scanning one file as a pickle: every stream in it, and every way in which it may be read.

A file with joblib's arrays is read twice: as joblib reads it, arrays between the opcodes, and as
`pickle` does, to which the array bytes are opcodes. What either would do counts.
"""

import re
import sys
from functools import partial

from strongroom.engines.scanning.allowlist import may_be_named, may_be_text, objection
from strongroom.engines.scanning.code_objects import described, is_code_type, is_function_maker
from strongroom.engines.scanning.dangers import Danger, danger
from strongroom.engines.scanning.findings import Finding, Verdict
from strongroom.engines.scanning.joblib_arrays import read_array
from strongroom.engines.scanning.pickle_machine import PickleMachine
from strongroom.engines.scanning.reading import (
    FrameError,
    LimitError,
    Limits,
    MalformedError,
    Opener,
    Reader,
)
from strongroom.engines.scanning.symbols import Call, Items, Made, Opaque, Symbol, kind_of
from strongroom.engines.scanning.training_rows import kept_rows

_NESTED_DEPTH = 3
_NESTED_MIN_BYTES = 8
_HIGHEST_PROTOCOL = 5
# torch.save before 1.6: this number, a protocol number, system facts, the object, the storage
# keys, each a pickle of its own; then raw storages.
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_TORCH_STREAMS = 5
_NAME = re.compile(r"[^\W\d][\w.]*(?: \d+)?|\?")
_FILE_INPUTS = ("filename", "file")
# cloudpickle names these for every class it brings along; only a call of one does something.
_ONLY_CALLED = frozenset(("builtins.type", "builtins.map"))


def starts_as_pickle(head: bytes) -> bool:
    """Whether the bytes begin as every pickle of protocol 2 to 5 does."""
    return len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= _HIGHEST_PROTOCOL  # PROTO


class _Watch:
    """Turns what the machine does into findings of one file, each kind of use once."""

    def __init__(self, file: str, limits: Limits, *, torch: bool, script: bool = False) -> None:
        self._file = file
        self._limits = limits
        self.torch = torch
        self._script = script
        self._depth = 0
        self._inside = ""
        self._spent = 0
        self._seen: set[tuple[str, str]] = set()
        self._named: dict[str, int] = {}
        self.inline_arrays = True
        self.trial = False
        self.findings: list[Finding] = []
        self.acted = False
        self.named_any = False
        self.saw_array_at: int | None = None
        self.object_arrays = False

    def run(self, reader: Reader) -> object:
        """One stream to its STOP. Raises MalformedError or LimitError."""
        machine = PickleMachine(reader, self, self._limits, inline_arrays=self.inline_arrays)
        try:
            return machine.run(self._limits.opcodes - self._spent)
        finally:
            self._spent += machine.opcodes
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
        """A bytes value: followed if it is a pickle itself."""
        if size < _NESTED_MIN_BYTES or self._depth >= _NESTED_DEPTH:
            return
        if not starts_as_pickle(reader.peek(2)):
            return
        inner = _Watch(self._file, self._limits, torch=False)
        inner.inline_arrays = False
        inner._depth = self._depth + 1
        inner._spent = self._spent
        inner.trial = True
        inner._inside = "in a pickle inside a bytes value: "
        try:
            inner.run(reader)
        except MalformedError:
            if not inner.acted:
                return
        finally:
            self._spent = inner._spent
        for finding in inner.findings:
            self.add(finding.rule_id, finding.says, finding.offset, finding.subject)

    def on_array(self, wrapper: Made, reader: Reader) -> None:
        """An array between the opcodes, or a pickle where it holds objects."""
        if self.saw_array_at is None:
            self.saw_array_at = reader.offset
        read_array(wrapper, reader, partial(self._object_array, reader))

    def _object_array(self, reader: Reader) -> None:
        self.object_arrays = True
        self.run(reader)


def scan_pickle(
    file: str,
    opener: Opener,
    limits: Limits,
    *,
    surely: bool,
    torch: bool = False,
    script: bool = False,
    plainly: bool = False,
    numbers: list[tuple[int, int]] | None = None,
) -> tuple[str, list[Finding]] | None:
    """Scans a file as a pickle.

    Args:
        file: its name in findings.
        opener: opens its bytes anew.
        limits: how much is followed.
        surely: it is known to be one, so that anything unreadable is a finding. Otherwise it is
            only tried, and the answer is None unless the program imports or calls something.
        torch: persistent ids are expected, as in a torch archive.
        script: it is TorchScript's, whose classes its own code defines.
        plainly: its loader is said to be `pickle`: it must be a whole pickle to that, too.
        numbers: takes the spans of the file that are numbers.

    Returns: the format (`pickle`, `joblib` or `torch-legacy`) and the findings.
    """
    watch = _Watch(file, limits, torch=torch, script=script)
    watch.trial = not surely
    reader = Reader(opener())
    kind = _streams(watch, reader)
    if kind is None:
        return None
    if numbers is not None:
        numbers.extend(reader.numbers)
        if kind == "torch-legacy":
            numbers.append((reader.offset, sys.maxsize))
    if watch.saw_array_at is None:
        return kind, watch.findings
    if plainly:
        plain = _Watch(file, limits, torch=False)
        plain.inline_arrays = False
        _streams(plain, Reader(opener()))
        return "pickle", watch.findings + plain.findings
    return "joblib", watch.findings + _read_plainly(file, opener, limits, watch)


def _streams(watch: _Watch, reader: Reader) -> str | None:
    """Follows stream after stream to the end of the file."""
    kind, count = "pickle", 0
    while True:
        start = reader.offset
        watch.acted = False
        try:
            value = watch.run(reader)
        except MalformedError as error:
            if watch.trial and not watch.acted and not isinstance(error, FrameError):
                return None
            if count and not watch.acted:
                says = f"holds bytes after the last pickle, from byte {start}"
                watch.add("SR-PKL-012", says, start)
            else:
                watch.add("SR-PKL-010", f"is not a whole pickle: {error}", reader.offset)
            return kind
        except LimitError as error:
            watch.add("SR-PKL-011", f"is too much to follow: {error}", reader.offset)
            return kind
        count += 1
        if watch.acted or watch.named_any:
            watch.trial = False
        if count == 1 and value == _TORCH_MAGIC:
            kind = "torch-legacy"
            watch.torch = True
        if kind == "torch-legacy" and count == _TORCH_STREAMS:
            return kind
        if not reader.peek(1):
            return None if watch.trial else kind


def _read_plainly(file: str, opener: Opener, limits: Limits, joblib: _Watch) -> list[Finding]:
    """What `pickle.load` would do with a joblib file, beyond what joblib would.

    An object array of joblib is a pickle of its own, with a memo of its own. Read as one program
    with the pickle around it, it recalls the wrong values and fails; the unknown names it makes
    up on the way say nothing, known dangers still count.
    """
    watch = _Watch(file, limits, torch=False)
    watch.inline_arrays = False
    reader = Reader(opener())
    # The plain reading of an honest file fails at the first array: no finding.
    try:
        watch.run(reader)
    except MalformedError:
        pass
    except LimitError as error:
        watch.add("SR-PKL-011", f"is too much to follow: {error}", reader.offset)
    seen = {(finding.rule_id, finding.subject, finding.says) for finding in joblib.findings}
    return [
        Finding(
            finding.rule_id,
            finding.file,
            finding.offset,
            printable(f"read by pickle instead of joblib: {finding.says}"),
            finding.subject,
        )
        for finding in watch.findings
        if (finding.rule_id, finding.subject, finding.says) not in seen
        and (finding.verdict is not Verdict.REVIEW or not joblib.object_arrays)
    ]


def printable(text: str) -> str:
    """Text from a hostile file, safe to show on a terminal and in a log: at most 200 characters."""
    shown = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text[:200])
    return shown[:200]


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
