"""Formats that hold data only, recognised by content and checked."""

import io
import json
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.engines.scanning.made_files import hdf5
from tests.engines.scanning.scan_bytes import (
    assert_clean,
    assert_malicious,
    rules,
    scan,
    scan_folder,
)

from strongroom.engines.scanning.findings import Verdict
from strongroom.engines.scanning.reading import LimitError
from strongroom.engines.scanning.weights import load_json

# ---- ONNX ----


def onnx_model(*, domain: str = "", location: str = "") -> bytes:
    node = helper.make_node("Add", ["x", "w"], ["y"], domain=domain)
    weight = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    if location:
        weight.ClearField("float_data")
        weight.data_location = TensorProto.EXTERNAL
        entry = weight.external_data.add()
        entry.key, entry.value = "location", location
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        [weight],
    )
    imports = [helper.make_opsetid("", 20)]
    if domain:
        imports.append(helper.make_opsetid(domain, 1))
    data: bytes = helper.make_model(graph, opset_imports=imports).SerializeToString()
    return data


def test_onnx_is_recognised_whatever_its_name() -> None:
    report = scan(onnx_model(), "notes.txt")
    assert (report.verdict, report.files[0].format) == (Verdict.CLEAN, "onnx")
    assert report.data_only


@pytest.mark.parametrize("location", ["../../etc/passwd", "/etc/passwd", "a/../../b", "C:\\x"])
def test_onnx_data_outside_the_folder(location: str) -> None:
    assert_malicious(onnx_model(location=location), "SR-ONX-001")


def test_onnx_data_beside_it() -> None:
    report = scan_folder({"m/model.onnx": onnx_model(location="w.bin")})
    assert rules(report) == {"SR-ONX-004"}
    weights = io.BytesIO()
    np.save(weights, np.ones(2))
    report = scan_folder({"m/model.onnx": onnx_model(location="w.bin"), "m/w.bin": b"text"})
    assert report.verdict is Verdict.CLEAN


def test_onnx_operators_of_a_library() -> None:
    report = scan(onnx_model(domain="evil.ops"))
    assert rules(report) == {"SR-ONX-002"}
    assert report.verdict is Verdict.REVIEW
    assert_clean(onnx_model(domain="com.microsoft"))


def test_onnx_graph_in_an_attribute() -> None:
    inner = onnx.load_model_from_string(onnx_model(location="../x")).graph
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    graph = helper.make_graph([node], "g", [], [])
    assert_malicious(helper.make_model(graph).SerializeToString(), "SR-ONX-001")


def test_truncated_onnx_blocks() -> None:
    data = onnx_model()
    assert all(scan(data[:n]).verdict is not Verdict.CLEAN for n in range(5, len(data), 3))


# ---- safetensors ----


def safetensors(header: object, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


GOOD = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "__metadata__": {"k": "v"}}


def test_safetensors() -> None:
    report = assert_clean(safetensors(GOOD, bytes(8)))
    assert (report.files[0].format, report.data_only) == ("safetensors", True)


@pytest.mark.parametrize(
    ("header", "data"),
    [
        (GOOD, bytes(7)),
        (GOOD, bytes(9)),
        ({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}, bytes(8)),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}, bytes(12)),
        ({"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}, bytes(8)),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], "x": 1}}, bytes(8)),
        ({"__metadata__": {"k": 1}}, b""),
        (b'{"a":1,"a":2}', b""),
        (b"{" * 5000, b""),
    ],
)
def test_malformed_safetensors(header: object, data: bytes) -> None:
    report = scan(safetensors(header, data))
    assert rules(report) == {"SR-STS-001"}
    assert report.verdict is Verdict.UNREADABLE


# ---- GGUF ----


def gguf(**pairs: str) -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    body = b"".join(text(key) + struct.pack("<I", 8) + text(value) for key, value in pairs.items())
    array = text("tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b")
    number = text("n") + struct.pack("<II", 4, 7)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs) + 2) + body + array + number + bytes(64)


def test_gguf_templates() -> None:
    honest = "{% for m in messages %}{{ m['role'] }}: {{ m.content|trim }}{% endfor %}"
    assert_clean(gguf(**{"tokenizer.chat_template": honest}))
    for bad in (
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ x|attr('__class__') }}",
        "{{ ''['__class__'] }}",
        "{{ lipsum }}",
    ):
        assert_malicious(gguf(**{"tokenizer.chat_template": bad}), "SR-GUF-002")
        assert_malicious(gguf(**{"tokenizer.chat_template.tool": bad}), "SR-GUF-002")


def test_truncated_gguf_blocks() -> None:
    data = gguf(name="x")
    report = scan(data[:40])
    assert rules(report) == {"SR-GUF-001"}


