"""Numbers of a model: no text is looked for in them, and everywhere around them it is."""

import io
import json
import pickle
from collections.abc import Callable

import joblib
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from tests.engines.scanning.scan_bytes import rules, scan

from strongroom.engines.scanning.reading import MalformedError, Reader

SECRET = b"\npassword = hu7nter" + b"2!x\n"
NOISE = np.frombuffer(SECRET * 600, np.uint8)


def _safetensors(noise: np.ndarray, note: str) -> bytes:
    size = noise.nbytes
    entry = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    header = json.dumps({"__metadata__": {"note": note}, "w": entry}).encode()
    return len(header).to_bytes(8, "little") + header + noise.tobytes()


def _onnx(noise: np.ndarray, note: str) -> bytes:
    tensor = numpy_helper.from_array(noise, "w")
    graph = onnx.helper.make_graph([], "g", [], [], [tensor], doc_string=note)
    return bytes(onnx.helper.make_model(graph).SerializeToString())


def _joblib(noise: np.ndarray, note: str) -> bytes:
    buffer = io.BytesIO()
    joblib.dump([noise, note, noise[:9]], buffer)
    return buffer.getvalue()


def _npy(noise: np.ndarray, note: str) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([note] * 99) if note else noise)
    return buffer.getvalue()


MADE: dict[str, Callable[[np.ndarray, str], bytes]] = {
    "m.safetensors": _safetensors,
    "m.onnx": _onnx,
    "m.joblib": _joblib,
    "m.npy": _npy,
}


@pytest.mark.parametrize("name", MADE)
def test_texts_are_looked_for_beside_numbers_only(name: str) -> None:
    assert scan(MADE[name](NOISE, ""), name).findings == ()
    beside = scan(MADE[name](NOISE, SECRET.decode()), name)
    assert rules(beside) == {"SR-SEC-001"}
    (first, *_) = beside.findings
    assert first.offset is not None
    data = MADE[name](NOISE, SECRET.decode())
    width = 4 if name == "m.npy" else 1
    at = data[first.offset : first.offset + 4 * width].replace(b"\0", b"")
    assert at in SECRET or at.startswith(b"hu7n")


def test_small_arrays_are_looked_into() -> None:
    small = NOISE[: 5 * len(SECRET)]
    assert rules(scan(_safetensors(small, ""), "m.safetensors")) == {"SR-SEC-001"}


def test_behind_numbers_the_search_goes_on() -> None:
    buffer = io.BytesIO()
    joblib.dump({"a": NOISE, "b": NOISE, "note": SECRET.decode()}, buffer)
    assert rules(scan(buffer.getvalue(), "m.joblib")) == {"SR-SEC-001"}
    assert rules(scan(pickle.dumps(SECRET.decode()), "m.pkl")) == {"SR-SEC-001"}


def test_numbers_that_are_not_there_are_no_numbers() -> None:
    data = _safetensors(np.zeros(5 << 20, np.uint8), "")
    report = scan(data[:-1], "m.safetensors")
    assert rules(report) == {"SR-STS-001"}
    reader = Reader(io.BytesIO(bytes(3 << 20)))
    with pytest.raises(MalformedError):
        reader.skip_numbers((3 << 20) + 1)
    assert reader.numbers == []


def test_jumping_comes_out_where_reading_does() -> None:
    data = bytes(range(256)) * (3 << 13)
    reader = Reader(io.BytesIO(data))
    assert reader.take(5) == data[:5]
    reader.skip((5 << 20) + 3)
    assert reader.offset == (5 << 20) + 8
    assert reader.take(9) == data[reader.offset - 9 : reader.offset]
    reader.skip(len(data) - reader.offset)
    assert reader.peek(1) == b""
