"""torch's archives: checkpoints, whole modules, TorchScript, exported programs, old forms."""

import io
import json
import os
import pickle
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.engines.scanning.scan_bytes import assert_malicious, rules, scan

from strongroom.engines.scanning.findings import Verdict
from strongroom.engines.scanning.reading import MalformedError
from strongroom.engines.scanning.torchscript import check_exported_graph, check_torchscript


class Net(torch.nn.Module):  # type: ignore[misc] # torch is not looked into for types
    """A small network with a branch, for the compiler."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(3, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.last = torch.nn.LSTM(4, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the network gives."""
        y = torch.relu(self.norm(self.first(x)))
        if y.sum() > 0:
            y = y * 2
        z, _ = self.last(y[:, None])
        return torch.softmax(z, -1)


def saved(save: Callable[[Any, io.BytesIO], object], value: object) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save(value, buffer)
    return buffer.getvalue()


def legacy(value: object, buffer: io.BytesIO) -> None:
    torch.save(value, buffer, _use_new_zipfile_serialization=False)


def script(kind: str) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = Net().eval()
        module: Any = (
            torch.jit.script(net) if kind == "script" else torch.jit.trace(net, torch.ones(2, 3))
        )
        return saved(torch.jit.save, module)


def values() -> dict[str, object]:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.GELU(), torch.nn.LayerNorm(4))
    moment = {"step": torch.tensor(1.0), "exp_avg": torch.ones(4), "max": None}
    adam = {"state": {0: moment}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.99)}]}
    return {
        "state": model.state_dict(),
        "module": model,
        "checkpoint": {"model": model.state_dict(), "optimizer": adam, "epoch": 3},
        "transformer": torch.nn.TransformerEncoderLayer(4, 2, 8),
        "tensors": [torch.ones(2).bfloat16(), torch.eye(3).to_sparse(), torch.float32],
    }


@pytest.mark.parametrize("save", [torch.save, legacy], ids=["zip", "legacy"])
def test_honest_checkpoints(save: Callable[[Any, io.BytesIO], object]) -> None:
    for name, value in values().items():
        report = scan(saved(save, value), "model.pt")
        assert report.verdict is Verdict.CLEAN, (name, report.findings)
        assert report.files[0].format == ("torch" if save is torch.save else "torch-legacy")


@pytest.mark.parametrize("kind", ["script", "trace"])
def test_honest_torchscript(kind: str) -> None:
    report = scan(script(kind), "model.pt")
    assert report.verdict is Verdict.CLEAN, report.findings
    assert (report.files[0].format, report.data_only) == ("torchscript", False)


def test_attacks_in_every_form() -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, ("id",)

    for save in (torch.save, legacy):
        assert_malicious(saved(save, {"x": torch.ones(1), "e": Evil()}), "SR-PKL-001", "m.pt")


