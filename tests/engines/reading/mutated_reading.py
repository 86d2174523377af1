"""Reads mutated files of every form under a limit of memory, and says what came of it.

python -m tests.engines.reading.mutated_reading FILES_A_FORM SEED

Prints a line of JSON a form: how many were read, how many were refused by an error of ours, the
names of all other exceptions, and the growth of the peak of memory in MiB.
"""

import gzip
import io
import json
import random
import resource
import sys
import zipfile

from tests.engines.reading.files import FILES, message

from strongroom.engines.reading.reading import read
from strongroom.engines.reading.types import ReadLimits
from strongroom.errors import StrongroomError

ADDRESS_SPACE = 3 << 30
LIMITS = ReadLimits(
    row_bytes=1 << 20, message_bytes=16 << 20, expanded_bytes=64 << 20,
    ratio_floor_bytes=4 << 20, held_bytes=16 << 20, email_bytes=4 << 20, columns=1_000,
)  # fmt: skip  # small, so that a bomb shows
_INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)


def mutated(content: bytes, choose: random.Random) -> bytes:
    """A few bytes changed, removed, doubled or cut."""
    changed = bytearray(content)
    for _ in range(choose.randint(1, 6)):
        at = choose.randrange(len(changed)) if changed else 0
        kind = choose.random()
        if kind < 0.5 and changed:
            changed[at] = choose.randrange(256)
        elif kind < 0.7 and changed:
            changed[at] = choose.choice(_INTERESTING)
        elif kind < 0.8:
            del changed[at : at + choose.randint(1, 8)]
        elif kind < 0.95:
            changed[at:at] = changed[at : at + choose.randint(1, 64)]
        else:
            del changed[at:]
    return bytes(changed)


def mutated_inside(content: bytes, choose: random.Random) -> bytes:
    """A workbook or archive whose files are mutated, packed again so that its checks hold."""
    sink = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        unlucky = choose.choice(old.namelist())
        for name in old.namelist():
            inner = old.read(name)
            new.writestr(name, mutated(inner, choose) if name == unlucky else inner)
    return sink.getvalue()


def attempt(content: bytes, form: str) -> str:
    """`read`, `refused`, or the name of an exception that should not come out."""
    try:
        for table in read(io.BytesIO(content), name=f"file.{form}", limits=LIMITS):
            for _ in table.batches:
                pass
    except StrongroomError:
        return "refused"
    except BaseException as error:  # noqa: BLE001 # it is what is looked for
        return f"{type(error).__name__}: {error}"[:200]
    return "read"


def main(count: int, seed: int) -> None:
    """Mutate and read; see above."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    originals = {name: make() for name, make in FILES.items()}
    originals["eml in gzip"] = gzip.compress(message().as_bytes())
    for form, content in originals.items():
        assert attempt(content, form) == "read"
        choose = random.Random(f"{seed} {form}")  # noqa: S311 # a repeatable choice
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcomes: dict[str, int] = {}
        for number in range(count):
            inside = form in {"xlsx", "zip"} and number % 2
            hostile = (mutated_inside if inside else mutated)(content, choose)
            outcome = attempt(hostile, form)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
        others = [name for name in outcomes if name not in {"read", "refused"}]
        line = {
            "form": form,
            "read": outcomes.get("read", 0),
            "refused": outcomes.get("refused", 0),
            "others": others,
            "grown": grown,
        }
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
