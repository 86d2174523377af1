"""What one scan keeps while it goes from file to file: limits, findings, and how a failure ends.

Whatever a check raises becomes a finding that blocks; nothing a file holds can end a scan.
"""

import io
from collections.abc import Callable, Iterable

from strongroom.engines.scanning.archives import names_that_meet
from strongroom.engines.scanning.contents import ContentCheck
from strongroom.engines.scanning.findings import FileReport, Finding, Report
from strongroom.engines.scanning.pickles import TorchPart, scan_pickle
from strongroom.engines.scanning.problems import Problem, printable
from strongroom.engines.scanning.reading import (
    Budget,
    LimitError,
    Limits,
    MalformedError,
    Opener,
    SeekableOpener,
    Spans,
    Stream,
)

CONFIG_BYTES = 16 << 20


class ScanState:
    """One scan's limits, budget and results.

    Attributes:
        names: every file that was given, to look up what a file refers to.
        only: the name of the file where it is the only one, else empty.
        pickles: files that an `MLmodel` says are loaded as pickles.
    """

    def __init__(self, limits: Limits, content: ContentCheck) -> None:
        self.limits = limits
        self._content = content
        self.budget = Budget(limits.unpacked_bytes)
        self.files: list[FileReport] = []
        self.findings: list[Finding] = []
        self.names: frozenset[str] = frozenset()
        self.only = ""
        self.pickles: frozenset[str] = frozenset()
        self._numbers: dict[str, Spans] = {}

    def add(
        self, rule_id: str, file: str, says: str, offset: int | None = None, subject: str = ""
    ) -> None:
        """Keeps a finding, up to the limit."""
        self._keep(file, Problem(rule_id, says, offset, subject))

    def add_same_names(self, names: Iterable[str]) -> None:
        """Keeps a finding for each file whose name may be that of another on another disk."""
        for name, other in names_that_meet(names):
            says = f"and `{other}` differ in case or Unicode form only: some disks keep one of them"
            self.add("SR-FMT-008", name, says)

    def add_all(self, file: str, problems: Iterable[Problem]) -> None:
        """Keeps what a check found in `file`."""
        for problem in problems:
            self._keep(file, problem)

    def _keep(self, file: str, problem: Problem) -> None:
        if len(self.findings) < self.limits.findings:
            says, subject = printable(problem.says), printable(problem.subject)
            self.findings.append(
                Finding(
                    problem.rule_id, printable(file), problem.offset, says, subject, problem.length
                )
            )

    def look(self, name: str, opener: Opener, format_: str, size: int) -> None:
        """Keeps what a recognised file carries beside its program."""
        numbers = self._numbers.pop(name, ())
        self.add_all(name, self._content.look(name, opener, format_, size, numbers))

    def holds_numbers(self, name: str, spans: Spans) -> None:
        """Where a file is numbers: no texts are looked for there when it is looked at."""
        self._numbers[name] = spans

    def report(self) -> Report:
        """What was found, when every file was scanned."""
        files = tuple(self.files)
        findings, checks = self._content.finish(files, self.findings)
        return Report(files, tuple(findings), checks)

    def guard(self, file: str, work: Callable[[], None]) -> None:
        """Runs `work`; whatever it raises becomes a finding that blocks."""
        try:
            work()
        except LimitError as error:
            self.add("SR-FMT-005", file, str(error))
        except MalformedError as error:
            self.add("SR-FMT-004", file, f"could not be scanned: {error}")
        except Exception as error:  # noqa: BLE001 # hostile input may meet a fault of ours: it blocks
            self.add("SR-FMT-004", file, f"could not be scanned: {type(error).__name__}")

    def checked(self, name: str, rule_id: str, check: Callable[[], list[Problem]]) -> None:
        """Keeps what `check` finds; where the format is broken, that is a finding of `rule_id`."""
        try:
            self.add_all(name, check())
        except MalformedError as error:
            self.add(rule_id, name, f"is malformed: {error}")

    def pickle(
        self,
        name: str,
        opener: Opener,
        *,
        torch: bool = False,
        script: bool = False,
        plainly: bool = False,
        part: TorchPart = "",
    ) -> str:
        """Scans a file that is a pickle for sure; its format."""
        numbers: list[tuple[int, int]] = []
        found = scan_pickle(
            name,
            opener,
            self.limits,
            surely=True,
            torch=torch,
            script=script,
            plainly=plainly,
            numbers=numbers,
            budget=self.budget,
            part=part,
        )
        if found is None:
            raise MalformedError("not a pickle")
        self.holds_numbers(name, numbers)
        self.findings.extend(found[1])
        return found[0]

    def seekable(self, opener: Opener, size: int | None) -> SeekableOpener:
        """The same bytes with a way to jump: as they are, or held in memory if they are few."""
        if size is not None:
            return opener  # type: ignore[return-value] # openers of known size are seekable
        data = whole(opener(), self.limits.nested_bytes)
        return lambda: io.BytesIO(data)


def whole(stream: Stream, limit: int) -> bytes:
    """All bytes of a stream that must be small.

    Raises:
        LimitError: it is not.
    """
    parts, total = [], 0
    while data := stream.read(1 << 16):
        total += len(data)
        if total > limit:
            raise LimitError("larger than what may be held in memory")
        parts.append(data)
    return b"".join(parts)
