"""Formats that hold no other files: each recognised, walked by its own check, and told.

The checks are pure functions over bytes; this module chooses among them and turns what they find
into findings of a file.
"""

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import PurePosixPath

from strongroom.engines.scanning.compressed import Decompressed
from strongroom.engines.scanning.gguf import check_gguf
from strongroom.engines.scanning.hdf5_walk import ChunkedBytes, walk_hdf5
from strongroom.engines.scanning.keras_config import check_keras_config
from strongroom.engines.scanning.model_configs import (
    MAX_CONFIG,
    check_config,
    is_config,
    is_template,
)
from strongroom.engines.scanning.onnx_walk import check_onnx
from strongroom.engines.scanning.parts import Behind, First, Joined
from strongroom.engines.scanning.pickles import scan_pickle
from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.reading import (
    LimitError,
    MalformedError,
    Opener,
    Reader,
    Stream,
    size_of,
)
from strongroom.engines.scanning.saved_model import check_keras_metadata, check_saved_model
from strongroom.engines.scanning.scan_state import CONFIG_BYTES, ScanState, whole
from strongroom.engines.scanning.sniffing import carries_a_model, is_script, is_text
from strongroom.engines.scanning.templates import check_template
from strongroom.engines.scanning.text_pickles import pickles_in_text
from strongroom.engines.scanning.tflite import check_tflite
from strongroom.engines.scanning.tree_models import (
    check_catboost,
    check_json_whole,
    check_lightgbm,
    check_ubjson,
    check_xgboost_binary,
    looks_like_lightgbm,
    looks_like_xgboost_binary,
    looks_like_xgboost_json,
)
from strongroom.engines.scanning.weights import (
    check_safetensors,
    looks_like_safetensors,
    read_npy_header,
)

TEXT_BYTES = 1 << 30
_TFLITE_BYTES = 1 << 31
_PICKLE_ENDINGS = (".pkl", ".pickle", ".joblib", ".sav", ".dill", ".pth", ".p")
_DATA_ONLY = frozenset(("image", "parquet", "arrow"))
_KERAS_ATTRIBUTES = frozenset(("model_config", "training_config", "keras_metadata"))


