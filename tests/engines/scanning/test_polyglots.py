"""Files that are two things at once, wrong names, and archives behind and within others."""

import bz2
import gzip
import io
import json
import struct
import zipfile
from typing import Literal

import numpy as np
import pyarrow as pa
import pytest
from tests.engines.scanning.made_files import hdf5, seven_zip, tflite
from tests.engines.scanning.samples import samples
from tests.engines.scanning.scan_bytes import assert_clean, assert_malicious, rules, scan

from strongroom.engines.scanning.findings import Verdict

PROGRAM = b"cos\nsystem\n(S'id'\ntR."


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(8.0))
    return buffer.getvalue()


def safetensors(data: bytes) -> bytes:
    span = {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}
    header = json.dumps({"a": span}).encode()
    return struct.pack("<Q", len(header)) + header + data


@pytest.mark.parametrize(
    "front",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        b"\x93NUMPY\x01\x00" + bytes(60),
        samples()["model.gguf"],
        samples()["catboost.cbm"],
        hdf5(),
    ],
    ids=["image", "npy", "gguf", "catboost", "hdf5"],
)
def test_a_zip_behind_another_format(front: bytes) -> None:
    assert_malicious(front + zipped(("a.txt", b"hello")), "SR-FMT-007")


def test_a_zip_within_the_data_of_weights() -> None:
    report = scan(safetensors(zipped(("x", PROGRAM))), "w.safetensors")
    assert report.verdict in {Verdict.MALICIOUS, Verdict.UNREADABLE}


def test_an_hdf5_file_within_the_data_of_weights() -> None:
    inner = hdf5(at=512)
    whole = safetensors(b"x" * 2000)
    hidden = whole[:512] + inner[512:] + whole[len(inner) :]
    assert_malicious(hidden, "SR-FMT-007")
    assert_clean(whole, "w.safetensors")


def test_labels_behind_a_lite_model_are_ordinary() -> None:
    model = tflite("FlexErf")
    buffer = io.BytesIO(model)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("labels.txt", "cat\ndog\n")
    assert_clean(buffer.getvalue(), "m.tflite")
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("x", PROGRAM)
    assert_malicious(buffer.getvalue(), "SR-PKL-001", "m.tflite")


def test_whatever_it_is_called() -> None:
    for name in ("weights.safetensors", "model.onnx", "picture.png", "notes.txt", "x.h5", "x"):
        assert_malicious(PROGRAM, "SR-PKL-001", name)
    for name in ("model.json", "model.onnx"):
        assert "SR-FMT-003" in rules(scan(npy(), name))


def pack_lz4(data: bytes) -> bytes:
    return packed(data, "lz4")


def pack_zstd(data: bytes) -> bytes:
    return packed(data, "zstd")


def packed(data: bytes, codec: Literal["lz4", "zstd"]) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(data)
    return bytes(sink.getvalue().to_pybytes())


def test_archives_in_archives_of_every_kind() -> None:
    data = PROGRAM
    for wrap in (
        lambda inner: zipped(("a", inner)),
        lambda inner: seven_zip([("b", inner)]),
        lambda inner: gzip.compress(inner, mtime=0),
        pack_zstd,
        pack_lz4,
        bz2.compress,
    ):
        data = wrap(data)
        assert_malicious(data, "SR-PKL-001")


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_broken_streams(codec: Literal["lz4", "zstd"]) -> None:
    whole = packed(b"hello world\n" * 200, codec)
    assert_clean(whole)
    for data in (whole[:-9], whole[:20], whole + b"more"):
        assert scan(data).verdict is Verdict.UNREADABLE
