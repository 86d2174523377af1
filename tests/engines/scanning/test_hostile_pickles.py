"""Hostile pickles, built by hand from opcodes or by the pickler itself.

None is ever loaded. Shapes follow what is published on attacks on pickles: each gadget stands for
its class, in every way in which a program can name and call it.
"""

import builtins
import bz2
import functools
import gzip
import importlib
import io
import lzma
import operator
import os
import pickle
import runpy
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from tests.engines.scanning.scan_bytes import assert_malicious, rules, scan

from strongroom.engines.scanning.findings import Verdict

SYSTEM = b"cos\nsystem\n(S'id'\ntR."


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable[..., Any], *args: object) -> None:
        self.function = function
        self.args = args

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.function, self.args


def short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


def stack_global(module: str, name: str) -> bytes:
    return short(module) + short(name) + b"\x93"


def call_0(module: str, name: str, *args: str) -> bytes:
    values = b"".join(b"V" + arg.encode() + b"\n" for arg in args)
    return f"c{module}\n{name}\n".encode() + b"(" + values + b"tR."


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "call",
    [
        Calls(os.system, "id"),
        Calls(subprocess.Popen, ["id"]),
        Calls(subprocess.check_output, "id"),
        Calls(builtins.eval, "1"),
        Calls(builtins.exec, "1"),
        Calls(builtins.compile, "1", "", "exec"),
        Calls(builtins.__import__, "os"),
        Calls(builtins.open, "/etc/passwd"),
        Calls(importlib.import_module, "os"),
        Calls(runpy.run_path, "x.py"),
        Calls(operator.methodcaller, "system", "id"),
        Calls(operator.attrgetter, "system"),
        Calls(functools.partial, os.system, "id"),
        Calls(functools.reduce, getattr, ["x"]),
        Calls(map, eval, ["1"]),
        Calls(pickle.loads, b"x"),
        Calls(np.load, "x.npy"),
        Calls(np.save, "x.npy", 1),
        Calls(np.fromfile, "x"),
        Calls(np.memmap, "x"),
        Calls(np.genfromtxt, "x"),
        Calls(np.testing.runstring, "1", {}),
        Calls(pd.eval, "1"),
        Calls(pd.read_pickle, "x"),
        Calls(pd.read_csv, "x"),
        Calls(joblib.load, "x"),
        Calls(joblib.Memory, "x"),
    ],
)
def test_gadgets_in_every_protocol(call: Calls, protocol: int) -> None:
    report = assert_malicious(pickle.dumps(call, protocol))
    assert all(finding.offset is not None for finding in report.findings)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("__builtin__", "eval"),
        ("builtins", "exec"),
        ("commands", "getoutput"),
        ("subprocess", "call"),
        ("pty", "spawn"),
        ("socket", "create_connection"),
        ("webbrowser", "open"),
        ("runpy", "_run_code"),
        ("timeit", "timeit"),
        ("cProfile", "run"),
        ("pdb", "run"),
        ("code", "interact"),
        ("ctypes", "CDLL"),
        ("marshal", "loads"),
        ("types", "CodeType"),
        ("sys", "modules"),
        ("shutil", "rmtree"),
        ("urllib.request", "urlretrieve"),
        ("torch", "load"),
        ("torch.hub", "load"),
        ("numpy.f2py.crackfortran", "myeval"),
        ("pandas.io.pickle", "read_pickle"),
        ("pandas.core.computation.eval", "eval"),
        ("sklearn.utils", "os.system"),
        ("logging.config", "_resolve"),
        ("asyncio.unix_events", "subprocess.Popen"),
    ],
)
def test_names_that_are_attacks(module: str, name: str) -> None:
    assert_malicious(call_0(module, name, "x"))
    assert_malicious(b"\x80\x04" + stack_global(module, name) + short("x") + b"\x85R.")


