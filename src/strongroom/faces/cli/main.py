"""The command `strongroom`: its start and its end.

Nothing of ours is imported before `start` and `run` begin: a Ctrl-C in that time would be shown as
a traceback of the import it met.
"""

import gc
import os
import sys

_WITHOUT_PANDAS = frozenset({"discover", "mask", "anonymize", "drift"})
"""Commands on tables that never are pandas'."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as a shell has it."""


def run() -> None:
    """Run the command line and end with the exit code of DESIGN.md, section 5."""
    from strongroom.faces.cli.outcome import outcome

    sys.exit(outcome())


def start() -> None:
    """`run` as a process of its own: the entry point of the installed command."""
    try:
        code = _started()
    except KeyboardInterrupt:
        # Met while modules were loaded. They may be half there, and nothing is open yet.
        os._exit(INTERRUPTED)
    if "pyarrow" in sys.modules:
        # A reader of pyarrow's that met a bad table may have a thread left, and the interpreter
        # aborts when it ends while that thread runs. All that is ours is closed and written.
        os._exit(code)
    sys.exit(code)


def _started() -> int:
    """Run the command line and write what it said; its exit code."""
    # What is imported stays. Looked through for garbage after every 700 objects, as is the
    # default, it takes an eighth of the time of a start.
    gc.set_threshold(50_000, 20, 100)
    if sys.argv[1:2] and sys.argv[1] in _WITHOUT_PANDAS:
        from strongroom.faces.cli.arrow import without_pandas

        without_pandas()
    from strongroom.faces.cli.outcome import outcome

    code = outcome()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    start()
