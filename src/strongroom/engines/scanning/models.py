"""Scanning model files without loading them: the entry to this engine.

Each file is recognised by its content, opened as far as its format goes, and judged. Archives and
compressed streams are scanned inside. Nothing is executed, nothing is written; what cannot be
read, is over a limit or makes the scanner fail is a finding that blocks, never a pass.
"""

import io
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import PurePosixPath

from strongroom.engines.scanning.archives import (
    Member,
    Problem,
    open_member,
    read_tar,
    read_zip,
    unsafe_name,
)
from strongroom.engines.scanning.compressed import Decompressed, can_open, compression_of
from strongroom.engines.scanning.findings import FileReport, Finding, Report
from strongroom.engines.scanning.mlmodel import check_conda, check_requirements, read_mlmodel
from strongroom.engines.scanning.onnx_walk import check_onnx
from strongroom.engines.scanning.pickles import printable, scan_pickle, starts_as_pickle
from strongroom.engines.scanning.reading import (
    Budget,
    LimitError,
    Limits,
    MalformedError,
    Opener,
    Reader,
    SeekableStream,
    Stream,
    size_of,
)
from strongroom.engines.scanning.skops_schema import check_skops_schema
from strongroom.engines.scanning.sniffing import (
    HEAD_BYTES,
    carries_a_model,
    is_script,
    is_text,
    promised_format,
    sniff,
)
from strongroom.engines.scanning.weights import (
    check_gguf,
    check_keras_config,
    check_safetensors,
    looks_like_safetensors,
    read_npy_header,
)
from strongroom.engines.scanning.zip_kinds import Behind, zip_behind, zip_kind

SeekableOpener = Callable[[], SeekableStream]
_PICKLE_ENDINGS = (".pkl", ".pickle", ".joblib", ".sav", ".dill", ".pth", ".p")
_TEXT_BYTES = 1 << 30
_CONFIG_BYTES = 16 << 20
_DATA_ONLY = frozenset(("image", "parquet", "arrow", "catboost", "xgboost"))


def scan_files(files: Iterable[tuple[str, SeekableOpener]], limits: Limits | None = None) -> Report:
    """Scans the files of one model.

    Args:
        files: name relative to the model's folder, with `/` between parts, and what opens the
            file anew, at its start, each time it is called.
        limits: how much is read before the scan gives up.

    Returns: the report; it never raises for what the files hold.
    """
    return _Scan(limits or Limits()).run(files)


