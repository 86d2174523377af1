"""Hashing, scanning and signing a model in one go, against plain hashing and the stock tool.

Processor time and wall time of the same files, alternating, each the median of five rounds. The
limit is SHA-256 over the files in as many threads as there are processors, nothing else. With
`PEERS_PYTHON` naming an interpreter that has `model_signing`, that signs them too.
"""

import hashlib
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from strongroom.engines.crypto.model_signature import (
    Manifest,
    Serialization,
    sign,
    verify_by_key,
)
from strongroom.engines.crypto.signing import SigningKey
from strongroom.engines.scanning.models import scan_files
from strongroom.faces.cli import model_folder
from strongroom.faces.cli.model_folder import OpenFiles

_ROUNDS = 5
_BLOCK = 1 << 20
_PEER = """
import json, sys, time, pathlib, model_signing
for line in sys.stdin:
    folder, key, out = json.loads(line)
    cpu, wall = time.process_time(), time.perf_counter()
    model_signing.signing.Config().use_elliptic_key_signer(
        private_key=pathlib.Path(key)).sign(pathlib.Path(folder), pathlib.Path(out))
    print(json.dumps([time.process_time() - cpu, time.perf_counter() - wall]), flush=True)
"""


def main() -> None:
    """Measure three shapes of models: one big file, a few large ones, many small ones."""
    with tempfile.TemporaryDirectory(prefix="strongroom-bench-") as name:
        base = Path(name)
        key = SigningKey.generate("ecdsa-p256")
        private = base / "key.pem"
        private.write_bytes(key.pem())
        for title, sizes in (
            ("one file of 512 MiB", [1 << 29]),
            ("8 files of 64 MiB", [1 << 26] * 8),
            ("20,000 files of 4 KiB", [1 << 12] * 20_000),
        ):
            folder = base / title.replace(" ", "-")
            _weights(folder, sizes)
            _shape(title, folder, key, private, base)
            for path in folder.iterdir():
                path.unlink()


def _weights(folder: Path, sizes: Sequence[int]) -> None:
    """Safetensors files: a header, and numbers."""
    folder.mkdir()
    for number, size in enumerate(sizes):
        header = {"w": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}
        for _ in range(2):  # the header's length is part of the size
            count = size - 8 - len(json.dumps(header))
            header["w"] |= {"shape": [count], "data_offsets": [0, count]}
        text = json.dumps(header).encode()
        with (folder / f"{number:05}.safetensors").open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            left = size - 8 - len(text)
            while left > 0:
                left -= file.write(os.urandom(min(left, _BLOCK)))


def _shape(title: str, folder: Path, key: SigningKey, private: Path, base: Path) -> None:
    signature = base / "ours.sig"
    runs: dict[str, Callable[[], tuple[float, float]]] = {
        "limit: SHA-256 in threads": lambda: _timed(lambda: _limit(folder)),
        "strongroom: hash and sign": lambda: _timed(
            lambda: _signed(folder, key, signature, scans=False)
        ),
        "strongroom: hash, scan and sign": lambda: _timed(
            lambda: _signed(folder, key, signature, scans=True)
        ),
        "strongroom: verify": lambda: _timed(lambda: _verified(folder, key, signature)),
    }
    peer = _peer()
    if peer is not None:
        runs["model_signing: hash and sign"] = lambda: _asked(peer, folder, private, base)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(_ROUNDS):
        for name, run in runs.items():
            found[name].append(run())
    if peer is not None and peer.stdin is not None:
        peer.stdin.close()
        peer.wait()
    total = sum(path.stat().st_size for path in folder.iterdir())
    limit = [
        statistics.median(one) for one in zip(*found["limit: SHA-256 in threads"], strict=True)
    ]
    print(f"\n{title}")
    for name, times in found.items():
        cpu = statistics.median(cpu for cpu, _ in times)
        wall = statistics.median(wall for _, wall in times)
        print(
            f"  {name:34} {cpu:7.3f} s CPU ({limit[0] / cpu:6.1%} of the limit) "
            f"{wall:7.3f} s wall ({limit[1] / wall:6.1%}), {total / cpu / 1e9:5.2f} GB/CPU-s"
        )


def _timed(run: Callable[[], object]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    run()
    return time.process_time() - cpu, time.perf_counter() - wall


def _limit(folder: Path) -> None:
    def digest(path: Path) -> str:
        hasher = hashlib.sha256()
        buffer = memoryview(bytearray(_BLOCK))
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                hasher.update(buffer[:count])
        return hasher.hexdigest()

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(digest, sorted(folder.iterdir())))


def _signed(folder: Path, key: SigningKey, signature: Path, *, scans: bool) -> None:
    how = Serialization(ignored=("model.sig",))
    found = model_folder.find(folder, how)

    def scan() -> None:
        with OpenFiles() as opened:
            report = scan_files([(file.path, partial(opened.look, file)) for file in found.files])
        assert report.verdict == "clean", report.reason()  # noqa: S101 # or it measures nothing

    resources = model_folder.hash_files(found.files, how, scan if scans else None)
    model_folder.require_unchanged(found.files)
    signature.write_bytes(sign(Manifest(found.name, tuple(resources), how), key))


def _verified(folder: Path, key: SigningKey, signature: Path) -> None:
    manifest = verify_by_key(signature.read_bytes(), key.verifying_key)
    found = model_folder.find(folder, manifest.serialization)
    resources = model_folder.hash_files(found.files, manifest.serialization)
    assert set(resources) == set(manifest.resources)  # noqa: S101 # or it measures nothing


def _peer() -> "subprocess.Popen[str] | None":
    python = os.environ.get("PEERS_PYTHON", "")
    if not python:
        return None
    return subprocess.Popen(
        [python, "-c", _PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _asked(
    peer: "subprocess.Popen[str]", folder: Path, private: Path, base: Path
) -> tuple[float, float]:
    assert peer.stdin is not None  # noqa: S101 # opened so
    assert peer.stdout is not None  # noqa: S101 # opened so
    request = [str(folder), str(private), str(base / "theirs.sig")]
    peer.stdin.write(json.dumps(request) + "\n")
    peer.stdin.flush()
    cpu, wall = json.loads(peer.stdout.readline())
    return cpu, wall
