"""Files of binary formats made by hand, so that tests can make them as no library would."""

import struct
import zlib
from collections.abc import Iterable, Sequence

UNDEFINED = b"\xff" * 8

# ---- protobuf ----


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(*fields: tuple[int, int | str | bytes]) -> bytes:
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def node(operator: str, **attributes: bytes) -> bytes:
    pairs = [(5, message((1, key), (2, value))) for key, value in attributes.items()]
    return message((1, f"a_{operator}"), (2, operator), *pairs)


def text_constant(text: str) -> bytes:
    return node("Const", value=message((8, message((1, 7), (8, text)))))


def function(name: str, *nodes: bytes) -> bytes:
    return message((1, message((1, name))), *((3, inner) for inner in nodes))


def saved_model(
    *nodes: bytes, functions: Iterable[bytes] = (), assets: Iterable[str] = (), metadata: str = ""
) -> bytes:
    library = message(*((1, body) for body in functions))
    graph = message(*((1, inner) for inner in nodes), (2, library))
    user = message((4, message((1, "_tf_keras_model"), (3, metadata))))
    files = [(6, message((2, name))) for name in assets]
    meta = message((1, message((5, "2.21"))), (2, graph), *files, (7, message((1, user))))
    return message((1, 1), (2, meta))


# ---- FlatBuffers ----

Flat = int | str | bytes | Sequence["Flat"] | dict[int, "Flat"] | None


def flatbuffer(root: dict[int, Flat], magic: bytes = b"TFL3") -> bytes:
    """Tables are dictionaries by field, vectors are lists, texts and bytes are themselves."""
    data = bytearray(4) + magic

    def patch(slot: int, target: int) -> None:
        struct.pack_into("<I", data, slot, target - slot)

    def put(value: Flat) -> int:
        if isinstance(value, dict):
            return put_table(value)
        at = len(data)
        if isinstance(value, str | bytes):
            raw = value.encode() if isinstance(value, str) else value
            data.extend(struct.pack("<I", len(raw)) + raw + b"\x00")
        elif isinstance(value, Sequence):
            data.extend(struct.pack("<I", len(value)) + bytes(4 * len(value)))
            for index, inner in enumerate(value):
                patch(at + 4 + 4 * index, put(inner))
        return at

    def put_table(fields: dict[int, Flat]) -> int:
        vtable, count = len(data), max(fields, default=-1) + 1
        offsets = [4 + 8 * index if index in fields else 0 for index in range(count)]
        data.extend(struct.pack(f"<HH{count}H", 4 + 2 * count, 4 + 8 * count, *offsets))
        at = len(data)
        data.extend(struct.pack("<i", at - vtable) + bytes(8 * count))
        for index, value in fields.items():
            slot = at + 4 + 8 * index
            if isinstance(value, int):
                struct.pack_into("<q", data, slot, value)
            else:
                patch(slot, put(value))
        return at

    patch(0, put(root))
    return bytes(data)


def tflite(*operators: str) -> bytes:
    codes: list[Flat] = [{0: 32, 1: name, 3: 32} for name in operators]
    return flatbuffer({0: 3, 1: codes, 2: [{0: [{1: 0}], 3: [{0: 0}]}], 4: [{0: b""}]})


# ---- HDF5, superblock 2 and object headers 2 ----


def hdf5(*messages: tuple[int, bytes], at: int = 0) -> bytes:
    """A file whose root group has these messages: kind and data."""
    body = b"".join(struct.pack("<BHB", kind, len(data), 0) + data for kind, data in messages)
    header = b"OHDR\x02\x02" + struct.pack("<I", len(body)) + body + bytes(4)
    end = at + 48 + len(header)
    superblock = b"\x89HDF\r\n\x1a\n\x02\x08\x08\x00" + struct.pack("<Q", at) + UNDEFINED
    return bytes(at) + superblock + struct.pack("<QQ", end, 48) + bytes(4) + header


def hdf5_link(name: str, kind: int, value: bytes) -> tuple[int, bytes]:
    head = bytes([1, 8, kind, len(name)]) + name.encode()
    return 0x06, head + struct.pack("<H", len(value)) + value


def hdf5_text(name: str, value: bytes) -> tuple[int, bytes]:
    key = name.encode() + b"\x00"
    kind = b"\x13\x00\x00\x00" + struct.pack("<I", len(value))
    shape = b"\x02\x00\x00\x00"
    sizes = struct.pack("<HHH", len(key), len(kind), len(shape))
    return 0x0C, b"\x03\x00" + sizes + b"\x00" + key + kind + shape + value


# ---- 7z ----


def _number(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else bytes([0x80 | value >> 8, value & 0xFF])


def seven_zip(
    members: Sequence[tuple[str, bytes]],
    *,
    coder: bytes = b"\x01\x00",
    packed: bytes | None = None,
    mode: int = 0,
    tail: bytes = b"",
) -> bytes:
    """Each member in a folder of its own.

    Args:
        coder: flags and method, and properties where the flags say so.
        packed: what stands for each member, if not its bytes.
        mode: UNIX mode of every member; 0 for none.
    """
    streams = [data if packed is None else packed for _, data in members]
    count = _number(len(members))
    sizes = b"".join(_number(len(stream)) for stream in streams)
    unpacked = b"".join(_number(len(data)) for _, data in members)
    folders = b"\x07\x0b" + count + b"\x00" + (b"\x01" + coder) * len(members)
    names = b"\x00" + b"".join(name.encode("utf-16-le") + b"\x00\x00" for name, _ in members)
    files = b"\x05" + count + b"\x11" + _number(len(names)) + names
    if mode:
        flags = b"\x01\x00" + struct.pack("<L", mode << 16 | 0x8000) * len(members)
        files += b"\x15" + _number(len(flags)) + flags
    header = (
        b"\x01\x04\x06\x00" + count + b"\x09" + sizes + b"\x00"
        + folders + b"\x0c" + unpacked + b"\x00\x00" + files + b"\x00\x00"
    )  # fmt: skip
    body = b"".join(streams)
    start = struct.pack("<QQL", len(body), len(header), zlib.crc32(header))
    head = b"7z\xbc\xaf\x27\x1c\x00\x04" + struct.pack("<L", zlib.crc32(start)) + start
    return head + body + header + tail
