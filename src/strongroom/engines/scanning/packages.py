"""What is known against the packages that a model asks for: vulnerabilities and licences.

Each requirement is judged once, however many files name it.
"""

from datetime import date
from typing import TYPE_CHECKING

from strongroom.engines.scanning.findings import Check
from strongroom.engines.scanning.licences import LicencePolicy, read_metadata
from strongroom.engines.scanning.problems import Problem
from strongroom.engines.scanning.reading import MalformedError
from strongroom.engines.scanning.requirements import (
    Requirement,
    Requirements,
    read_environment,
    read_requirements,
)

if TYPE_CHECKING:
    from strongroom.engines.scanning.advisories import Known
    from strongroom.engines.scanning.contents import Knowledge

MAX_FILE = 4 << 20
_MAX_TOLD = 25
_SHOWN_NAMES = 20
OLD_DAYS = 30
"""From this age on advisories are called old: new ones come every day."""


class PackageCheck:
    """Judges the requirements of one model."""

    def __init__(self, knowledge: "Knowledge") -> None:
        self._knowledge = knowledge
        self._policy = knowledge.licences or LicencePolicy()
        self._judged: set[tuple[str, str]] = set()
        self._vulnerable: set[str] = set()
        self._licences: dict[str, str] = {}
        self._names: dict[str, None] = {}
        self._damaged = False

    def distribution(self, metadata: bytes) -> None:
        """Takes note of the licence in the `METADATA` of a distribution among the files."""
        name, licence = read_metadata(metadata)
        if name and licence:
            self._licences[name] = licence

    def requirements(self, text: str) -> list[Problem]:
        """What is wrong with a requirements file and with what it asks for."""
        return self._judge_all(read_requirements(text))

    def environment(self, data: bytes) -> list[Problem]:
        """The same for a `conda.yaml` or `python_env.yaml`."""
        try:
            return self._judge_all(read_environment(data))
        except MalformedError as error:
            return [Problem("SR-MLF-005", f"is malformed: {error}")]

    def checks(self) -> tuple[Check, Check]:
        """What was looked up, and what could not be."""
        return self._vulnerabilities_check(), self._licences_check()

    def _judge_all(self, found: Requirements) -> list[Problem]:
        problems = found.problems
        for wanted in found.wanted:
            key = (wanted.name, str(wanted.specifier))
            if key in self._judged:
                continue
            self._judged.add(key)
            if wanted.is_pypi:
                self._names[wanted.name] = None
                problems += self._licence(wanted)
            problems += self._vulnerabilities(wanted)
        return problems

    # ---- vulnerabilities ----

    def _vulnerabilities(self, wanted: Requirement) -> list[Problem]:
        advisories = self._knowledge.advisories
        if advisories is None:
            return []
        try:
            known = advisories.concerning(wanted)
        except MalformedError:
            self._damaged = True
            return []
        if known:
            self._vulnerable.add(wanted.name)
        problems = [_problem(wanted, one) for one in known[:_MAX_TOLD]]
        if len(known) > _MAX_TOLD:
            says = f"asks for `{wanted.name}`, of which {len(known) - _MAX_TOLD} more are known"
            problems.append(Problem("SR-PKG-007", says, wanted.offset, wanted.name))
        return problems

    def _vulnerabilities_check(self) -> Check:
        name, advisories = "vulnerabilities", self._knowledge.advisories
        if advisories is None:
            return Check(name, "not checked", self._knowledge.why_no_advisories)
        if self._damaged:
            return Check(name, "not checked", "the index of the advisories is damaged")
        found = (
            f"{len(self._vulnerable)} of {len(self._names)} packages, by {advisories.records:,} "
            f"advisories of {advisories.newest or 'unknown age'}"
        )
        return Check(name, "checked", found + _age(advisories.newest, self._knowledge.today))

    # ---- licences ----

    def _licence(self, wanted: Requirement) -> list[Problem]:
        licence = self._licence_of(wanted.name)
        if self._policy.is_empty:
            return []
        answer = self._policy.judge(licence)
        if answer == "denied":
            says = f"asks for `{wanted.name}` under {licence}, which the policy does not let in"
            return [Problem("SR-PKG-008", says, wanted.offset, licence)]
        # A list of the denied alone says nothing of what is not known; the report does.
        if answer == "unknown" and self._policy.allowed:
            says = f"asks for `{wanted.name}`, whose licence is not known here"
            return [Problem("SR-PKG-009", says, wanted.offset, wanted.name)]
        return []

    def _licence_of(self, name: str) -> str:
        installed = self._knowledge.installed_licence
        if name not in self._licences and installed is not None:
            self._licences[name] = installed(name)
        return self._licences.get(name, "")

    def _licences_check(self) -> Check:
        unknown = [name for name in self._names if not self._licences.get(name)]
        found = f"{len(self._names) - len(unknown)} of {len(self._names)} known"
        if unknown:
            more = f" and {len(unknown) - _SHOWN_NAMES} more" if len(unknown) > _SHOWN_NAMES else ""
            found += f"; not known: {', '.join(unknown[:_SHOWN_NAMES])}{more}"
        if self._policy.is_empty:
            return Check("licences", "not checked", f"no policy on licences; {found}")
        return Check("licences", "partly" if unknown else "checked", found)


def _problem(wanted: Requirement, known: "Known") -> Problem:
    from strongroom.engines.scanning.advisories import NEWEST

    advisory = known.advisory
    version = "in its newest version" if known.version == NEWEST else known.version
    filed = f" (filed under `{known.filed_under}`)" if known.filed_under else ""
    others = f" ({', '.join(advisory.ids[1:4])})" if len(advisory.ids) > 1 else ""
    which = f"asks for `{wanted.name}` {version}{filed}".replace("  ", " ")
    subject = f"{wanted.name} {advisory.ids[0]}"
    if advisory.is_malware:
        says = f"{which}, which is hostile: {advisory.ids[0]}"
        return Problem("SR-PKG-004", says, wanted.offset, subject)
    fixed = "" if known.version == NEWEST else advisory.fixed_in(known.version)
    cure = f", fixed in {fixed}" if fixed else ", no fix known"
    rated = "not rated" if advisory.rating == "unknown" else advisory.rating
    says = f"{which}, {advisory.ids[0]}{others}, {rated}{cure}: {advisory.summary}"
    rules = {"critical": "SR-PKG-005", "high": "SR-PKG-005", "low": "SR-PKG-007"}
    return Problem(rules.get(advisory.rating, "SR-PKG-006"), says, wanted.offset, subject)


def _age(newest: str, today: date | None) -> str:
    if today is None or not newest:
        return ""
    try:
        days = (today - date.fromisoformat(newest)).days
    except ValueError:
        return ""
    return f", {days} days old" + (": too old to rely on" if days > OLD_DAYS else "")
