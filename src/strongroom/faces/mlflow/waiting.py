"""Holds the question how a new model version stands, until its checks have ended.

MLflow's client asks at once, then sleeps three seconds before it asks again; checks take about
one. Nothing is decided or told here: the question is answered as ever, only a little later.
"""

import time
import urllib.parse
from collections.abc import Callable

import anyio
import anyio.to_thread

SECONDS = 8.0
"""At most; well below the time after which clients give up on an answer."""

_PAUSE_SECONDS = 0.1
_PATHS = ("/model-versions/get",)

IsPending = Callable[[str, str, int], bool]
"""(workspace, model, version): whether its checks have yet to end."""


async def until_checked(
    path: str, query: bytes, workspace: str, is_pending: IsPending, *, seconds: float = SECONDS
) -> None:
    """Return when the version that the request asks for is not pending, or `seconds` are over."""
    if not path.endswith(_PATHS):
        return
    asked = urllib.parse.parse_qs(query.decode("latin-1"))
    names, versions = asked.get("name", []), asked.get("version", [])
    if len(names) != 1 or len(versions) != 1 or not versions[0].isdecimal():
        return  # MLflow says what is wrong with it
    number = int(versions[0][:10])
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not await anyio.to_thread.run_sync(is_pending, workspace, names[0], number):
            return
        await anyio.sleep(_PAUSE_SECONDS)
