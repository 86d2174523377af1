"""Which model format an archive is, by the names in it; and formats that hide behind another."""

import struct

from strongroom.engines.scanning.archives import exactly
from strongroom.engines.scanning.reading import MalformedError, SeekableStream
from strongroom.engines.scanning.sniffing import TAIL_BYTES

_END = struct.Struct("<4s4H2LH")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_HDF5_FIRST_BLOCK = 512
_OLD_TORCH = frozenset(("sys_info", "pickle", "storages", "tensors"))


def zip_kind(names: set[str]) -> tuple[str, set[str]]:
    """What a zip with these members is, and which members are raw numbers by that format."""
    roots = {name.split("/")[0] for name in names}
    if len(roots) == 1:
        root = next(iter(roots))
        if f"{root}/data.pkl" in names and ({f"{root}/version", f"{root}/.format_version"} & names):
            raw = {name for name in names if _is_storage(name, root)}
            raw |= {f"{root}/.data/serialization_id"} & names
            is_script = any("/code/" in name for name in names)
            return ("torchscript" if is_script else "torch"), raw
        if f"{root}/archive_format" in names and f"{root}/archive_version" in names:
            return "torch-export", {name for name in names if _is_export_storage(name, root)}
    if "schema.json" in names and not any("/" in name for name in names):
        return "skops", set()
    if "config.json" in names and "metadata.json" in names and "model.weights.h5" in names:
        return "keras", set()
    if names and all(name.endswith(".npy") for name in names):
        return "npz", set()
    return "zip", set()


def _is_storage(name: str, root: str) -> bool:
    """Raw numbers of tensors: `data/0` of a model, `constants/0` of a TorchScript one."""
    folder, _, base = name.rpartition("/")
    return folder in (f"{root}/data", f"{root}/constants") and base.isdigit()


def _is_export_storage(name: str, root: str) -> bool:
    """Raw numbers of `torch.export`: `data/weights/weight_0`, `data/constants/tensor_0`."""
    folder, _, base = name.rpartition("/")
    kind = {f"{root}/data/weights": "weight_", f"{root}/data/constants": "tensor_"}.get(folder)
    is_storage = kind is not None and base.removeprefix(kind).isdigit()
    return is_storage or name == f"{root}/.data/serialization_id"


def tar_is_torch(names: set[str]) -> bool:
    """Whether a tar is what torch.save wrote before its version 0.1.10."""
    return names >= _OLD_TORCH


def zip_ends(stream: SeekableStream, size: int) -> bool:
    """Whether a zip's directory stands at the end of a file that may begin as something else."""
    tail_bytes = min(size, TAIL_BYTES)
    stream.seek(size - tail_bytes)
    try:
        tail = exactly(stream, tail_bytes)
    except MalformedError:
        return False
    at = tail.rfind(b"PK\x05\x06")
    while at >= 0:
        if at + _END.size <= len(tail):
            length, comment = (_END.unpack_from(tail, at)[field] for field in (5, 7))
            directory_at = size - tail_bytes + at - length
            if at + _END.size + comment == len(tail) and length and directory_at >= 0:
                stream.seek(directory_at)
                # A zip64 record may stand between; its file is then told by its first member.
                return stream.read(4) == b"PK\x01\x02" or b"PK\x06\x07" in tail[:at]
        at = tail.rfind(b"PK\x05\x06", 0, at)
    return False


def hdf5_at(stream: SeekableStream, size: int) -> int | None:
    """Where an HDF5 file begins behind a block of the user's own, or None.

    Source: HDF5 File Format Specification, section II.A: at 512, 1024, 2048 … bytes.
    """
    at = _HDF5_FIRST_BLOCK
    while at + len(_HDF5) <= size:
        stream.seek(at)
        if stream.read(len(_HDF5)) == _HDF5:
            return at
        at *= 2
    return None