class _Scan:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._budget = Budget(limits.unpacked_bytes)
        self._files: list[FileReport] = []
        self._findings: list[Finding] = []
        self._names: frozenset[str] = frozenset()
        self._only = ""
        self._pickles: frozenset[str] = frozenset()

    def run(self, files: Iterable[tuple[str, SeekableOpener]]) -> Report:
        """Scans everything and returns the report."""
        entries: list[tuple[str, SeekableOpener]] = []
        for entry in files:
            if len(entries) >= self._limits.files:
                self._add("SR-FMT-005", entry[0], "more files than the limit")
                break
            entries.append(entry)
        self._names = frozenset(name for name, _ in entries)
        self._only = entries[0][0] if len(entries) == 1 else ""
        for name, opener in entries:
            if PurePosixPath(name).name == "MLmodel":
                self._guard(name, partial(self._mlmodel, name, opener))
        for name, opener in entries:
            why = unsafe_name(name, self._limits)
            if why is not None:
                self._add("SR-FMT-006", name, f"a file that {why}")
            self._guard(name, partial(self._top, name, opener))
        return Report(tuple(self._files), tuple(self._findings))

    # ---- keeping findings ----

    def _add(
        self, rule_id: str, file: str, says: str, offset: int | None = None, subject: str = ""
    ) -> None:
        if len(self._findings) < self._limits.findings:
            finding = Finding(rule_id, printable(file), offset, printable(says), printable(subject))
            self._findings.append(finding)

    def _add_all(self, file: str, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self._add(problem.rule_id, file, problem.says, problem.offset, problem.subject)

    def _guard(self, file: str, work: Callable[[], None]) -> None:
        """Runs `work`; whatever it raises becomes a finding that blocks."""
        try:
            work()
        except LimitError as error:
            self._add("SR-FMT-005", file, str(error))
        except MalformedError as error:
            self._add("SR-FMT-004", file, f"could not be scanned: {error}")
        except Exception as error:  # noqa: BLE001 # hostile input may meet a fault of ours: it blocks
            self._add("SR-FMT-004", file, f"could not be scanned: {type(error).__name__}")

    # ---- one file ----

    def _mlmodel(self, name: str, opener: SeekableOpener) -> None:
        try:
            facts = read_mlmodel(_whole(opener(), _CONFIG_BYTES), self._limits)
        except MalformedError as error:
            self._add("SR-MLF-005", name, f"cannot be read: {error}")
            return
        folder = PurePosixPath(name).parent
        self._pickles |= {str(folder / path) for path in facts.pickles}
        self._add_all(name, facts.problems)

    def _top(self, name: str, opener: SeekableOpener) -> None:
        size = size_of(opener())
        self._content(name, opener, size, 0)

    def _content(self, name: str, opener: Opener, size: int | None, depth: int) -> None:
        """Recognises and scans one file; `size` is known for seekable ones only."""
        if depth > self._limits.depth:
            self._add("SR-ARC-004", name, "archives nested deeper than the limit")
            return
        head = Reader(opener()).peek(HEAD_BYTES)
        format_, data_only = self._by_content(name, opener, size, depth, head)
        if size is None:
            size = Reader(opener()).drain()
        promised = promised_format(name)
        if promised is not None and promised not in format_:
            self._add("SR-FMT-003", name, f"is named like {promised}, but is {format_}")
        self._files.append(FileReport(printable(name), format_, data_only, size))

    def _by_content(
        self, name: str, opener: Opener, size: int | None, depth: int, head: bytes
    ) -> tuple[str, bool]:
        if not head:
            if name in self._pickles or name == self._only or carries_a_model(name):
                # Whoever loads it fails, or gets what is written there after the scan.
                self._add("SR-FMT-004", name, "is empty, where its name promises a model")
                return "empty", False
            return "empty", True
        if name in self._pickles:
            return self._pickle(name, opener, plainly=True), False
        if starts_as_pickle(head):
            return self._pickle(name, opener), False
        tried = scan_pickle(name, opener, self._limits, surely=False)
        if tried is not None and (tried[1] or sniff(head) is None):
            self._findings.extend(tried[1])
            if sniff(head) is None:
                return tried[0], False
            says = "is a pickle to whoever loads it as one, and something else to others"
            self._add("SR-PKL-013", name, says, 0)
        kind = sniff(head)
        if kind == "zip" or (kind is None and size is not None and zip_behind(opener, size)):
            return self._zip(name, opener, size, depth)
        if kind == "tar":
            return self._tar(name, opener, size, depth)
        packed = compression_of(head)
        if packed is not None:
            files, findings = len(self._files), len(self._findings)
            try:
                return self._compressed(name, opener, packed, depth)
            except MalformedError:
                # A text may begin like zlib; but what was found in it before it broke counts.
                is_text_after_all = packed == "zlib" and is_text(Reader(opener()), _TEXT_BYTES)
                if len(self._findings) > findings or not is_text_after_all:
                    raise
                del self._files[files:]
        return self._plain(name, opener, head, kind)

    def _plain(self, name: str, opener: Opener, head: bytes, kind: str | None) -> tuple[str, bool]:
        """Formats that hold no other files."""
        if kind == "npy":
            return self._npy(name, opener)
        if kind == "gguf":
            self._checked(name, "SR-GUF-001", lambda: check_gguf(Reader(opener()), self._limits))
            return "gguf", True
        if kind == "hdf5":
            self._hdf5(name, opener)
            return "hdf5", False
        if kind in _DATA_ONLY and kind is not None:
            return kind, True
        if kind == "machine-code":
            self._add("SR-FMT-002", name, "is machine code or compiled Python", 0)
            return kind, False
        if looks_like_safetensors(head):
            reader = Reader(opener())
            self._checked(name, "SR-STS-001", lambda: check_safetensors(reader, self._limits))
            return "safetensors", True
        if head[0] == 0x08 and self._onnx(name, opener):  # ir_version, the first field of a model
            return "onnx", True
        if name.lower().endswith(".onnx"):
            self._add("SR-ONX-003", name, "cannot be walked as an ONNX model")
            return "unknown", False
        if name.lower().endswith(_PICKLE_ENDINGS):
            return self._pickle(name, opener), False
        if is_text(Reader(opener()), _TEXT_BYTES):
            return self._text(name, opener, head)
        if carries_a_model(name):
            self._add("SR-FMT-004", name, "cannot be read as what its name promises", 0)
            return "unknown", False
        self._add("SR-FMT-001", name, "is in no format that is known here", 0)
        return "unknown", False

    def _checked(self, name: str, rule_id: str, check: Callable[[], list[Problem]]) -> None:
        try:
            self._add_all(name, check())
        except MalformedError as error:
            self._add(rule_id, name, f"is malformed: {error}")

    def _pickle(
        self, name: str, opener: Opener, *, torch: bool = False, plainly: bool = False
    ) -> str:
        found = scan_pickle(name, opener, self._limits, surely=True, torch=torch, plainly=plainly)
        if found is None:
            raise MalformedError("not a pickle")
        self._findings.extend(found[1])
        return found[0]

    def _npy(self, name: str, opener: Opener) -> tuple[str, bool]:
        reader = Reader(opener())
        try:
            header = read_npy_header(reader)
            if not header.holds_objects:
                reader.skip(header.data_bytes)
                if reader.peek(1):
                    raise MalformedError("bytes behind the array")
                return "npy", True
        except MalformedError as error:
            self._add("SR-NPY-001", name, f"is malformed: {error}")
            return "npy", False
        start = reader.offset
        self._pickle(name, lambda: Behind(opener(), start))
        return "npy+pickle", False

    def _hdf5(self, name: str, opener: Opener) -> None:
        """HDF5 is not parsed yet; Keras' model configuration in it is plain JSON text."""
        reader = Reader(opener())
        carry = b""
        while data := reader.peek(1 << 18):
            reader.skip(len(data))
            window = carry + data
            if b'"class_name": "Lambda"' in window or b'"class_name":"Lambda"' in window:
                says = "its Lambda layer runs Python code when the model is loaded"
                self._add("SR-KER-001", name, says)
                return
            carry = window[-64:]
        self._add("SR-KER-002", name, "is HDF5, which is not looked into; a person must decide")

    def _onnx(self, name: str, opener: Opener) -> bool:
        try:
            problems, external = check_onnx(Reader(opener()), self._limits)
        except MalformedError:
            return False
        self._add_all(name, problems)
        folder = PurePosixPath(name).parent
        for path in external:
            if str(folder / path) not in self._names:
                says = f"keeps tensor data in `{path[:80]}`, which is not there"
                self._add("SR-ONX-004", name, says, None, path)
        return True

    def _text(self, name: str, opener: Opener, head: bytes) -> tuple[str, bool]:
        base = PurePosixPath(name.rpartition("!/")[2]).name
        if is_script(base, head):
            self._add("SR-FMT-002", name, "is a program that whoever loads the model may run", 0)
            return "script", False
        if base == "requirements.txt":
            text = _whole(opener(), _CONFIG_BYTES).decode("utf-8", "replace")
            self._add_all(name, check_requirements(text))
        elif base in ("conda.yaml", "python_env.yaml"):
            data = _whole(opener(), _CONFIG_BYTES)
            self._checked(name, "SR-MLF-005", lambda: check_conda(data))
        return "text", True

    # ---- containers ----

    def _zip(self, name: str, opener: Opener, size: int | None, depth: int) -> tuple[str, bool]:
        seekable = self._seekable(opener, size)
        length = size_of(seekable())
        try:
            members, problems = read_zip(seekable(), length, self._limits)
        except MalformedError as error:
            self._add("SR-ARC-005", name, f"cannot be read: {error}")
            return "zip", False
        self._add_all(name, problems)
        names = {member.name for member in members}
        kind, skipped = zip_kind(names)
        if kind == "torch" and any("/code/" in member for member in names):
            self._add("SR-TOR-001", name, "is TorchScript, which carries a program of its own")
            kind = "torchscript"
        before = len(self._files)
        for member in members:
            if member.name in skipped:
                continue
            self._guard(
                f"{name}!/{member.name}",
                partial(self._member, name, kind, seekable, member, depth),
            )
        inner = self._files[before:]
        data_only = kind in ("skops", "npz", "zip") and all(file.data_only for file in inner)
        del self._files[before:]
        return kind, data_only

    def _member(
        self, name: str, kind: str, seekable: SeekableOpener, member: Member, depth: int
    ) -> None:
        inner = f"{name}!/{member.name}"

        def opener() -> Stream:
            return open_member(seekable(), member, self._limits, self._budget)

        base = member.name.rpartition("/")[2]
        if kind in ("torch", "torchscript") and base in ("data.pkl", "constants.pkl"):
            self._pickle(inner, opener, torch=True)
            return
        if kind == "skops" and base == "schema.json":
            data = _whole(opener(), self._limits.header_bytes)
            self._checked(inner, "SR-SKP-002", lambda: check_skops_schema(data))
            return
        if kind == "skops" and base.endswith(".bin"):
            return  # bytes values of the model, which nothing interprets
        if kind == "keras" and base == "config.json":
            data = _whole(opener(), self._limits.header_bytes)
            self._checked(inner, "SR-KER-002", lambda: check_keras_config(data))
            return
        self._content(inner, opener, None, depth + 1)

    def _tar(self, name: str, opener: Opener, size: int | None, depth: int) -> tuple[str, bool]:
        seekable = self._seekable(opener, size)
        length = size_of(seekable())
        try:
            members, problems = read_tar(seekable(), length, self._limits)
        except MalformedError as error:
            self._add("SR-ARC-005", name, f"cannot be read: {error}")
            return "tar", False
        self._add_all(name, problems)
        before = len(self._files)
        for member in members:
            self._guard(
                f"{name}!/{member.name}",
                partial(self._member, name, "tar", seekable, member, depth),
            )
        data_only = all(file.data_only for file in self._files[before:])
        del self._files[before:]
        return "tar", data_only

    def _seekable(self, opener: Opener, size: int | None) -> SeekableOpener:
        """The same bytes with a way to jump: as they are, or held in memory if they are few."""
        if size is not None:
            return opener  # type: ignore[return-value] # openers of known size are seekable
        data = _whole(opener(), self._limits.nested_bytes)
        return lambda: io.BytesIO(data)

    def _compressed(self, name: str, opener: Opener, packed: str, depth: int) -> tuple[str, bool]:
        if not can_open(packed):
            self._add("SR-ARC-007", name, f"is packed with {packed}, which cannot be opened here")
            return packed, False

        def unpacked() -> Stream:
            return Decompressed(opener(), packed, self._limits, self._budget)

        before = len(self._files)
        self._content(f"{name}!/{packed}", unpacked, None, depth + 1)
        inner = self._files[before:]
        del self._files[before:]
        formats = "".join(f"{file.format}+" for file in inner)
        return f"{formats}{packed}", bool(inner) and all(file.data_only for file in inner)


def _whole(stream: Stream, limit: int) -> bytes:
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
