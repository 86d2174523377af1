"""Whether a version fulfils the rules of its workspace: every rule judged, each with its reason.

Nothing is read here: the case holds all that is known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from strongroom.services.models.lineage import DataSource, SourceState
from strongroom.services.models.promotion_rules import HOME_KEY, Rules


@dataclass(frozen=True, slots=True)
class Assessed:
    """The newest assessment of a kind that a version went through."""

    at: datetime
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Approver:
    """Who approves.

    Attributes:
        roles: ids, held in the workspace and not only written in its rows.
        accepts_findings: of the scan, and says why.
        purpose: what they say the model is for.
    """

    id: str
    is_person: bool
    roles: frozenset[str]
    accepts_findings: bool = False
    purpose: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is known of a version when somebody asks whether it may be admitted.

    Attributes:
        verdict, reason: of the scan.
        signed_by: id of the key whose signature was verified; `home_key`: of this server.
        own: accounts that stand behind the registration: who did it, and who made the program.
        sources: the data that it was trained on, as far as recorded.
        assessments: kind → the newest.
        approved: who has approved these bytes under these rules already.
    """

    verdict: str
    reason: str
    signed_by: str
    home_key: str
    own: frozenset[str]
    sources: Sequence[DataSource]
    approved: Sequence[Approver] = ()
    assessments: Mapping[str, Assessed] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judged:
    """One rule, and whether it is met.

    Attributes:
        code: stable: scan, signature, assessment, purpose, data, erased_data, approver, approvals.
        says: how it is met, or why not.
        next_step: what can be done; empty where it is met.
        warns: it is met, and somebody should look all the same.
    """

    code: str
    is_met: bool
    says: str
    next_step: str = ""
    warns: bool = False


def judge(
    rules: Rules, case: Case, now: datetime, approver: Approver | None = None
) -> list[Judged]:
    """Every rule in turn.

    Args:
        approver: who wants to approve now; None: nobody does, and who waits is all that is asked.
    """
    everybody = [*case.approved, *([approver] if approver is not None else [])]
    judged = [
        _scan(rules, case, everybody),
        _signature(rules, case),
        *_assessments(rules, case, now),
        _purpose(rules, case, everybody),
        _known_data(rules, case),
        _erased(rules, case),
    ]
    if approver is not None:
        judged.append(_approver(rules, case, approver))
    judged.append(_approvals(rules, everybody))
    return judged


def counts(rules: Rules, case: Case, approver: Approver) -> bool:
    """Whether an earlier approval still counts: the person may still approve by these rules."""
    return _admitted(rules, case, approver) == ""


def _scan(rules: Rules, case: Case, everybody: Sequence[Approver]) -> Judged:
    if case.verdict == "clean":
        return Judged("scan", True, "the scan found nothing")
    found = case.reason.removeprefix("a person must decide: ")[:400]
    if not rules.accepts_findings:
        return Judged(
            "scan", False, f"the scan must be clean: {found}",
            "reject the version, or register one without what was found",
        )  # fmt: skip
    for one in everybody:
        if not one.accepts_findings:
            return Judged(
                "scan", False, f"the scan asks for a person: {found}",
                "look at `strongroom model show`, then approve it with --accept-findings and a "
                "--comment, or reject it",
            )  # fmt: skip
        if not one.roles & rules.accepting:
            return Judged(
                "scan", False, f"{one.id} may not accept what the scan found",
                f"ask somebody of the roles {_listed(rules.accepting)}",
            )  # fmt: skip
    if not everybody:
        return Judged(
            "scan", False, f"nobody has accepted what the scan found: {found}",
            "approve it with --accept-findings and a --comment, or reject it",
        )  # fmt: skip
    return Judged("scan", True, f"accepted by {', '.join(one.id for one in everybody)}: {found}")


def _signature(rules: Rules, case: Case) -> Judged:
    trusted = {case.home_key if key == HOME_KEY else key for key in rules.signed_by}
    if case.signed_by in trusted:
        return Judged("signature", True, f"signed by key {case.signed_by}")
    return Judged(
        "signature", False, f"signed by key {case.signed_by}, which the rules do not name",
        "name the key in `signed_by` of the rules, or have the version signed by one of these",
    )  # fmt: skip