def changed(archive: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """A copy of a zip, its members changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("line", "rule_id"),
    [
        ('torch.save(x, "/etc/cron.d/x")', "SR-TOR-002"),
        ('y9 = torch.from_file("/etc/passwd")', "SR-TOR-002"),
        ('ops.aten.save(x, "f")', "SR-TOR-002"),
        ("y9 = ops.evil.run(x)", "SR-TOR-001"),
        ("y9 = ops.c10d.send(x)", "SR-TOR-001"),
        ("import os", "SR-TOR-001"),
        ("y9 = ^Mine()(x)", "SR-TOR-001"),
        ("y9 = = x", "SR-TOR-003"),
    ],
)
def test_what_code_may_call(line: str, rule_id: str) -> None:
    def insert(name: str, data: bytes) -> bytes:
        if b"class Net(Module)" not in data or not name.endswith(".py"):
            return data
        head, found, rest = data.partition(b"-> Tensor:\n")
        return head + found + b"    " + line.encode() + b"\n" + rest

    report = scan(changed(script_once(), insert))
    assert rule_id in rules(report), report.findings
    assert report.verdict is not Verdict.CLEAN


_SCRIPTS: list[bytes] = []


def script_once() -> bytes:
    if not _SCRIPTS:
        _SCRIPTS.append(script("script"))
    return _SCRIPTS[0]


def test_a_class_of_torchscript_is_known_there_only() -> None:
    program = b"\x80\x02c__torch__\nNet\n)\x81."
    assert rules(scan(program)) == {"SR-PKL-004"}

    def reach(name: str, data: bytes) -> bytes:
        return b"cos\nsystem\n(S'id'\ntR." if name.endswith("data.pkl") else data

    assert_malicious(changed(script_once(), reach), "SR-PKL-001")


def test_the_tar_of_old_torch() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            data = b"cos\nsystem\n(S'id'\ntR." if name == "storages" else pickle.dumps([1], 2)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    report = assert_malicious(buffer.getvalue(), "SR-PKL-001")
    assert report.files[0].format == "torch-tar"


def test_a_file_of_before_1_6_that_breaks_off() -> None:
    state = {f"layer{n}": torch.ones(40, dtype=torch.float64) for n in range(3)}
    state["half"] = torch.ones(7, dtype=torch.bfloat16)
    whole = saved(legacy, state)
    assert scan(whole, "m.pt").findings == ()
    for length in range(len(whole) - 1100, len(whole), 9):
        assert scan(whole[:length], "m.pt").verdict is Verdict.UNREADABLE, length
    assert rules(scan(whole + b"x", "m.pt")) == {"SR-PKL-012"}
    longer = whole.replace(struct.pack("<q", 40), struct.pack("<q", 1 << 40))
    assert rules(scan(longer, "m.pt")) == {"SR-PKL-010"}


def test_many_storages_of_before_1_6() -> None:
    # More keys than the machine keeps of one list.
    state = {str(n): torch.ones(n % 3 + 1, dtype=torch.float16) for n in range(600)}
    whole = saved(legacy, state)
    assert scan(whole, "m.pt").findings == ()
    assert rules(scan(whole[:-1], "m.pt")) == {"SR-PKL-010"}


def old_tar(**parts: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def old_parts() -> dict[str, bytes]:
    """A tensor of six floats as torch wrote it before 0.1.10, from its loader."""
    kind = torch.FloatStorage
    storages = pickle.dumps(1, 2) + pickle.dumps((11, "cpu", kind), 2)
    storages += struct.pack("<q", 6) + bytes(24) + pickle.dumps([], 2)
    tensors = pickle.dumps(1, 2) + pickle.dumps((12, 11, torch.FloatTensor), 2)
    tensors += struct.pack("<ii5q", 2, 0, 2, 3, 3, 1, 0)
    info, program = pickle.dumps({"protocol_version": 1000}, 2), b"\x80\x02}X\x01\0\0\0wP12\ns."
    return {"sys_info": info, "pickle": program, "storages": storages, "tensors": tensors}


def test_the_tar_of_old_torch_whole_and_broken_off() -> None:
    parts = old_parts()
    report = scan(old_tar(**parts), "m.pt")
    assert (report.findings, report.files[0].format) == ((), "torch-tar")
    for name in ("storages", "tensors"):
        for length in range(0, len(parts[name]), 3):
            cut = {**parts, name: parts[name][:length]}
            assert scan(old_tar(**cut), "m.pt").verdict is not Verdict.CLEAN, (name, length)
        more = {**parts, name: parts[name] + b"x"}
        assert rules(scan(old_tar(**more), "m.pt")) == {"SR-PKL-010"}


def exported(target: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("m/archive_format", "pt2")
        archive.writestr("m/archive_version", "0")
        archive.writestr("m/data/weights/weight_0", bytes(range(128, 192)))
        archive.writestr("m/models/model.json", json.dumps({"target": target}))
    return buffer.getvalue()


def test_exported_programs() -> None:
    report = scan(exported("torch.ops.aten.relu.default"), "model.pt2")
    assert (report.verdict, report.files[0].format) == (Verdict.CLEAN, "torch-export")
    assert rules(scan(exported("torch.ops.evil.run.default"))) == {"SR-TOR-001"}
    assert_malicious(exported("torch.ops.aten.from_file.default"), "SR-TOR-002")


def test_what_is_no_code_is_malformed() -> None:
    for data in (b"(" * 5000, b"\x00", b"def f(:", b"x = " + b"-" * 100_000 + b"1"):
        with pytest.raises(MalformedError):
            check_torchscript(data)
    with pytest.raises(MalformedError):
        check_exported_graph(b"{")
