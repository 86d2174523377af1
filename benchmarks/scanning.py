"""Scanning models against picklescan, modelscan and fickling, on the same files.

In process: the median CPU milliseconds of each file. As commands: CPU seconds (user and system) of
the whole child, ours and the peers', one after the other in each round. Peers run where
`PEERS_PYTHON` names the interpreter of an environment that has them. Files caught and files flagged
are counted by exit code.
"""

import io
import os
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from tests.engines.scanning.made_files import hdf5, hdf5_link, node, saved_model, seven_zip
from tests.engines.scanning.samples import samples

from strongroom.engines.scanning.models import scan_files
from strongroom.services.models.spotting import knowledge

ROUNDS = 3
LARGE_ITEMS = 1_200_000
LONGEST_RUN_SECONDS = 120
OVER_TIME = 124
_PROGRAM = b"cos\nsystem\n(S'id'\ntR."
PEERS: Mapping[str, tuple[str, ...]] = {
    "picklescan": ("-c", "import sys; from picklescan.cli import main; sys.exit(main())", "-p"),
    "modelscan": ("-c", "from modelscan.cli import main; main()", "-p"),
    "fickling": ("-m", "fickling", "--check-safety"),
}


def honest() -> dict[str, bytes]:
    """Files that libraries wrote."""
    x, y = load_breast_cancer(return_X_y=True)
    models = {
        "logistic.pkl": LogisticRegression(max_iter=5000).fit(x, y),
        "boosting.pkl": GradientBoostingClassifier().fit(x, y),
        "forest.pkl": RandomForestClassifier(50).fit(x, y),
    }
    files = {name: pickle.dumps(model) for name, model in models.items()}
    buffer = io.BytesIO()
    joblib.dump(models["forest.pkl"], buffer, compress=3)
    return {**files, "forest.joblib": buffer.getvalue(), **samples()}


def hostile() -> dict[str, bytes]:
    """The same small attack in many wrappings, and attacks of other formats."""
    array = io.BytesIO()
    np.save(array, np.array([1, "a"], dtype=object))
    packed = io.BytesIO()
    joblib.dump([np.ones(9)], packed, compress=3)
    return {
        "plain.pkl": _PROGRAM,
        "second.pkl": pickle.dumps([1]) + _PROGRAM,
        "cut.pkl": _PROGRAM[:-1],
        "gadget.pkl": b"cnumpy.f2py.crackfortran\ngetlincoef\n(S'1'\n}tR.",
        "library.pkl": b"cpandas.io.pickle\nread_pickle\n(S'x'\ntR.",
        "walk.pkl": b"csklearn.base\nwarnings.sys.modules\n.",
        "archive.7z": seven_zip([("m.pkl", _PROGRAM)]),
        "other.h5": hdf5(hdf5_link("x", 64, b"\x00/etc/passwd\x00/y\x00")),
        "saved_model.pb": saved_model(node("WriteFile")),
    }


def large() -> bytes:
    """A pickle of some 3.6 million opcodes."""
    return pickle.dumps([(n % 250,) for n in range(LARGE_ITEMS)], 2)


def texts() -> bytes:
    """A pickle of 1.2 million texts."""
    return pickle.dumps([f"word-{n}" for n in range(LARGE_ITEMS)])


def in_process(files: Mapping[str, bytes]) -> None:
    """The median CPU milliseconds of each file, with all that the command looks for."""
    with tempfile.TemporaryDirectory() as cache:
        known = knowledge(advisories="", cache=Path(cache), today=datetime.now(UTC).date())
    for name, data in files.items():
        times = []
        for _ in range(7):
            began = time.process_time()
            scan_files([(name, partial(io.BytesIO, data))], knowledge=known)
            times.append(1000 * (time.process_time() - began))
        print(f"  {name:16} {len(data):>9,} bytes  {statistics.median(times):6.1f} ms")


def child_seconds(command: list[str], folder: Path) -> tuple[float, int]:
    """CPU seconds of a child and its exit code, `OVER_TIME` where it was ended before its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        done = subprocess.run(
            command, capture_output=True, check=False, cwd=folder, timeout=LONGEST_RUN_SECONDS
        )
        code = done.returncode
    except subprocess.TimeoutExpired:
        code = OVER_TIME
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, code


def commands(folder: Path) -> dict[str, list[str]]:
    """Our command and those of the peers that work; a path is to follow."""
    found = {"strongroom": [str(Path(sys.executable).with_name("strongroom")), "scan"]}
    interpreter = os.environ.get("PEERS_PYTHON")
    if not interpreter:
        print("  peers are not measured: PEERS_PYTHON is not set")
        return found
    for name, arguments in PEERS.items():
        command = [interpreter, *arguments]
        if _tells_apart(command, folder):
            found[name] = command
        else:
            print(f"  {name} is not measured: it fails a list of numbers or passes `os.system`")
    return found


def _tells_apart(command: list[str], folder: Path) -> bool:
    """Whether a tool passes a harmless pickle and fails a harmful one; a broken one does not."""
    harmless, harmful = folder / "harmless.pkl", folder / "harmful.pkl"
    harmless.write_bytes(pickle.dumps([1, 2, 3]))
    harmful.write_bytes(_PROGRAM)
    codes = [child_seconds([*command, str(path)], folder)[1] for path in (harmless, harmful)]
    return codes[0] == 0 and codes[1] not in (0, OVER_TIME)


def as_commands(folder: Path) -> None:
    """CPU seconds of each tool on a small and a large file, alternating."""
    small, forest = folder / "small.pkl", folder / "forest.pkl"
    big, wordy = folder / "large.pkl", folder / "texts.pkl"
    files = honest()
    small.write_bytes(files["logistic.pkl"])
    forest.write_bytes(files["forest.pkl"])
    big.write_bytes(large())
    wordy.write_bytes(texts())
    tools = commands(folder)
    for path, rounds in ((small, ROUNDS), (forest, ROUNDS), (big, 1), (wordy, 1)):
        times: dict[str, list[float]] = {name: [] for name in tools}
        ended_early = set()
        for _ in range(rounds):
            for name, command in tools.items():
                used, code = child_seconds([*command, str(path)], folder)
                times[name].append(used)
                if code == OVER_TIME:
                    ended_early.add(name)
        ours = statistics.median(times["strongroom"])
        for name, taken in times.items():
            median = statistics.median(taken)
            more = ", and was not done" if name in ended_early else ""
            print(
                f"  {path.name:10} {name:12} {median:6.2f} s CPU   "
                f"{median / ours:5.1f} of ours{more}"
            )


def caught(folder: Path) -> None:
    """How many hostile files each tool fails, and how many honest ones."""
    tools = commands(folder)
    for kind, files in (("hostile caught", hostile()), ("honest flagged", honest())):
        counts = dict.fromkeys(tools, 0)
        for name, data in files.items():
            path = folder / name
            path.write_bytes(data)
            for tool, command in tools.items():
                counts[tool] += child_seconds([*command, str(path)], folder)[1] != 0
        for tool, count in counts.items():
            print(f"  {kind}: {tool:12} {count} of {len(files)}")


def main() -> None:
    """Run it and print."""
    print("in process, median of 7")
    in_process({**honest(), "large.pkl": large(), "texts.pkl": texts()})
    with tempfile.TemporaryDirectory() as folder:
        print("as commands")
        as_commands(Path(folder))
        print("by exit code")
        caught(Path(folder))
