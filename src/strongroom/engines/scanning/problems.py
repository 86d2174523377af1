"""What a check of one format says is wrong, before it becomes a finding of a file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong: the rule, the words, and the member, name or byte concerned.

    Attributes:
        length: how many bytes it is about, where that says something.
    """

    rule_id: str
    says: str
    offset: int | None = None
    subject: str = ""
    length: int | None = None


def printable(text: str) -> str:
    """Text from a hostile file, safe to show on a terminal and in a log: at most 200 characters."""
    shown = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text[:200])
    return shown[:200]
