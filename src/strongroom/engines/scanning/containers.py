"""Files that hold other files: zip, tar, 7z and compressed streams, opened and scanned inside.

A container is never written to disk. Its members are given back to whoever called, one by one,
with the same limits and the same suspicion as files that stand alone.
"""

import io
from collections.abc import Callable
from functools import partial
from itertools import groupby
from typing import Protocol

from strongroom.engines.scanning.archives import Member, open_member
from strongroom.engines.scanning.arrow_streams import ArrowStream
from strongroom.engines.scanning.compressed import Decompressed, can_open
from strongroom.engines.scanning.keras_config import check_keras_config
from strongroom.engines.scanning.parts import SeekableRegion
from strongroom.engines.scanning.pickles import TorchPart
from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.reading import (
    MalformedError,
    Opener,
    Reader,
    SeekableOpener,
    SeekableStream,
    Stream,
    size_of,
)
from strongroom.engines.scanning.scan_state import ScanState, whole
from strongroom.engines.scanning.seven_zip import Entry, Folder, open_folder, read_seven_zip
from strongroom.engines.scanning.skops_schema import check_skops_schema
from strongroom.engines.scanning.tar_reading import read_tar
from strongroom.engines.scanning.torchscript import check_exported_graph, check_torchscript
from strongroom.engines.scanning.training_rows import skops_rows
from strongroom.engines.scanning.weights import load_json, read_npy_header
from strongroom.engines.scanning.zip_kinds import tar_is_torch, zip_kind
from strongroom.engines.scanning.zip_reading import read_zip

_TORCH_PICKLES = ("data.pkl", "constants.pkl", "traced_inputs.pkl")
_TORCH_TAR_PICKLES: dict[str, TorchPart] = {
    "sys_info": "",
    "pickle": "",
    "storages": "storages",
    "tensors": "tensors",
}
_PACKED_AND_DATA = ("skops", "npz", "zip", "keras")


class ContentScan(Protocol):
    """Scans one file by its content, as `models` does it."""

    def __call__(self, name: str, opener: Opener, size: int | None, depth: int) -> None:
        """`size` is given where what `opener` opens can be jumped in."""


