"""Scanning model files without loading them: the entry to this engine.

Each file is recognised by its content, opened as far as its format goes, and judged. Archives and
compressed streams are scanned inside. Nothing is executed, nothing is written; what cannot be
read, is over a limit or makes the scanner fail is a finding that blocks, never a pass.
"""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import PurePosixPath

from strongroom.engines.scanning.archives import unsafe_name
from strongroom.engines.scanning.compressed import compression_of
from strongroom.engines.scanning.containers import Containers
from strongroom.engines.scanning.contents import ContentCheck, Knowledge
from strongroom.engines.scanning.findings import FileReport, Report
from strongroom.engines.scanning.mlmodel import read_mlmodel
from strongroom.engines.scanning.nested_pickles import starts_as_pickle
from strongroom.engines.scanning.pickles import scan_pickle
from strongroom.engines.scanning.plain_formats import TEXT_BYTES, PlainFormats
from strongroom.engines.scanning.problems import printable
from strongroom.engines.scanning.reading import (
    Limits,
    MalformedError,
    Opener,
    Reader,
    SeekableOpener,
    size_of,
)
from strongroom.engines.scanning.scan_state import CONFIG_BYTES, ScanState, whole
from strongroom.engines.scanning.sniffing import (
    HEAD_BYTES,
    carries_a_model,
    is_text,
    promised_format,
    sniff,
)
from strongroom.engines.scanning.zip_kinds import hdf5_at, zip_ends

_TEXTS = frozenset((("text", "lightgbm"), ("text", "script")))
_USER_BLOCK = b"MATLAB 7.3 MAT-file"


Progress = Callable[[int, int, str], None]
"""Told before each file: how many were scanned, how many there are, and its name."""


def scan_files(
    files: Iterable[tuple[str, SeekableOpener]],
    limits: Limits | None = None,
    *,
    knowledge: Knowledge | None = None,
    progress: Progress | None = None,
) -> Report:
    """Scans the files of one model.

    Args:
        files: name relative to the model's folder, with `/` between parts, and what opens the
            file anew, at its start, each time it is called.
        limits: how much is read before the scan gives up.
        knowledge: advisories, policies and finders; what is not given is told as not checked.
        progress: told of each file; what it raises ends the scan.

    Returns: the report; it never raises for what the files hold.
    """
    return _Scan(limits or Limits(), ContentCheck(knowledge)).run(files, progress)


