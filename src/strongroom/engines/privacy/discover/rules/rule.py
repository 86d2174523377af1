"""The form of a rule: how one semantic type is recognised."""

from collections.abc import Callable
from dataclasses import dataclass

from strongroom.engines.privacy.discover.findings import Role


@dataclass(frozen=True, slots=True)
class Grammar:
    """A form that whole values have.

    Attributes:
        pattern: RE2, matched against the whole trimmed value; RE2 cannot run away.
        alone: confidence when all values fit and the column's name says nothing; 0 means that
            the form is too common to speak without the name.
        named: confidence when the name agrees as well.
        check: a checksum or rule that the pattern cannot express; only run on values that fit.
        min_share: least share of values that must fit, in (0, 1].
        min_distinct: so many values must differ for the form to speak without the name; 0 for
            the default.
    """

    pattern: str
    alone: float
    named: float
    check: Callable[[str], bool] | None = None
    min_share: float = 0.6
    min_distinct: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """How one semantic type is recognised, and what it means.

    Attributes:
        name: the stable name of the type, one word with underscores.
        title: for people.
        headers: phrases that name the type without doubt, lower case, words split by blanks.
        weak_headers: phrases that also name other things.
        grammars: forms of the values.
        plausible: RE2 that values must fit to be believed on the strength of a header alone;
            None: a header alone is never enough.
        header_confidence: confidence for a full header with plausible values.
        hipaa: letter of the identifier in 45 CFR 164.514(b)(2)(i), empty if none.
    """

    name: str
    title: str
    role: Role
    headers: tuple[str, ...] = ()
    weak_headers: tuple[str, ...] = ()
    grammars: tuple[Grammar, ...] = ()
    plausible: str | None = None
    header_confidence: float = 0.8
    hipaa: str = ""
