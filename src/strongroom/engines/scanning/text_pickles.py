"""Pickles of protocol 0 in the midst of a text: behind blanks, a mark of byte order, comments.

A pickle that begins where its file does is found as such. This one looks for programs further in,
which an odd loader would get to by skipping what stands in front. Text that only looks like one
is followed for a few opcodes and does nothing.
"""

import io
import re
import sys
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from strongroom.engines.scanning.allowed_callables import ALLOWED
from strongroom.engines.scanning.allowed_frameworks import FRAMEWORKS
from strongroom.engines.scanning.findings import Finding
from strongroom.engines.scanning.parts import Behind
from strongroom.engines.scanning.pickle_watch import PickleWatch
from strongroom.engines.scanning.reading import (
    LimitError,
    Limits,
    MalformedError,
    Opener,
    Reader,
    Stream,
)

_WINDOW = 1 << 20
# How far a program may reach before it calls something, and how far back its start is sought.
_OVERLAP = 1 << 16
_STARTS = 8
_MAX_OPCODES = 50_000  # of all trials
_MAX_NAMES = 10_000_000
_MAX_LONG_TRIALS = 16
_OPCODES = 20_000  # of one trial
_STACK = 20_000
_LONGEST_NAME = 256

# GLOBAL or INST, a byte of these two, then module and name on a line each: a word that ends its
# line and has the byte, one word on the next line, and the opcode that follows.
_NAMES = re.compile(rb"(?<![\w.])(?=[\w.]+\n[^\W\d][\w.]*\n(.?))[\w.]*?(?=[ci])", re.DOTALL)
_IMPORTS = b"ci"
# STACK_GLOBAL: its byte is valid UTF-8 only behind an index of the memo.
_STACK_GLOBAL = re.compile(rb"(?:[qh].|[rj].{4})\x93", re.DOTALL)
_NAME_LINE = re.compile(rb"[VS]['\"]?([^\W\d]\w*)(?:\.\w+)*['\"]?\n")
_MODULES = frozenset(
    module.split(".")[0].encode()
    for module in (
        *sys.stdlib_module_names,
        *ALLOWED,
        *FRAMEWORKS,
        *("__builtin__", "copy_reg", "commands", "nt", "posix", "pip", "setuptools"),
    )
)
_ARGUMENTS_BEGIN = b"()]}p"


def pickles_in_text(name: str, opener: Opener, limits: Limits) -> list[Finding]:
    """What the first pickle further in a text would do; empty where there is none.

    Args:
        name: of the file in findings.
    """
    opcodes = long_trials = names = 0
    for window, base, is_last in _windows(opener()):
        for start in _candidates(window):
            names += 1
            if names > _MAX_NAMES:
                says = "has more names in its text than are looked at"
                return [Finding("SR-PKL-011", name, base, says)]
            if start is None:
                continue
            tried = _Trial(name, limits, base + start)
            read = tried.follow(io.BytesIO(window[start:]))
            if not tried.findings and not is_last and start + read >= len(window):
                long_trials += 1
                tried.follow(Behind(opener(), base + start))
            if tried.findings:
                says = "holds a pickle further in, behind text"
                return [Finding("SR-PKL-013", name, base + start, says), *tried.findings]
            opcodes += 1 + tried.opcodes
            if opcodes > _MAX_OPCODES or long_trials > _MAX_LONG_TRIALS:
                says = "has more beginnings of pickles in its text than are followed"
                return [Finding("SR-PKL-011", name, base + start, says)]
    return []


def _windows(stream: Stream) -> Iterator[tuple[bytes, int, bool]]:
    """Overlapping parts of the text: bytes, offset, whether nothing follows."""
    reader, base = Reader(stream), 0
    while True:
        window = reader.peek(_WINDOW)
        is_last = len(window) < _WINDOW
        yield window, base, is_last
        if is_last:
            return
        reader.skip(_WINDOW - _OVERLAP)
        base += _WINDOW - _OVERLAP


def _candidates(window: bytes) -> Iterator[int | None]:
    """Where in a text a program may begin; None for each name that is not worth following."""
    seen: set[int] = set()
    for line in _NAMES.finditer(window):
        end = window.find(b"\n", line.end())
        begin = max(line.end(), end - _LONGEST_NAME)
        is_called = line[1] in _ARGUMENTS_BEGIN
        for at in range(begin, end - 1):
            if window[at] not in _IMPORTS:
                continue
            is_known = window[at + 1 : end].partition(b".")[0] in _MODULES
            if not is_known and not is_called:
                yield None
                continue
            starts = _marks_before(window, at) if is_known else []
            if window[at] == _IMPORTS[0]:
                starts.append(at)
            yield from (start for start in starts if start not in seen)
            seen.update(starts)
    indices = [index.start() for index in _STACK_GLOBAL.finditer(window)]
    # Any of the names before may be what the index stands behind.
    for name in _NAME_LINE.finditer(window) if indices else ():
        following = bisect_left(indices, name.end())
        is_near = following < len(indices) and indices[following] < name.end() + _OVERLAP
        if name[1] in _MODULES and is_near:
            yield name.start()


def _marks_before(window: bytes, at: int) -> list[int]:
    """The last MARKs before a place, from which arguments may stand in front of their callable."""
    starts: list[int] = []
    for _ in range(_STARTS):
        at = window.rfind(b"(", max(0, at - _OVERLAP), at)
        if at < 0:
            break
        starts.append(at)
    return starts


class _Trial:
    """A program that may begin at some byte of a text.

    Attributes:
        findings: what it would do; empty while it does nothing.
        opcodes: how many were followed.
    """

    def __init__(self, name: str, limits: Limits, start: int) -> None:
        self._name = name
        self._limits = replace(limits, opcodes=min(limits.opcodes, _OPCODES), stack=_STACK)
        self._start = start
        self.findings: list[Finding] = []
        self.opcodes = 0

    def follow(self, stream: Stream) -> int:
        """Follows the program; how many bytes of the stream were read."""
        watch = PickleWatch(self._name, self._limits, torch=False)
        watch.inline_arrays = False
        watch.trial = True
        reader = Reader(stream)
        with suppress(MalformedError, LimitError):
            watch.run(reader)
        self.opcodes += watch.spent
        if watch.acted:
            self.findings = [Finding("SR-PKL-012", self._name, self._start, "calls something")]
            self.findings = [
                replace(found, offset=self._start + (found.offset or 0)) for found in watch.findings
            ] or self.findings
        return reader.offset
