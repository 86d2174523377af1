"""Tar archives: the standard library parses, this module bounds it and judges what it tells.

Source: POSIX.1-2001 (pax).
"""

import io
import tarfile

from strongroom.engines.scanning.archives import Member, check_names
from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.reading import LimitError, Limits, MalformedError, SeekableStream


def read_tar(
    stream: SeekableStream, size: int, limits: Limits
) -> tuple[list[Member], list[Problem]]:
    """Members of a plain tar and what is wrong with it.

    Raises:
        MalformedError: it cannot be parsed.
        LimitError: it has more members than the limit.
    """
    members: list[Member] = []
    problems: list[Problem] = []
    names: list[str] = []
    try:
        with tarfile.TarFile(fileobj=_Bounded(stream, size), mode="r") as archive:
            for info in archive:
                names.append(info.name)
                if len(names) > limits.members:
                    raise LimitError("more members than the limit")
                if info.isdir():
                    continue
                if not info.isreg() or info.sparse is not None:
                    says = "is a link, a device or sparse, which can reach files outside the model"
                    problems.append(Problem("SR-ARC-002", says, info.offset, info.name))
                    continue
                if info.offset_data + info.size > size:
                    raise MalformedError("a tar that breaks off")
                members.append(
                    Member(info.name, "stored", info.offset_data, info.size, info.size, info.offset)
                )
    except (tarfile.TarError, ValueError, OverflowError, EOFError, OSError, KeyError) as error:
        raise MalformedError("a tar that cannot be parsed") from error
    problems.extend(check_names(names, limits))
    return members, problems


class _Bounded(io.RawIOBase):
    """A seekable stream in the shape tarfile wants, refusing huge header reads."""

    _LARGEST_READ = 1 << 20

    def __init__(self, stream: SeekableStream, size: int) -> None:
        super().__init__()
        self._inner = stream
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0 or size > self._LARGEST_READ:
            raise MalformedError("a tar header larger than any honest one")
        self._inner.seek(self._at)
        data = self._inner.read(size)
        self._at += len(data)
        return data
