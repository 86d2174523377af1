"""Scanning one file as a pickle: every stream in it, and every way in which it may be read.

A file with joblib's arrays is read twice: as joblib reads it, arrays between the opcodes, and as
`pickle` does, to which the array bytes are opcodes. What either would do counts.
"""

from functools import partial
from typing import Literal

from strongroom.engines.scanning.findings import Finding, Verdict
from strongroom.engines.scanning.pickle_watch import PickleWatch
from strongroom.engines.scanning.problems import printable
from strongroom.engines.scanning.reading import (
    Budget,
    FrameError,
    LimitError,
    Limits,
    MalformedError,
    Opener,
    Reader,
)
from strongroom.engines.scanning.torch_legacy import (
    pass_storages,
    pass_tar_storages,
    pass_tar_tensors,
)

# torch.save before 1.6: this number, a protocol number, system facts, the object, the storage
# keys, each a pickle of its own; then raw storages.
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_TORCH_STREAMS = 5
TorchPart = Literal["", "storages", "tensors"]


def scan_pickle(
    file: str,
    opener: Opener,
    limits: Limits,
    *,
    surely: bool,
    torch: bool = False,
    script: bool = False,
    plainly: bool = False,
    numbers: list[tuple[int, int]] | None = None,
    budget: Budget | None = None,
    part: TorchPart = "",
) -> tuple[str, list[Finding]] | None:
    """Scans a file as a pickle.

    Args:
        file: its name in findings.
        opener: opens its bytes anew.
        limits: how much is followed.
        surely: it is known to be one, so that anything unreadable is a finding. Otherwise it is
            only tried, and the answer is None unless the program imports or calls something.
        torch: persistent ids are expected, as in a torch archive.
        script: it is TorchScript's, whose classes its own code defines.
        plainly: its loader is said to be `pickle`: it must be a whole pickle to that, too.
        numbers: takes the spans of the file that are numbers.
        budget: what packed values may unpack to; None: as much as the limits allow for a scan.
        part: which member of torch's tar of before 0.1.10 it is, with raw numbers in between.

    Returns: the format (`pickle`, `joblib` or `torch-legacy`) and the findings.
    """
    watch = PickleWatch(file, limits, torch=torch, script=script, budget=budget)
    watch.trial = not surely
    reader = Reader(opener())
    if part:
        _tar_part(watch, reader, part)
        return "pickle", watch.findings
    kind = _streams(watch, reader)
    if kind is None:
        return None
    if numbers is not None:
        numbers.extend(reader.numbers)
    if watch.saw_array_at is None:
        return kind, watch.findings
    if plainly:
        plain = PickleWatch(file, limits, torch=False, budget=budget)
        plain.inline_arrays = False
        _streams(plain, Reader(opener()))
        return "pickle", watch.findings + plain.findings
    return "joblib", watch.findings + _read_plainly(file, opener, limits, watch)


def _streams(watch: PickleWatch, reader: Reader) -> str | None:
    """Follows stream after stream to the end of the file."""
    kind, count = "pickle", 0
    while True:
        start = reader.offset
        watch.acted = False
        try:
            value = watch.run(reader)
        except MalformedError as error:
            if watch.trial and not watch.acted and not isinstance(error, FrameError):
                return None
            if count and not watch.acted and kind != "torch-legacy":
                says = f"holds bytes after the last pickle, from byte {start}"
                watch.add("SR-PKL-012", says, start)
            else:
                watch.add("SR-PKL-010", f"is not a whole pickle: {error}", reader.offset)
            return kind
        except LimitError as error:
            watch.add("SR-PKL-011", f"is too much to follow: {error}", reader.offset)
            return kind
        count += 1
        if watch.acted or watch.named_any:
            watch.trial = False
        if count == 1 and value == _TORCH_MAGIC:
            kind = "torch-legacy"
            watch.torch = True
        if kind == "torch-legacy" and count == _TORCH_STREAMS:
            _torch_storages(watch, reader, value)
            return kind
        if not reader.peek(1):
            if kind == "torch-legacy":
                watch.add("SR-PKL-010", "is not a whole torch file", reader.offset)
            return None if watch.trial else kind


def _torch_storages(watch: PickleWatch, reader: Reader, keys: object) -> None:
    """What stands behind the five streams of old torch: the storages, and nothing else."""
    try:
        pass_storages(reader, keys, watch.storages)
    except MalformedError as error:
        watch.add("SR-PKL-010", f"is not a whole torch file: {error}", reader.offset)
        return
    if reader.peek(1):
        says = f"holds bytes after the last tensor, from byte {reader.offset}"
        watch.add("SR-PKL-012", says, reader.offset)


def _tar_part(watch: PickleWatch, reader: Reader, part: TorchPart) -> None:
    """A member of old torch's tar, in which pickles and raw numbers take turns."""
    walk = pass_tar_storages if part == "storages" else pass_tar_tensors
    try:
        walk(reader, partial(watch.run, reader))
    except MalformedError as error:
        watch.add("SR-PKL-010", f"is not whole: {error}", reader.offset)
    except LimitError as error:
        watch.add("SR-PKL-011", f"is too much to follow: {error}", reader.offset)


def _read_plainly(file: str, opener: Opener, limits: Limits, joblib: PickleWatch) -> list[Finding]:
    """What `pickle.load` would do with a joblib file, beyond what joblib would.

    An object array of joblib is a pickle of its own, with a memo of its own. Read as one program
    with the pickle around it, it recalls the wrong values and fails; the unknown names it makes
    up on the way say nothing, known dangers still count.
    """
    watch = PickleWatch(file, limits, torch=False, budget=joblib.budget)
    watch.inline_arrays = False
    reader = Reader(opener())
    # The plain reading of an honest file fails at the first array: no finding.
    try:
        watch.run(reader)
    except MalformedError:
        pass
    except LimitError as error:
        watch.add("SR-PKL-011", f"is too much to follow: {error}", reader.offset)
    seen = {(finding.rule_id, finding.subject, finding.says) for finding in joblib.findings}
    return [
        Finding(
            finding.rule_id,
            finding.file,
            finding.offset,
            printable(f"read by pickle instead of joblib: {finding.says}"),
            finding.subject,
        )
        for finding in watch.findings
        if (finding.rule_id, finding.subject, finding.says) not in seen
        and (finding.verdict is not Verdict.REVIEW or not joblib.object_arrays)
    ]
