"""One run of the command line: its exit code, and what a person sees of a fault."""

import errno
import os
import sys
from typing import TYPE_CHECKING

from strongroom.errors import InternalError, StorageFullError, StrongroomError, UsageError
from strongroom.faces.cli import output, scan_options

if TYPE_CHECKING:
    from typer import Typer


def outcome() -> int:
    """Run the command line; its exit code."""
    as_json = output.wants_json(sys.argv[1:])
    try:
        return _command(sys.argv[1:])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except StrongroomError as error:
        output.error(error, as_json=as_json)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output went away, e.g. `| head`; the null device takes the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # a person sees a sentence, never a traceback
        if os.environ.get("STRONGROOM_DEBUG"):
            raise
        shown = _in_our_words(error)
        output.error(shown, as_json=as_json)
        return shown.exit_code


def _command(arguments: list[str]) -> int:
    """Run the command that the arguments name; its exit code."""
    # What reads command lines takes longer to load than a small model to scan.
    plain = scan_options.plainly_given(arguments[1:]) if arguments[:1] == ["scan"] else None
    if plain is not None:
        from strongroom.faces.cli.scan import run_scan

        return run_scan(**plain)
    from strongroom.faces.cli.app import app

    if output.wants_json(arguments):
        return _told_in_json(app)
    app(prog_name="strongroom")
    return 0


def _told_in_json(app: "Typer") -> int:
    """Run the command line so that its own complaints come as errors, and not as a drawn box."""
    from typer.exceptions import Abort, TyperException

    try:
        code = app(prog_name="strongroom", standalone_mode=False)
    except TyperException as met:
        text = " ".join(met.format_message().split())
        if met.exit_code == UsageError.exit_code:
            raise UsageError(text) from None
        raise InternalError(text) from None
    except Abort:
        return 1
    return code if isinstance(code, int) else 0


def _in_our_words(error: Exception) -> StrongroomError:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        # What stdout could not take is still held, and would be tried again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return StorageFullError("no room for the output")
    return InternalError(
        f"unexpected {type(error).__name__}",
        next_step="set STRONGROOM_DEBUG=1, run it again and report the traceback",
    )