class PlainFormats:
    """The plain formats of one scan."""

    def __init__(self, state: ScanState) -> None:
        self._state = state

    def scan(
        self, name: str, opener: Opener, size: int | None, head: bytes, kind: str | None
    ) -> tuple[str, bool]:
        """Scans one file: what it is, and whether it is data only."""
        if kind in _DATA_ONLY:
            return kind, True
        walker = self._walkers().get(kind or "")
        if walker is not None:
            return walker(name, opener, size)
        if kind == "machine-code":
            self._state.add("SR-FMT-002", name, "is machine code or compiled Python", 0)
            return kind, False
        if looks_like_safetensors(head):
            reader = Reader(opener())
            check = partial(check_safetensors, reader, self._state.limits)
            self._state.checked(name, "SR-STS-001", check)
            self._state.holds_numbers(name, reader.numbers)
            return "safetensors", True
        if head[0] == 0x08:  # a number in the first field, as in models of ONNX and TensorFlow
            found = self._protobuf(name, opener)
            if found is not None:
                return found
        if looks_like_xgboost_binary(head):
            return self._tree_model(name, opener, "xgboost-binary", check_xgboost_binary)
        return self._by_name(name, opener, head)

    def _walkers(
        self,
    ) -> dict[str, Callable[[str, Opener, int | None], tuple[str, bool]]]:
        return {
            "npy": self._npy,
            "gguf": self._gguf,
            "hdf5": self._hdf5,
            "tflite": self._tflite,
            "catboost": lambda name, opener, _size: self._tree_model(
                name, opener, "catboost", check_catboost
            ),
            "xgboost": lambda name, opener, _size: self._tree_model(
                name, opener, "xgboost", check_ubjson
            ),
        }

    def _by_name(self, name: str, opener: Opener, head: bytes) -> tuple[str, bool]:
        """Where the content tells nothing plainly: what the name promises, then text."""
        state = self._state
        base = PurePosixPath(name.rpartition("!/")[2]).name
        if name.lower().endswith(".onnx"):
            state.add("SR-ONX-003", name, "cannot be walked as an ONNX model")
            return "unknown", False
        if base == "keras_metadata.pb":
            check = partial(check_keras_metadata, Reader(opener()), state.limits)
            state.checked(name, "SR-TFM-005", check)
            return "keras-metadata", True
        if base == "saved_model.pb":
            state.add("SR-TFM-005", name, "cannot be walked as a SavedModel")
            return "unknown", False
        if name.lower().endswith(_PICKLE_ENDINGS):
            return state.pickle(name, opener), False
        if is_text(Reader(opener()), TEXT_BYTES):
            return self._text(name, opener, head)
        if base == "fingerprint.pb" or ".data-0000" in base or base.endswith(".index"):
            return self._beside_a_saved_model(name)
        if carries_a_model(name):
            state.add("SR-FMT-004", name, "cannot be read as what its name promises", 0)
            return "unknown", False
        state.add("SR-FMT-001", name, "is in no format that is known here", 0)
        return "unknown", False

    def _beside_a_saved_model(self, name: str) -> tuple[str, bool]:
        """TensorFlow's checkpoints: raw numbers, read by name and length from an index."""
        folder = PurePosixPath(name).parent
        model = folder.parent if folder.name == "variables" else folder
        if str(model / "saved_model.pb") in self._state.names:
            return "tensorflow-variables", True
        self._state.add("SR-FMT-001", name, "is in no format that is known here", 0)
        return "unknown", False

    # ---- formats ----

    def _npy(self, name: str, opener: Opener, _size: int | None) -> tuple[str, bool]:
        reader = Reader(opener())
        try:
            header = read_npy_header(reader)
            if not header.holds_objects:
                skip = reader.skip_numbers if header.is_numbers else reader.skip
                skip(header.data_bytes)
                if reader.peek(1):
                    raise MalformedError("bytes behind the array")
                self._state.holds_numbers(name, reader.numbers)
                return "npy", True
        except MalformedError as error:
            self._state.add("SR-NPY-001", name, f"is malformed: {error}")
            return "npy", False
        start = reader.offset
        self._state.pickle(name, lambda: Behind(opener(), start))
        return "npy+pickle", False

    def _gguf(self, name: str, opener: Opener, _size: int | None) -> tuple[str, bool]:
        reader = Reader(opener())
        self._state.checked(name, "SR-GUF-001", partial(check_gguf, reader, self._state.limits))
        self._state.holds_numbers(name, reader.numbers)
        return "gguf", True

    def _hdf5(self, name: str, opener: Opener, size: int | None) -> tuple[str, bool]:
        return self.hdf5(name, opener, size, 0)

    def hdf5(self, name: str, opener: Opener, size: int | None, base: int) -> tuple[str, bool]:
        """Scans an HDF5 file that begins at `base`: its structure, configurations, pickles."""
        state = self._state
        seekable = state.seekable(opener, size)
        try:
            facts = walk_hdf5(seekable(), size_of(seekable()), state.limits, base)
        except MalformedError as error:
            state.add("SR-HDF-003", name, f"cannot be walked: {error}")
            return "hdf5", False
        before = len(state.findings)
        state.add_all(name, facts.problems)
        is_keras = False
        for path, key, value in facts.values:
            text = value.rstrip(b"\x00")
            if key in _KERAS_ATTRIBUTES:
                is_keras = True
                state.checked(name, "SR-KER-003", partial(check_keras_config, text))
            elif key == "PSEUDOATOM" and text.endswith(b"object"):
                says = "holds pickles of PyTables, which are not looked into"
                state.add("SR-HDF-002", name, says, None, path)
            else:
                self._maybe_pickle(name, partial(io.BytesIO, value))
        for start, length in facts.raw:
            self._maybe_pickle(name, partial(_part, opener, start, length))
        for dataset in facts.chunked:
            self._maybe_pickle(name, partial(self._chunks, opener, dataset))
        found = len(state.findings) > before
        return ("keras-h5" if is_keras else "hdf5"), not found

    def _chunks(self, opener: Opener, dataset: ChunkedBytes) -> Stream:
        """The bytes of a dataset, one chunk after the other."""
        return Joined(self._chunk_streams(opener, dataset))

    def _chunk_streams(self, opener: Opener, dataset: ChunkedBytes) -> Iterator[Stream]:
        state = self._state
        for start, length, is_packed in dataset.places:
            stream = _part(opener, start, max(0, length - dataset.checksum_bytes))
            if is_packed:
                yield Decompressed(stream, "zlib", state.limits, state.budget)
            else:
                yield stream

    def _maybe_pickle(self, name: str, opener: Opener) -> None:
        """Text or bytes in a file of numbers: looked at as the pickle it may be."""
        state = self._state
        tried = scan_pickle(name, opener, state.limits, surely=False, budget=state.budget)
        if tried is not None and tried[1]:
            state.findings.extend(tried[1])

    def _tflite(self, name: str, opener: Opener, size: int | None) -> tuple[str, bool]:
        limit = _TFLITE_BYTES if size is not None else self._state.limits.nested_bytes
        limit = min(limit, self._state.limits.flatbuffer_bytes)
        data = whole(opener(), limit)
        self._state.checked(name, "SR-TFM-005", partial(check_tflite, data, len(data)))
        return "tflite", True

    def _tree_model(
        self, name: str, opener: Opener, format_: str, check: Callable[[Reader], None]
    ) -> tuple[str, bool]:
        try:
            check(Reader(opener()))
        except MalformedError as error:
            self._state.add("SR-TRE-001", name, f"is no whole {format_} model: {error}")
            return format_, False
        return format_, True

    def _protobuf(self, name: str, opener: Opener) -> tuple[str, bool] | None:
        if self._onnx(name, opener):
            return "onnx", True
        base = PurePosixPath(name.rpartition("!/")[2]).name
        try:
            problems = check_saved_model(Reader(opener()), self._state.limits)
        except MalformedError as error:
            if base != "saved_model.pb":
                return None
            self._state.add("SR-TFM-005", name, f"is malformed: {error}")
            return "saved-model", False
        self._state.add_all(name, problems)
        return "saved-model", not problems

    def _onnx(self, name: str, opener: Opener) -> bool:
        state = self._state
        reader = Reader(opener())
        try:
            problems, external = check_onnx(reader, state.limits)
        except MalformedError:
            return False
        state.holds_numbers(name, reader.numbers)
        state.add_all(name, problems)
        folder = PurePosixPath(name).parent
        for path in external:
            if str(folder / path) not in state.names:
                says = f"keeps tensor data in `{path[:80]}`, which is not there"
                state.add("SR-ONX-004", name, says, None, path)
        return True

    # ---- texts ----

    def _text(self, name: str, opener: Opener, head: bytes) -> tuple[str, bool]:
        state = self._state
        base = PurePosixPath(name.rpartition("!/")[2]).name
        state.findings.extend(pickles_in_text(name, opener, state.limits))
        if is_script(base, head):
            state.add("SR-FMT-002", name, "is a program that whoever loads the model may run", 0)
            return "script", False
        if looks_like_lightgbm(head):
            return self._tree_model(name, opener, "lightgbm", check_lightgbm)
        if looks_like_xgboost_json(head):
            return "text", self._tree_model(name, opener, "xgboost", check_json_whole)[1]
        if is_template(base):
            text = whole(opener(), CONFIG_BYTES).decode("utf-8", "replace")
            state.add_all(name, check_template(text))
        if is_config(base) and base != "MLmodel":
            return self._config(name, base, opener)
        return "text", True

    def _config(self, name: str, base: str, opener: Opener) -> tuple[str, bool]:
        """A configuration; a text too long to be one is a text like any other."""
        try:
            data = whole(opener(), MAX_CONFIG)
        except LimitError:
            return "text", True
        problems: list[Problem] = check_config(base, data)
        if data[:2048].lstrip().startswith(b"{") and b'"class_name"' in data:
            self._state.checked(name, "SR-KER-003", partial(check_keras_config, data))
        self._state.add_all(name, problems)
        return "text", not problems


def _part(opener: Opener, start: int, length: int) -> Stream:
    """`length` bytes of a file from `start` on."""
    stream = Behind(opener(), start)
    return First(stream, length)