@pytest.mark.parametrize(
    ("program", "rule_id"),
    [
        pytest.param(b"(S'id'\nios\nsystem\n.", "SR-PKL-001", id="INST"),
        pytest.param(b"(cos\nsystem\nS'id'\no.", "SR-PKL-001", id="OBJ"),
        pytest.param(
            b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85\x81.", "SR-PKL-001", id="NEWOBJ"
        ),
        pytest.param(
            b"\x80\x04" + stack_global("os", "system") + b")}\x92.", "SR-PKL-001", id="NEWOBJ_EX"
        ),
        pytest.param(
            b"\x80\x04" + short("os") + b"\x940" + short("system") + b"\x940h\x00h\x01\x93)R.",
            "SR-PKL-001",
            id="names from the memo",
        ),
        pytest.param(
            b"\x80\x04" + short("os") + b"q\xff0" + short("system") + b"h\xff20\x93." , None,
            id="STACK_GLOBAL from strange places",
        ),
        pytest.param(
            b"\x80\x04" + stack_global("builtins", "str") + short("os") + b"\x85R"
            + short("system") + b"\x93)R.",
            "SR-PKL-006",
            id="module name computed by a call",
        ),
        pytest.param(
            b"\x80\x04" + stack_global("builtins", "getattr")
            + stack_global("sklearn.base", "BaseEstimator") + short("__init__.__globals__")
            + b"\x86R.",
            "SR-PKL-001",
            id="getattr into globals",
        ),
        pytest.param(
            b"\x80\x04" + stack_global("sklearn.base", "warnings.sys.modules") + b".",
            "SR-PKL-001",
            id="dotted walk through a module",
        ),
        pytest.param(
            b"cos\nsystem\n(S'id'\nt\x81.", "SR-PKL-001", id="NEWOBJ without PROTO",
        ),
        pytest.param(
            b"\x80\x02csklearn.svm._classes\nSVC\nN}X\x01\x00\x00\x00xK\x01s\x86b.", "SR-PKL-007",
            id="BUILD on a class",
        ),
        pytest.param(b"\x80\x02csys\nmodules\nX\x02\x00\x00\x00osK\x01s.", "SR-PKL-007",
                     id="SETITEM on a global"),
        pytest.param(b"\x80\x02csklearn.svm._classes\nSVC\nK\x01a.", "SR-PKL-007",
                     id="APPEND on a global"),
        pytest.param(b"\x80\x04\x8e" + struct.pack("<Q", 2_003) + b"\x80\x04"
                     + stack_global("os", "system") + short("x" * 200) + b"\x85R."
                     + b"0" * (2_003 - 223) + b".", "SR-PKL-001", id="pickle in a bytes value"),
        pytest.param(b"N." + SYSTEM, "SR-PKL-001", id="second stream behind an honest one"),
        pytest.param(pickle.dumps({"a": 1}) + pickle.dumps([1]) + SYSTEM, "SR-PKL-001",
                     id="third stream"),
        pytest.param(SYSTEM[:-1], "SR-PKL-001", id="STOP cut off, the call stands"),
        pytest.param(b"cos\nsystem\n(S'id'\ntR" + b"\xff" * 50, "SR-PKL-001",
                     id="garbage behind the call"),
        pytest.param(b"I00\n0" + SYSTEM, "SR-PKL-001", id="noise before"),
        pytest.param(b"\x80\x02N0\x80\x00c__builtin__\neval\n(S'1'\ntR.", "SR-PKL-001",
                     id="protocol changes midway"),
        pytest.param(b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00cos\nsystem\n)R.", "SR-PKL-001",
                     id="opcodes beyond their frame"),
        pytest.param(b"\x80\x02" + call_0("cloudpickle.cloudpickle", "loads", "x"), None,
                     id="cloudpickle"),
        pytest.param(b"\x80\x02\x82\x01.", None, id="EXT1"),
        pytest.param(b"\x80\x05\x97.", None, id="NEXT_BUFFER"),
        pytest.param(b"\x80\x02K\x01Q.", None, id="BINPERSID"),
    ],
)  # fmt: skip
def test_programs_by_hand(program: bytes, rule_id: str | None) -> None:
    report = scan(program)
    assert report.verdict is not Verdict.CLEAN
    if rule_id is not None:
        assert rule_id in rules(report), report.findings
        assert report.verdict is Verdict.MALICIOUS