# ---- NumPy ----


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", bytes(15)),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", bytes(17)),
        ("{'descr': 'evil', 'fortran_order': False, 'shape': (2,)}", bytes(16)),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (-2,)}", bytes(16)),
        ("{'descr': '<f8', 'fortran_order': False}", bytes(16)),
        ("__import__('os').system('id')", b""),
        ("(" * 100, b""),
    ],
)
def test_malformed_arrays(header: str, data: bytes) -> None:
    report = scan(npy(header, data))
    assert rules(report) == {"SR-NPY-001"}
    assert report.verdict is Verdict.UNREADABLE


# ---- Keras, torch, others ----


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), data)
    return buffer.getvalue()


def keras(config: dict[str, Any]) -> bytes:
    return zipped(
        config_dot_json=json.dumps(config).encode(),
        metadata_dot_json=b"{}",
        model_dot_weights_dot_h5=hdf5(),
    )


def test_keras() -> None:
    honest = {"class_name": "Sequential", "module": "keras", "config": {"layers": []}}
    assert_clean(keras(honest))
    layer = {"class_name": "Lambda", "module": "keras.layers", "config": {}}
    assert_malicious(keras({**honest, "config": {"layers": [layer]}}), "SR-KER-001")
    foreign = {"class_name": "system", "module": "os"}
    assert_malicious(keras({**honest, "config": {"layers": [foreign]}}), "SR-KER-001")


def test_torch_archives() -> None:
    program = (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n"
        b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02"
        b"tQK\x00K\x02\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR."
    )
    weights = zipped(m__data_dot_pkl=program, m__version=b"3\n", m__data__0=bytes(8))
    report = scan(weights)
    assert (report.verdict, report.files[0].format) == (Verdict.CLEAN, "torch")
    script = zipped(
        m__data_dot_pkl=program,
        m__version=b"3\n",
        m__code__x_dot_py=b"def f():\n  ops.mine.run()\n",
    )
    assert "SR-TOR-001" in rules(scan(script))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x7fELF" + bytes(99), "weights.bin"),
        (b"MZ" + bytes(99), "weights.bin"),
        (b"#!/bin/sh\nid\n", "notes"),
        (b"import os\n", "loader.py"),
    ],
)
def test_programs_need_a_person(data: bytes, name: str) -> None:
    report = scan(data, name)
    assert rules(report) == {"SR-FMT-002"}
    assert report.verdict is Verdict.REVIEW


def test_unknown_formats_need_a_person() -> None:
    report = scan(bytes(range(1, 200)) * 5)
    assert rules(report) == {"SR-FMT-001"}


def test_plain_files() -> None:
    for name, data in {
        "README.md": b"# A model\n",
        "metrics.json": b'{"auc": 0.9}',
        "plot.png": b"\x89PNG\r\n\x1a\n" + bytes(50),
        "table.csv": b"a,b\n1,2\n",
        "long.txt": b"x^2 + y\n" * 100_000,
    }.items():
        assert_clean(data, name)


def test_nothing_to_scan_is_no_pass() -> None:
    assert scan_folder({}).verdict is Verdict.UNREADABLE
    assert scan(b"", "model").verdict is Verdict.UNREADABLE


MODEL_ENDINGS = (
    *("pkl", "pickle", "p", "dill", "cloudpickle", "joblib", "sav", "pt", "pth", "ckpt", "h5"),
    *("hdf5", "keras", "pb", "onnx", "safetensors", "npy", "npz", "skops", "gguf", "tflite"),
    *("mar", "nemo", "zip", "tar", "gz", "bz2", "xz", "whl"),
)


@pytest.mark.parametrize("ending", MODEL_ENDINGS)
def test_an_empty_or_broken_off_model_is_no_pass(ending: str) -> None:
    """Whatever is put in its place after the scan would else come in under a passed name."""
    name = f"model.{ending}"
    empty = scan_folder({name: b"", "notes.txt": b"x"})
    assert empty.verdict is Verdict.UNREADABLE
    assert "SR-FMT-004" in rules(empty)
    begun = (b"\x80", b"\x80\x04", b"PK\x03\x04", b"\x93NUMPY", b"GGUF", b"\x1f\x8b", bytes(8))
    for data in begun:
        assert scan(data, name).verdict in {Verdict.UNREADABLE, Verdict.MALICIOUS}, data


def test_what_may_be_empty_may_be_empty() -> None:
    names = ("__init__.py", "requirements.txt", "code/.gitkeep", "LICENSE", "conda.yaml")
    assert "SR-FMT-004" not in rules(scan_folder({"x.md": b"x", **dict.fromkeys(names, b"")}))


# ---- skops ----


def skops_file(node: dict[str, Any]) -> bytes:
    return zipped(schema_dot_json=json.dumps({**node, "protocol": 2}).encode())


