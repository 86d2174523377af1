"""Which model format a zip is, by the names in it; and zips that stand behind something else."""

from strongroom.engines.scanning.archives import has_zip_end
from strongroom.engines.scanning.reading import Opener, Reader, Stream
from strongroom.engines.scanning.sniffing import TAIL_BYTES


class Behind:
    """A stream from some byte on."""

    def __init__(self, stream: Stream, offset: int) -> None:
        self._reader = Reader(stream)
        self._reader.skip(offset)

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes."""
        data = self._reader.peek(size)
        self._reader.skip(len(data))
        return data


def zip_kind(names: set[str]) -> tuple[str, set[str]]:
    """What a zip with these members is, and which members are raw numbers by that format."""
    roots = {name.split("/")[0] for name in names}
    if len(roots) == 1:
        root = next(iter(roots))
        if f"{root}/data.pkl" in names and ({f"{root}/version", f"{root}/.format_version"} & names):
            raw = {
                name
                for name in names
                if name.startswith(f"{root}/data/") and name.rpartition("/")[2].isdigit()
            }
            small = {f"{root}/{name}" for name in (".data/serialization_id",)}
            return "torch", raw | (small & names)
    if "schema.json" in names and not any("/" in name for name in names):
        return "skops", set()
    if "config.json" in names and "metadata.json" in names and "model.weights.h5" in names:
        return "keras", set()
    if names and all(name.endswith(".npy") for name in names):
        return "npz", set()
    return "zip", set()


def zip_behind(opener: Opener, size: int) -> bool:
    """Whether a zip's end record stands at the end of a file that begins as something else."""
    stream = opener()
    if not hasattr(stream, "seek"):
        return False
    tail = min(size, TAIL_BYTES)
    stream.seek(size - tail)
    data = b""
    while len(data) < tail and (more := stream.read(tail - len(data))):
        data += more
    return has_zip_end(data)