def test_words_say_what_is_called_with_what() -> None:
    finding = scan(SYSTEM).findings[0]
    assert finding.says.startswith("calls `os.system('id')`")
    assert finding.rule.atlas.startswith("AML.T")


@pytest.mark.parametrize("text", [b"os", b"\\x6fs", b"\\157s", b"'os'"])
def test_names_through_escapes(text: bytes) -> None:
    quoted = text if text.startswith(b"'") else b"'" + text + b"'"
    program = b"S" + quoted + b"\nS'system'\n\x93)R."
    assert_malicious(b"\x80\x04" + program, "SR-PKL-001")


def test_unknown_class_goes_to_a_person_not_to_the_police() -> None:
    class Mine:
        pass

    Mine.__module__, Mine.__qualname__ = "clinic.models", "Mine"
    report = scan(b"\x80\x04" + stack_global("clinic.models", "Mine") + b")\x81}b.")
    assert report.verdict is Verdict.REVIEW
    assert rules(report) == {"SR-PKL-004"}


def test_allowed_name_in_an_unknown_use_goes_to_a_person() -> None:
    program = b"\x80\x04" + stack_global("numpy", "ndarray") + short("x") + b"\x85R."
    report = scan(program)
    assert report.verdict is Verdict.REVIEW
    assert rules(report) == {"SR-PKL-005"}


def test_function_kept_as_an_attribute_counts() -> None:
    vectorizer = CountVectorizer(tokenizer=os.system)
    assert_malicious(pickle.dumps(vectorizer), "SR-PKL-001")


@pytest.mark.parametrize("tool", [getattr, functools.partial(getattr, str), functools.partial])
def test_a_tool_of_the_protocol_kept_for_later(tool: Callable[..., Any]) -> None:
    report = scan(pickle.dumps(CountVectorizer(tokenizer=tool)))
    assert report.verdict is Verdict.REVIEW
    assert rules(report) == {"SR-PKL-005"}


def test_vectorizer_that_opens_what_a_request_names() -> None:
    report = scan(pickle.dumps(CountVectorizer(input="filename")))
    assert "SR-PKL-014" in rules(report)
    assert report.verdict is Verdict.REVIEW


def test_code_in_the_state_of_a_distribution() -> None:
    distribution = scipy.stats.norm()
    clean = scan(pickle.dumps(distribution))
    assert clean.verdict is Verdict.CLEAN, clean.findings
    distribution.dist._parse_arg_template += "\nimport os"
    assert_malicious(pickle.dumps(distribution), "SR-PKL-001")


@pytest.mark.parametrize(
    "compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)]
)
def test_joblib_before_and_behind_an_array(compress: object) -> None:
    for value in ([np.ones(1000), Calls(os.system, "id")], [Calls(os.system, "id"), np.ones(9)]):
        buffer = io.BytesIO()
        joblib.dump(value, buffer, compress=compress)
        assert_malicious(buffer.getvalue(), "SR-PKL-001")


def test_joblib_object_array() -> None:
    buffer = io.BytesIO()
    joblib.dump(np.array([Calls(os.system, "id"), 1], dtype=object), buffer)
    assert_malicious(buffer.getvalue(), "SR-PKL-001")


def test_joblib_structured_object_array() -> None:
    buffer = io.BytesIO()
    array = np.empty(1, dtype=[("a", "i4"), ("b", object)])
    array[0] = (1, Calls(os.system, "id"))
    joblib.dump(array, buffer)
    assert_malicious(buffer.getvalue(), "SR-PKL-001")