@pytest.mark.parametrize(
    ("node", "verdict"),
    [
        ({"__loader__": "FunctionNode", "__module__": "os", "__class__": "system"}, "malicious"),
        (
            {
                "__loader__": "OperatorFuncNode",
                "__module__": "operator",
                "__class__": "methodcaller",
            },
            "malicious",
        ),
        ({"__loader__": "ObjectNode", "__module__": "clinic", "__class__": "Model"}, "review"),
        ({"__loader__": "MethodNode", "__module__": "x.y", "__class__": "Z"}, "review"),
        ({"__loader__": "NewNode", "__module__": "builtins", "__class__": "str"}, "review"),
        ({"__loader__": "ObjectNode", "__module__": 3, "__class__": "Model"}, "unreadable"),
    ],
)
def test_skops_types(node: dict[str, Any], verdict: str) -> None:
    inner = {"__loader__": "ListNode", "__module__": "builtins", "__class__": "list"}
    for schema in (node, {**inner, "content": [node]}):
        assert str(scan(skops_file(schema)).verdict) == verdict


def test_skops_of_a_later_protocol_is_unreadable() -> None:
    data = zipped(schema_dot_json=b'{"__loader__": "JsonNode", "protocol": 99}')
    report = scan(data)
    assert rules(report) == {"SR-SKP-002"}


def test_names_that_some_disks_take_for_one() -> None:
    composed, decomposed = "\u00e9.txt", "e\u0301.txt"
    for first, second in ((composed, decomposed), ("a/Model.txt", "a/model.txt")):
        report = scan_folder({first: b"one", second: b"two"})
        (found,) = report.findings
        assert (found.rule_id, found.file) == ("SR-FMT-008", second)
        assert report.verdict is Verdict.REVIEW
    assert scan_folder({"a/model.txt": b"one", "b/model.txt": b"two"}).findings == ()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("Readme.txt", "one")
        archive.writestr("README.txt", "two")
    assert rules(scan(buffer.getvalue(), "a.zip")) == {"SR-FMT-008"}


# ---- rows of the training table ----


def test_rows_in_tensors_by_their_name() -> None:
    entry = {"dtype": "F32", "shape": [1200, 3], "data_offsets": [0, 14_400]}
    report = scan(safetensors({"model.support_vectors_": entry}, bytes(14_400)))
    (finding,) = report.findings
    assert (finding.rule_id, finding.subject) == ("SR-PII-003", "support_vectors_")
    assert "keeps 1,200 rows of 3 columns" in finding.says
    assert_clean(safetensors({"encoder.weight": entry}, bytes(14_400)))
    few = {"dtype": "F32", "shape": [12, 3], "data_offsets": [0, 144]}
    assert_clean(safetensors({"_fit_X": few}, bytes(144)))


def gguf_tensor(name: str, *lengths: int) -> bytes:
    key = struct.pack("<Q", len(name)) + name.encode()
    shape = struct.pack(f"<I{len(lengths)}QIQ", len(lengths), *lengths, 0, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + key + shape
    return head + bytes(-len(head) % 32 + 4 * int(np.prod(lengths)))


def test_rows_in_gguf() -> None:
    report = scan(gguf_tensor("X_train_", 3, 1200))  # the fastest dimension stands first
    (finding,) = report.findings
    assert finding.rule_id == "SR-PII-003"
    assert "keeps 1,200 rows of 3 columns" in finding.says
    assert_clean(gguf_tensor("blk.0.ffn_up.weight", 3, 1200))


def kept_in_onnx(rows: int) -> bytes:
    """A comparison with every row of a table, as converters write neighbours' models."""
    table = helper.make_tensor(
        "rows", TensorProto.FLOAT, [rows, 3], np.zeros(rows * 3, np.float32).tobytes(), raw=True
    )
    nodes = [
        helper.make_node("CDist", ["x", "rows"], ["d"], domain="com.microsoft"),
        helper.make_node("TopK", ["d", "k"], ["v", "i"]),
    ]
    shape = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])
    graph = helper.make_graph(nodes, "g", [shape], [], [table])
    return bytes(helper.make_model(graph).SerializeToString())


def machine_in_onnx(rows: int) -> bytes:
    node = helper.make_node(
        "SVMClassifier", ["x"], ["y"], domain="ai.onnx.ml",
        support_vectors=[0.5] * (3 * rows), vectors_per_class=[rows // 2, rows - rows // 2],
    )  # fmt: skip
    graph = helper.make_graph([node], "g", [], [])
    return bytes(helper.make_model(graph).SerializeToString())


@pytest.mark.parametrize("made", [kept_in_onnx, machine_in_onnx])
def test_rows_in_onnx(made: Callable[[int], bytes]) -> None:
    (finding,) = scan(made(1200), "m.onnx").findings
    assert finding.rule_id == "SR-PII-003"
    assert "keeps 1,200 rows of 3 columns" in finding.says
    assert_clean(made(20), "m.onnx")


@pytest.mark.parametrize(
    ("value", "count"),
    [(b"[]", 3_000_000), (b'{"a":1}', 1_200_000), (b"1", 6_000_000)],
    ids=["lists", "objects", "numbers"],
)
def test_json_of_too_many_values_is_not_held(value: bytes, count: int) -> None:
    with pytest.raises(LimitError):
        load_json(b"[" + b",".join([value] * count) + b"]")
    assert len(json.dumps(load_json(b"[" + b",".join([value] * 100) + b"]"))) > 100
