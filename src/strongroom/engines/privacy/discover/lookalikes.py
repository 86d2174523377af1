"""Columns whose values have the form of something personal and are something else."""

from collections.abc import Callable, Mapping, Sequence

import re2

_FOUR_NUMBERS = re2.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})")
_LARGE = 32
_LEAST_LARGE = 0.5
_FIRST, _FIRSTS = 20, 4
_COLOURS = frozenset({"white", "black", "mixed", "other", "unknown"})


def are_versions(values: Sequence[str]) -> bool:
    """True for numbers in four parts that stay small, as those of versions do.

    Of addresses drawn from anywhere nearly all have a part of 32 and more. Those of one small
    network share their first three parts, and only the last one counts. The last part of a version
    may be the number of a build: several first parts, all of them small, are no networks.
    """
    found = [match.groups() for value in values if (match := _FOUR_NUMBERS.fullmatch(value))]
    if not found or len({parts[:3] for parts in found}) == 1:
        return False
    firsts = {int(parts[0]) for parts in found}
    if len(firsts) >= _FIRSTS and max(firsts) < _FIRST:
        return True
    large = sum(1 for parts in found if any(int(part) >= _LARGE for part in parts))
    return large < _LEAST_LARGE * len(found)


def are_colours(values: Sequence[str]) -> bool:
    """True where each value could be a colour: "white" and "black" alone tell nobody's origin."""
    return all(value.lower() in _COLOURS for value in values)


def are_grades(values: Sequence[str]) -> bool:
    """True for `A+`, `B-` and the like without group O, which nearly half of all people have."""
    return all(value[0] in "AB" and value[-1] in "+-" for value in values)


LOOKALIKES: Mapping[str, Callable[[Sequence[str]], bool]] = {
    "ip_address": are_versions,
    "ethnicity": are_colours,
    "health_condition": are_grades,
}
"""Type → what its values may be instead, where the column's name does not tell."""