class Containers:
    """The containers of one scan."""

    def __init__(self, state: ScanState, content: ContentScan) -> None:
        self._state = state
        self._content = content

    def zip(self, name: str, opener: Opener, size: int | None, depth: int) -> tuple[str, bool]:
        """Scans a zip and its members: what it is, and whether it is data only."""
        state = self._state
        seekable = state.seekable(opener, size)
        try:
            members, problems = read_zip(seekable(), size_of(seekable()), state.limits)
        except MalformedError as error:
            state.add("SR-ARC-005", name, f"cannot be read: {error}")
            return "zip", False
        state.add_all(name, problems)
        names = {member.name for member in members}
        kind, skipped = zip_kind(names)
        chosen = [member for member in members if member.name not in skipped]
        inner_data_only = self._members(name, kind, seekable, chosen, depth)
        if kind == "skops":
            by_name = {member.name: member for member in members}
            state.guard(name, partial(self._kept_rows, name, seekable, by_name))
        return kind, kind in _PACKED_AND_DATA and inner_data_only

    def _kept_rows(self, name: str, seekable: SeekableOpener, members: dict[str, Member]) -> None:
        """Rows of the training table that a skops model keeps in arrays of its archive."""
        state = self._state

        def opened(member: str) -> Stream:
            return open_member(seekable(), members[member], state.limits, state.budget)

        def shape_of(member: str) -> tuple[tuple[int, ...], int]:
            if member not in members or not member.endswith(".npy"):
                return (), 0
            header = read_npy_header(Reader(opened(member)))
            return header.shape, header.item_bytes

        try:
            schema = load_json(whole(opened("schema.json"), state.limits.header_bytes))
            for rows in skops_rows(schema, shape_of):
                state.add_all(name, [rows.problem()])
        except MalformedError:
            return  # told where the schema and its arrays are looked at

    def zip_behind(self, name: str, opener: Opener, size: int | None, depth: int) -> None:
        """Scans the members of a zip that a format allows behind itself."""
        state = self._state
        seekable = state.seekable(opener, size)
        try:
            members, problems = read_zip(seekable(), size_of(seekable()), state.limits)
        except MalformedError as error:
            state.add("SR-ARC-005", name, f"cannot be read: {error}")
            return
        first = min((member.header_offset for member in members), default=0)
        for problem in problems:
            if problem.rule_id != "SR-ARC-006" or problem.offset != 0 or first == 0:
                state.add_all(name, [problem])
        self._members(name, "zip", seekable, members, depth)

    def tar(self, name: str, opener: Opener, size: int | None, depth: int) -> tuple[str, bool]:
        """Scans a tar and its members."""
        state = self._state
        seekable = state.seekable(opener, size)
        try:
            members, problems = read_tar(seekable(), size_of(seekable()), state.limits)
        except MalformedError as error:
            state.add("SR-ARC-005", name, f"cannot be read: {error}")
            return "tar", False
        state.add_all(name, problems)
        kind = "torch-tar" if tar_is_torch({member.name for member in members}) else "tar"
        data_only = self._members(name, kind, seekable, members, depth)
        return kind, kind == "tar" and data_only

    def seven_zip(
        self, name: str, opener: Opener, size: int | None, depth: int
    ) -> tuple[str, bool]:
        """Scans a 7z and its members."""
        state = self._state
        seekable = state.seekable(opener, size)
        stream = seekable()
        try:
            listing = read_seven_zip(stream, size_of(stream), state.limits, state.budget)
        except MalformedError as error:
            state.add("SR-ARC-005", name, f"cannot be read: {error}")
            return "7z", False
        state.add_all(name, listing.problems)
        before = len(state.files)
        for folder, entries in groupby(listing.entries, lambda entry: entry.folder):
            self._folder(name, seekable, folder, list(entries), depth)
        return "7z", self._take_inner(before)

    def _folder(
        self,
        name: str,
        seekable: SeekableOpener,
        folder: Folder,
        entries: list[Entry],
        depth: int,
    ) -> None:
        """Members of one packed stream: unpacked once where it may be held in memory."""
        state = self._state
        opened = partial(open_folder, limits=state.limits, budget=state.budget)
        held: bytes | None = None
        if folder.size_bytes <= state.limits.nested_bytes:
            all_of_it = Entry("", folder, 0, folder.size_bytes)
            try:
                held = whole(opened(seekable(), all_of_it), folder.size_bytes)
            except MalformedError as error:
                state.add("SR-ARC-005", name, f"cannot be unpacked: {error}", folder.offset)
                return
        for entry in entries:
            inner = f"{name}!/{entry.name}"
            if held is None:
                member: Opener = partial(_opened, opened, seekable, entry)
                work = partial(self._content, inner, member, None, depth + 1)
            else:
                part = held[entry.offset : entry.offset + entry.size_bytes]
                work = partial(
                    self._content, inner, partial(io.BytesIO, part), len(part), depth + 1
                )
            state.guard(inner, work)

    def compressed(self, name: str, opener: Opener, packed: str, depth: int) -> tuple[str, bool]:
        """Scans what a compressed stream unpacks to."""
        state = self._state
        if not can_open(packed):
            state.add("SR-ARC-007", name, f"is packed with {packed}, which cannot be opened here")
            return packed, False

        def unpacked() -> Stream:
            if packed == "lz4" or packed == "zstd":
                return ArrowStream(opener(), packed, state.limits, state.budget)
            return Decompressed(opener(), packed, state.limits, state.budget)

        before = len(state.files)
        self._content(f"{name}!/{packed}", unpacked, None, depth + 1)
        formats = "".join(f"{file.format}+" for file in state.files[before:])
        found_any = len(state.files) > before
        return f"{formats}{packed}", self._take_inner(before) and found_any

    def _take_inner(self, before: int) -> bool:
        """Drops the reports of members since `before`; whether all of them are data only."""
        files = self._state.files
        data_only = all(file.data_only for file in files[before:])
        del files[before:]
        return data_only

    def _members(
        self, name: str, kind: str, seekable: SeekableOpener, members: list[Member], depth: int
    ) -> bool:
        before = len(self._state.files)
        for member in members:
            work = partial(self._member, name, kind, seekable, member, depth)
            self._state.guard(f"{name}!/{member.name}", work)
        return self._take_inner(before)

    def _member(
        self, name: str, kind: str, seekable: SeekableOpener, member: Member, depth: int
    ) -> None:
        state = self._state
        inner = f"{name}!/{member.name}"

        def opener() -> Stream:
            return open_member(seekable(), member, state.limits, state.budget)

        def region() -> SeekableStream:
            return SeekableRegion(seekable(), member.offset, member.packed_bytes)

        if self._special(inner, kind, member, opener):
            state.look(inner, opener, f"{kind} member", member.size_bytes)
            return
        if member.method == "stored":
            self._content(inner, region, member.packed_bytes, depth + 1)
        else:
            self._content(inner, opener, None, depth + 1)

    def _special(self, inner: str, kind: str, member: Member, opener: Opener) -> bool:
        """Members whose meaning the container fixes; False for any other."""
        state = self._state
        base = member.name.rpartition("/")[2]
        if kind == "torch-tar" and base in _TORCH_TAR_PICKLES:
            state.pickle(inner, opener, torch=True, part=_TORCH_TAR_PICKLES[base])
            return True
        if kind in ("torch", "torchscript") and base in _TORCH_PICKLES:
            state.pickle(inner, opener, torch=True, script=kind == "torchscript")
            return True
        if kind == "torch-export" and "/models/" in member.name and base.endswith(".json"):
            self._parsed(inner, opener, "SR-TOR-003", check_exported_graph)
            return True
        if kind == "torchscript" and "/code/" in member.name and base.endswith(".py"):
            self._parsed(inner, opener, "SR-TOR-003", check_torchscript)
            return True
        if kind == "torchscript" and base.endswith(".debug_pkl"):
            state.pickle(inner, opener, torch=True)
            return True
        if kind == "skops" and base == "schema.json":
            self._parsed(inner, opener, "SR-SKP-002", check_skops_schema)
            return True
        if kind == "keras" and base == "config.json":
            self._parsed(inner, opener, "SR-KER-003", check_keras_config)
            return True
        # Bytes values of a skops model, which nothing interprets.
        return kind == "skops" and base.endswith(".bin")

    def _parsed(
        self, inner: str, opener: Opener, rule_id: str, check: Callable[[bytes], list[Problem]]
    ) -> None:
        data = whole(opener(), self._state.limits.header_bytes)
        self._state.checked(inner, rule_id, partial(check, data))


def _opened(
    opened: Callable[[SeekableStream, Entry], Stream], seekable: SeekableOpener, entry: Entry
) -> Stream:
    return opened(seekable(), entry)
