"""What a file is, by its content. Its name decides nothing, and is told where it deceives."""

import codecs
import re
from pathlib import PurePosixPath

from strongroom.engines.scanning.reading import Reader

HEAD_BYTES = 1024
TAIL_BYTES = 66_000

_MAGIC = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x93NUMPY", "npy"),
    (b"GGUF", "gguf"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x7fELF", "machine-code"),
    (b"MZ", "machine-code"),
    (b"\xcf\xfa\xed\xfe", "machine-code"),
    (b"\xca\xfe\xba\xbe", "machine-code"),
    (b"\xfe\xed\xfa\xcf", "machine-code"),
    (b"\x00asm", "machine-code"),
    (b"!<arch>\n", "machine-code"),
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF8", "image"),
    (b"PAR1", "parquet"),
    (b"ARROW1", "arrow"),
    (b"CBM1", "catboost"),
    (b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner", "xgboost"),
)
_TAR_MAGIC_AT = 257
_PYC_MAGIC_END = b"\r\n"
# Tab, line feed, form feed and carriage return are the control characters that texts have.
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_SCRIPT_ENDINGS = (".py", ".pyw", ".sh", ".bash", ".ps1", ".bat", ".cmd", ".js")
# What a name promises; only told where it is not kept.
_PROMISES = {
    ".onnx": "onnx",
    ".tflite": "tflite",
    ".7z": "7z",
    ".safetensors": "safetensors",
    ".skops": "skops",
    ".npy": "npy",
    ".npz": "npz",
    ".gguf": "gguf",
    ".png": "image",
    ".jpg": "image",
    ".json": "text",
    ".yaml": "text",
    ".txt": "text",
    ".md": "text",
    ".csv": "text",
}
# Formats of which loaders make objects, and those that pack such files.
_MODELS = frozenset(
    (
        *(".pkl", ".pickle", ".p", ".dill", ".cloudpickle", ".joblib", ".sav", ".pt", ".pth"),
        *(".ptl", ".ckpt", ".h5", ".hdf5", ".keras", ".pb", ".onnx", ".safetensors", ".npy"),
        *(".npz", ".skops", ".gguf", ".tflite", ".mar", ".nemo", ".mlmodel", ".cbm", ".ubj"),
        *(".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".lzma", ".zst", ".7z", ".rar"),
        *(".whl", ".egg", ".jar"),
    )
)


def carries_a_model(name: str) -> bool:
    """Whether a file of this name is loaded as a model, or unpacked to get at one."""
    return PurePosixPath(name).suffix.lower() in _MODELS


def promised_format(name: str) -> str | None:
    """The format that the ending of a name promises, or None if it promises none."""
    return _PROMISES.get(PurePosixPath(name).suffix.lower())


def sniff(head: bytes) -> str | None:
    """Format that the first bytes tell plainly, or None."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[4:8] == b"TFL3":
        return "tflite"
    if head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
        return "tar"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image"
    if (
        len(head) > 16
        and head[2:4] == _PYC_MAGIC_END
        and 0x0A <= head[1] <= 0x0F
        and head[0] > 0x20
    ):
        return "machine-code"
    return None


def is_script(name: str, head: bytes) -> bool:
    """Whether a text is a program: by its first line, or as what its name would be run as."""
    return head.startswith(b"#!") or name.lower().endswith(_SCRIPT_ENDINGS)


def is_text(reader: Reader, limit: int) -> bool:
    """Whether everything up to `limit` bytes is UTF-8 without control characters."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while reader.offset < limit:
            data = reader.peek(1 << 16)
            if not data:
                decoder.decode(b"", final=True)
                return True
            reader.skip(len(data))
            decoder.decode(data)
            if _CONTROLS.search(data):
                return False
    except UnicodeDecodeError:
        return False
    return True