def _assessments(rules: Rules, case: Case, now: datetime) -> Iterable[Judged]:
    for rule in rules.assessments:
        found = case.assessments.get(rule.kind)
        step = f"have it assessed: `strongroom model assess NAME VERSION --kind {rule.kind}`"
        if found is None:
            yield Judged(
                "assessment",
                False,
                f"no assessment of kind {rule.kind} under the plan in force",
                step,
            )
        elif not found.passed:
            yield Judged("assessment", False, f"the assessment {rule.kind} did not pass", step)
        elif now - found.at > timedelta(days=rule.newer_than_days):
            yield Judged(
                "assessment", False,
                f"the assessment {rule.kind} is older than {rule.newer_than_days} days", step,
            )  # fmt: skip
        else:
            yield Judged("assessment", True, f"{rule.kind} passed at {found.at.isoformat()}")


def _purpose(rules: Rules, case: Case, everybody: Sequence[Approver]) -> Judged:
    if not rules.asks_purpose:
        return Judged("purpose", True, "the rules do not ask for a purpose")
    stated = {one.purpose for one in everybody}
    step = "say with --purpose what the model is for"
    if not everybody or "" in stated:
        return Judged("purpose", False, "it is not said what the model is for", step)
    if len(stated) > 1:
        return Judged(
            "purpose", False, "those who approve say different purposes",
            "agree on one; a former approval holds for the purpose that it names",
        )  # fmt: skip
    [use] = stated
    for source in case.sources:
        if not source.purpose:
            continue  # of data that nobody knows: `unknown_data` decides
        if use != source.purpose and use not in rules.also_for.get(source.purpose, ()):
            return Judged(
                "purpose", False,
                f"the data `{source.label}` is for `{source.purpose}`, not for `{use}`",
                "approve it for a purpose of its data, or let an Owner name the use in [also_for]",
            )  # fmt: skip
    return Judged("purpose", True, f"for `{use}`, as its data allows")


def _known_data(rules: Rules, case: Case) -> Judged:
    unknown = [one.label for one in case.sources if one.state is SourceState.UNKNOWN]
    if case.sources and not unknown:
        return Judged("data", True, f"trained on {', '.join(one.label for one in case.sources)}")
    says = (
        f"`{unknown[0]}` is no dataset of this workspace"
        if unknown
        else "nobody recorded what it was trained on"
    )
    if rules.allows_unknown_data:
        return Judged("data", True, says, warns=True)
    return Judged(
        "data", False, says,
        "register a version whose run logs its datasets as inputs, with their digest",
    )  # fmt: skip


def _erased(rules: Rules, case: Case) -> Judged:
    gone = [one.label for one in case.sources if one.state is SourceState.ERASED]
    if not gone:
        return Judged("erased_data", True, "none of its known data was erased since")
    says = f"trained on data since erased: {', '.join(gone[:10])}"
    if not rules.refuses_erased_data:
        return Judged("erased_data", True, says, warns=True)
    return Judged("erased_data", False, says, "train it again on what is left of the data")


def _approver(rules: Rules, case: Case, approver: Approver) -> Judged:
    refusal = _admitted(rules, case, approver)
    if not refusal:
        return Judged("approver", True, f"{approver.id} may approve")
    others = f"ask somebody else of the roles {_listed(rules.approvers)}"
    return Judged("approver", False, refusal, others)


def _admitted(rules: Rules, case: Case, approver: Approver) -> str:
    """Why somebody's approval does not count; empty where it does."""
    if not approver.is_person:
        return "only people approve"
    if not rules.own_approval and approver.id in case.own:
        return "who registers a version does not approve it"
    if not approver.roles & rules.approvers:
        return f"{approver.id} holds no role that approves here"
    return ""


def _approvals(rules: Rules, everybody: Sequence[Approver]) -> Judged:
    people = dict.fromkeys(one.id for one in everybody)
    says = f"{len(people)} of {rules.approvals} approvals"
    if people:
        says += f": {', '.join(people)}"
    if len(people) >= rules.approvals:
        return Judged("approvals", True, says)
    return Judged(
        "approvals", False, says, f"ask others of the roles {_listed(rules.approvers)} to approve"
    )


def _listed(roles: frozenset[str]) -> str:
    return ", ".join(sorted(roles))