def test_array_bytes_that_are_opcodes_to_the_plain_reader() -> None:
    buffer = io.BytesIO()
    joblib.dump(np.frombuffer(SYSTEM.ljust(64, b"."), dtype=np.uint8), buffer)
    data = bytearray(buffer.getvalue())
    # Without alignment bytes the array begins right behind the BUILD, as for a plain unpickler.
    key = data.index(b"numpy_array_alignment_bytes")
    start = data.index(b"cos\nsystem")
    tail = data.index(b"K\x10", key)
    data[tail : tail + 2] = b"NN"
    patched = bytes(data[:tail]) + b"N" + bytes(data[tail + 2 : data.index(b"b", tail) + 1])
    frame_at = patched.index(b"\x95")
    frame = len(patched) - frame_at - 9
    patched = patched[: frame_at + 1] + struct.pack("<Q", frame) + patched[frame_at + 9 :]
    report = scan(patched + bytes(data[start:]))
    assert report.verdict is Verdict.MALICIOUS
    assert any("instead of joblib" in finding.says for finding in report.findings)


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress, bz2.compress, lzma.compress])
def test_compressed_pickle_without_a_name(pack: Callable[[bytes], bytes]) -> None:
    report = assert_malicious(pack(SYSTEM), "SR-PKL-001", "notes.txt")
    assert "!/" in report.findings[0].file


def test_inside_archives() -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a/readme.txt", "hello")
        archive.writestr("a/model.txt", SYSTEM)
    assert_malicious(zipped.getvalue(), "SR-PKL-001")
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w:gz") as tar:
        info = tarfile.TarInfo("inner.zip")
        info.size = len(zipped.getvalue())
        tar.addfile(info, io.BytesIO(zipped.getvalue()))
    assert_malicious(tarred.getvalue(), "SR-PKL-001")


def test_torch_archive() -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("m/data.pkl", SYSTEM)
        archive.writestr("m/version", "3\n")
        archive.writestr("m/data/0", b"\x00" * 64)
    assert_malicious(data.getvalue(), "SR-PKL-001")


def test_object_arrays_of_numpy() -> None:
    array = np.array([Calls(os.system, "id")], dtype=object)
    single, several = io.BytesIO(), io.BytesIO()
    np.save(single, array)
    np.savez_compressed(several, a=np.ones(3), b=array)
    assert_malicious(single.getvalue(), "SR-PKL-001")
    assert_malicious(several.getvalue(), "SR-PKL-001")


def test_hidden_in_front_of_a_tar() -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(SYSTEM.decode("latin-1").replace("\n", "\n")), io.BytesIO())
    assert_malicious(data.getvalue(), "SR-PKL-001")


def test_pickle_in_front_of_a_zip() -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.txt", "hello")
    assert_malicious(pickle.dumps(Calls(os.system, "id")) + zipped.getvalue(), "SR-PKL-001")


CANARY: list[int] = []


def canary() -> None:
    """Would leave a trace if a scan ran it."""
    CANARY.append(1)


@pytest.mark.parametrize("protocol", range(6))
def test_a_canary_in_the_file_does_not_fire(protocol: int) -> None:
    import __main__

    __main__.canary = canary  # so that the pickler can name it
    canary.__module__, canary.__qualname__ = "__main__", "canary"
    data = pickle.dumps([Calls(canary), LogisticRegression()], protocol)
    report = scan(data)
    assert report.verdict is Verdict.REVIEW
    assert CANARY == []
    pickle.loads(data)
    assert CANARY.pop() == 1  # it would have fired


@pytest.mark.parametrize("command", ["id", "id" * 200])
def test_a_pickle_in_a_bytes_value_however_short(command: str) -> None:
    inner = b"\x80\x02cos\nsystem\n" + pickle.dumps((command,), 2)[2:-1] + b"R."
    for protocol in (3, 4, 5):
        assert_malicious(pickle.dumps({"kept": inner}, protocol))