class _Scan:
    def __init__(self, limits: Limits, content: ContentCheck) -> None:
        self._state = ScanState(limits, content)
        self._containers = Containers(self._state, self._content)
        self._plain = PlainFormats(self._state)

    def run(self, files: Iterable[tuple[str, SeekableOpener]], progress: Progress | None) -> Report:
        """Scans everything and returns the report."""
        state = self._state
        entries: list[tuple[str, SeekableOpener]] = []
        for entry in files:
            if len(entries) >= state.limits.files:
                state.add("SR-FMT-005", entry[0], "more files than the limit")
                break
            entries.append(entry)
        state.names = frozenset(name for name, _ in entries)
        state.add_same_names(name for name, _ in entries)
        state.only = entries[0][0] if len(entries) == 1 else ""
        for name, opener in entries:
            if PurePosixPath(name).name == "MLmodel":
                state.guard(name, partial(self._mlmodel, name, opener))
        for number, (name, opener) in enumerate(entries):
            if progress is not None:
                progress(number, len(entries), name)
            why = unsafe_name(name, state.limits)
            if why is not None:
                state.add("SR-FMT-006", name, f"a file that {why}")
            state.guard(name, partial(self._top, name, opener))
        return state.report()

    def _mlmodel(self, name: str, opener: SeekableOpener) -> None:
        state = self._state
        try:
            facts = read_mlmodel(whole(opener(), CONFIG_BYTES), state.limits)
        except MalformedError as error:
            state.add("SR-MLF-005", name, f"cannot be read: {error}")
            return
        folder = PurePosixPath(name).parent
        state.pickles |= {str(folder / path) for path in facts.pickles}
        state.add_all(name, facts.problems)

    def _top(self, name: str, opener: SeekableOpener) -> None:
        self._content(name, opener, size_of(opener()), 0)

    def _content(self, name: str, opener: Opener, size: int | None, depth: int) -> None:
        """Recognises and scans one file; `size` is known for seekable ones only."""
        state = self._state
        if depth > state.limits.depth:
            state.add("SR-ARC-004", name, "archives nested deeper than the limit")
            return
        head = Reader(opener()).peek(HEAD_BYTES)
        format_, data_only = self._by_content(name, opener, size, depth, head)
        if size is None:
            size = Reader(opener()).drain()
        promised = promised_format(name)
        is_kept = promised is None or promised in format_ or (promised, format_) in _TEXTS
        if not is_kept:
            state.add("SR-FMT-003", name, f"is named like {promised}, but is {format_}")
        state.files.append(FileReport(printable(name), format_, data_only, size))
        state.look(name, opener, format_, size)

    def _by_content(
        self, name: str, opener: Opener, size: int | None, depth: int, head: bytes
    ) -> tuple[str, bool]:
        state = self._state
        if not head:
            if name in state.pickles or name == state.only or carries_a_model(name):
                # Whoever loads it fails, or gets what is written there after the scan.
                state.add("SR-FMT-004", name, "is empty, where its name promises a model")
                return "empty", False
            return "empty", True
        if name in state.pickles:
            return state.pickle(name, opener, plainly=True), False
        if starts_as_pickle(head):
            return state.pickle(name, opener), False
        kind = sniff(head)
        tried = scan_pickle(name, opener, state.limits, surely=False, budget=state.budget)
        if tried is not None and (tried[1] or kind is None):
            state.findings.extend(tried[1])
            if kind is None:
                return tried[0], False
            says = "is a pickle to whoever loads it as one, and something else to others"
            state.add("SR-PKL-013", name, says, 0)
        return self._by_kind(name, opener, size, depth, head, kind)

    def _by_kind(
        self, name: str, opener: Opener, size: int | None, depth: int, head: bytes, kind: str | None
    ) -> tuple[str, bool]:
        state, containers = self._state, self._containers
        ends_as_zip = size is not None and kind != "zip" and _ends_as_zip(opener, size)
        if kind == "zip" or (kind is None and ends_as_zip):
            return containers.zip(name, opener, size, depth)
        if kind == "tar":
            return containers.tar(name, opener, size, depth)
        if kind == "7z":
            return containers.seven_zip(name, opener, size, depth)
        if ends_as_zip and kind != "tflite":
            # What it is depends on whether its reader begins at the front or at the end.
            state.add("SR-FMT-007", name, f"is {kind} at its front and a zip at its end", 0)
        packed = compression_of(head)
        if packed is not None:
            files, findings = len(state.files), len(state.findings)
            try:
                return containers.compressed(name, opener, packed, depth)
            except MalformedError:
                # A text may begin like zlib; but what was found in it before it broke counts.
                is_text_after_all = packed == "zlib" and is_text(Reader(opener()), TEXT_BYTES)
                if len(state.findings) > findings or not is_text_after_all:
                    raise
                del state.files[files:]
        if ends_as_zip and kind == "tflite":
            # Its metadata tool adds a zip of labels and descriptions behind the model.
            containers.zip_behind(name, opener, size, depth)
        if kind != "hdf5" and size is not None:
            base = _hdf5_behind(opener, size)
            if base is not None and kind is None and _is_user_block(head):
                return self._plain.hdf5(name, opener, size, base)
            if base is not None:
                state.add("SR-FMT-007", name, "has an HDF5 file behind its front", base)
        return self._plain.scan(name, opener, size, head, kind)


def _is_user_block(head: bytes) -> bool:
    """A block that HDF5 leaves to its user: what MATLAB writes there, or nothing."""
    return head.startswith(_USER_BLOCK) or not any(head[:512])


def _ends_as_zip(opener: Opener, size: int) -> bool:
    stream: SeekableOpener = opener  # type: ignore[assignment] # openers of known size are seekable
    return zip_ends(stream(), size)


def _hdf5_behind(opener: Opener, size: int) -> int | None:
    stream: SeekableOpener = opener  # type: ignore[assignment] # openers of known size are seekable
    return hdf5_at(stream(), size)
