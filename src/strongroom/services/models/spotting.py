"""What a scan is told from outside the files: finders, advisories, licences.

Engines are strangers to each other: the scan takes functions, and here those of discovery are
handed to it. They are built when the first text needs them, for most models have none.
"""

import re
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from strongroom.engines.scanning.contents import Knowledge
from strongroom.engines.scanning.secrets import Spotted
from strongroom.errors import ValidationError

if TYPE_CHECKING:
    from strongroom.engines.privacy.discover.text.folding import Folded
    from strongroom.engines.privacy.discover.text.scanner import Family, Numbers

_SURE = 0.9
# Names are found by lists whose loading takes seconds: only for texts with many such pairs.
_PAIR = re.compile(r"\b[A-ZÀ-Þ][a-zß-ÿ]{2,40}[ ,]{1,2}[A-ZÀ-Þ][a-zß-ÿ]{2,40}\b")
_MANY_PAIRS = 20


def knowledge(
    *,
    advisories: str,
    cache: Path,
    today: date,
    allowed_licences: str = "",
    denied_licences: str = "",
) -> Knowledge:
    """What a scan is told.

    Args:
        advisories: folder or zip of a mirror; empty: vulnerabilities are not checked.
        cache: folder for the index of the mirror.
        today: to tell the age of the advisories.
        allowed_licences: comma list of SPDX identifiers; empty: all but the denied ones.
        denied_licences: the same.

    Raises:
        ValidationError: a licence is none, or the mirror cannot be read.
    """
    index, policy = None, None
    if advisories:
        from strongroom.vault.advisory_mirror import open_advisories

        index = open_advisories(Path(advisories), cache)
    if allowed_licences or denied_licences:
        from strongroom.engines.scanning.licences import policy as read_policy

        policy = read_policy(allowed_licences, denied_licences)
    return Knowledge(
        advisories=index,
        why_no_advisories="no mirror of advisories was given",
        today=today,
        licences=policy,
        installed_licence=installed_licence,
        spot_secrets=spot_secrets,
        spot_personal=spot_personal,
    )


def knowledge_of_server(
    *, advisories: str, cache: Path, today: date, allowed_licences: str, denied_licences: str
) -> Knowledge:
    """The same for a server: a mirror that cannot be read leaves vulnerabilities unchecked.

    Raises:
        ValidationError: a licence is none.
    """
    given = {"allowed_licences": allowed_licences, "denied_licences": denied_licences}
    try:
        return knowledge(advisories=advisories, cache=cache, today=today, **given)
    except ValidationError as error:
        known = knowledge(advisories="", cache=cache, today=today, **given)
        return Knowledge(
            why_no_advisories=error.message,
            today=known.today,
            licences=known.licences,
            installed_licence=known.installed_licence,
            spot_secrets=known.spot_secrets,
            spot_personal=known.spot_personal,
        )


def installed_licence(name: str) -> str:
    """SPDX expression of a distribution that is installed here; empty where it is not known."""
    from importlib.metadata import PackageNotFoundError, metadata

    from strongroom.engines.scanning.licences import licence_of

    try:
        about = metadata(name)
    except (PackageNotFoundError, ValueError):
        return ""
    expression, words = (
        str(about[field]) if field in about else "" for field in ("License-Expression", "License")
    )
    return licence_of(expression, words, about.get_all("Classifier") or [])


def spot_secrets(text: str) -> Iterator[Spotted]:
    """Tokens, keys and hashed passwords by their shape."""
    from strongroom.engines.privacy.discover.text.folding import fold

    yield from _spotted(_secrets(), fold(text))


def spot_personal(text: str) -> Iterator[Spotted]:
    """Personal data; names only where there are many."""
    from strongroom.engines.privacy.discover.text.folding import fold

    if len(list(islice(_PAIR.finditer(text), _MANY_PAIRS))) == _MANY_PAIRS:
        from strongroom.engines.privacy.discover.text.finder import text_finder

        for span in text_finder(model=False).find(text):
            # A number alone, without a word that says what it is, may be a weight.
            if span.confidence >= _SURE and (span.type != "phone" or span.source == "context"):
                yield Spotted(span.start, span.end, span.type)
        return
    folded = fold(text)
    families, numbers = _personal()
    for family in families:
        yield from _spotted(family, folded)
    for start, end, kind, _, source in numbers.scan(folded):
        if source == "context":
            yield Spotted(*folded.original(start, end), kind)


@lru_cache(maxsize=1)
def _secrets() -> "Family":
    from strongroom.engines.privacy.discover.text.forms import secrets
    from strongroom.engines.privacy.discover.text.scanner import Family

    return Family(secrets.FORMS)


@lru_cache(maxsize=1)
def _personal() -> "tuple[tuple[Family, ...], Numbers]":
    from strongroom.engines.privacy.discover.text.forms import contact, dates, numbers, records
    from strongroom.engines.privacy.discover.text.scanner import Family, Numbers

    families = (Family(contact.FORMS), Family(records.FORMS), Family(dates.FORMS))
    return families, Numbers(numbers.FORMS, numbers.NEAR)


def _spotted(family: "Family", folded: "Folded") -> Iterator[Spotted]:
    for start, end, kind, confidence, _ in family.scan(folded):
        if confidence >= _SURE:
            yield Spotted(*folded.original(start, end), kind)
