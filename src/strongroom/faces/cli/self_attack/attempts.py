"""What a class of attacks found: each attempt, whether the server held, and a verdict."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from strongroom.engines.robustness.intervals import clopper_pearson
from strongroom.engines.robustness.outcome import Canary, Gate, Measure, Outcome
from strongroom.faces.cli.self_attack.instance import Answer, Instance

NOT_HELD = "attempts that were not refused"
GATES = (Gate(NOT_HELD, "at most", 0.0),)
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try.

    Attributes:
        what: in words; no secret in it.
        held: the server did not do it.
        seen: what it answered, in short.
    """

    what: str
    held: bool
    seen: str


@dataclass(frozen=True, slots=True)
class Attack:
    """A class of attacks.

    Attributes:
        id: stable, `self.…`.
        threat, atlas: as of an `Outcome`.
        tries: makes the attempts; raises `NotApplicable` where it cannot.
    """

    id: str
    threat: int
    title: str
    atlas: tuple[str, ...]
    tries: Callable[[Instance], Iterable[Attempt]]


class NotApplicable(Exception):  # noqa: N818 # nothing is wrong
    """The attack cannot be tried here; says why."""


def tried(attack: Attack, instance: Instance, open_instance: Instance) -> Outcome:
    """Try a class of attacks on an instance, and on one that is open by intention.

    Args:
        open_instance: a stand-in that does whatever it is asked: an attack that finds nothing
            there finds nothing anywhere.
    """
    try:
        if not instance.is_ours():
            raise NotApplicable("the key may not even list the models of its workspace")
        attempts = list(attack.tries(instance))
    except NotApplicable as why:
        return Outcome(attack.id, attack.threat, attack.atlas, reason=str(why))
    if not attempts:
        return Outcome(attack.id, attack.threat, attack.atlas, reason="nothing could be tried")
    planted = list(attack.tries(open_instance))
    found = [one for one in planted if not one.held]
    failed = [one for one in attempts if not one.held]
    low, high = clopper_pearson(len(failed), len(attempts))
    return Outcome(
        attack.id, attack.threat, attack.atlas,
        (
            Measure("attempts", len(attempts)),
            Measure(NOT_HELD, len(failed)),
            Measure("share that was not refused", len(failed) / len(attempts), low, high, "share"),
        ),
        Canary(
            "a server that does whatever it is asked", len(found) > 0,
            f"{len(found)} of {len(planted)} attempts on it were found to succeed",
        ),
        words=tuple(f"NOT refused: {one.what}: {one.seen}" for one in failed[:20])
        or (f"All {len(attempts)} attempts were refused.",),
        listed={"attempts": [
            {"what": one.what, "held": one.held, "seen": one.seen} for one in attempts
        ]},
    )  # fmt: skip


def refused(what: str, answer: Answer, *, secret: bytes = b"") -> Attempt:
    """An attempt that the server must not do.

    Args:
        secret: what may not stand in its answer, whatever the status.
    """
    leaks = bool(secret) and secret in answer.body
    held = not answer.is_done and not leaks and answer.status < 500
    return Attempt(what, held, told(answer))


def told(answer: Answer) -> str:
    """An answer in short."""
    if not answer.status:
        return "the connection was closed"
    found = answer.json()
    said = ""
    if isinstance(found, dict):
        said = str(found.get("code") or found.get("error_code") or found.get("error") or "")
    return f"{answer.status} {said[:_SHOWN]}".strip()
