"""Decompressing lz4 and zstd with Arrow's codecs, within the limits of a scan."""

import io
from typing import Any, Literal

from strongroom.engines.scanning.reading import Budget, LimitError, Limits, MalformedError, Stream

ARROW_CODECS: dict[str, Literal["lz4", "zstd"]] = {"lz4": "lz4", "zstd": "zstd"}
_CHUNK = 1 << 16


class _Packed(io.RawIOBase):
    """The packed bytes in the shape Arrow wants; counts what is read."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream
        self.count = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(_CHUNK if size < 0 else min(size, _CHUNK))
        self.count += len(data)
        return data


class ArrowStream:
    """The unpacked bytes of an `lz4` or `zstd` stream, forwards; frames may follow each other."""

    def __init__(self, packed: Stream, name: str, limits: Limits, budget: Budget) -> None:
        import pyarrow as pa  # costs more than a whole scan of a file without such a stream

        self._packed = _Packed(packed)
        self._limits = limits
        self._budget = budget
        self._name = name
        self._unpacked_bytes = 0
        self._inner: Any = pa.CompressedInputStream(
            pa.PythonFile(self._packed, "r"), ARROW_CODECS[name]
        )

    def read(self, size: int, /) -> bytes:
        """Up to `size` unpacked bytes; empty at the end.

        Raises:
            MalformedError: the packed bytes are broken.
            LimitError: the ratio or the budget is exceeded.
        """
        try:
            data = bytes(self._inner.read(min(size, _CHUNK)))
        except (OSError, ValueError) as error:
            raise MalformedError(f"the {self._name} stream is broken") from error
        self._unpacked_bytes += len(data)
        self._budget.spend(len(data))
        limits = self._limits
        if (
            self._unpacked_bytes > limits.ratio_floor_bytes
            and self._unpacked_bytes > limits.ratio * max(1, self._packed.count)
        ):
            raise LimitError("unpacks to far more than any model would")
        return data
