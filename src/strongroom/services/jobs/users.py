"""A user of its own for each confined process, where the server may give it one.

The kernel counts threads by user, so two that run as the same one could take each other's. An
ordinary user's server enters a user namespace instead, in which the count is separate, too.
"""

import os
import secrets
import threading
from pathlib import Path

NOBODY = 65534
# Systemd's list (docs/UIDS-GIDS.md there) gives these to nobody, and Linux needs no account for a
# user. Below 2^16, so that they are there in containers that have only so many.
_FIRST, _LAST = 60_706, 61_183

_lock = threading.Lock()
_taken: set[int] = set()


def take() -> int:
    """A user that no other confined process of this server runs as; NOBODY where that cannot be.

    Drawn at random: another server on this host hardly draws the same.
    """
    if os.getuid() != 0 or not (_is_mapped("uid_map") and _is_mapped("gid_map")):
        return NOBODY
    with _lock:
        free = [user for user in range(_FIRST, _LAST + 1) if user not in _taken]
        if not free:
            return NOBODY
        user = secrets.choice(free)
        _taken.add(user)
        return user


def give_back(user: int) -> None:
    """The process has ended. May be called twice."""
    with _lock:
        _taken.discard(user)


def _is_mapped(name: str) -> bool:
    """Whether these users exist in the user namespace of this process."""
    try:
        lines = Path("/proc/self", name).read_text().splitlines()
    except OSError:
        return False
    found = [[int(number) for number in line.split()] for line in lines]
    return any(inside <= _FIRST and inside + count > _LAST for inside, _, count in found)
