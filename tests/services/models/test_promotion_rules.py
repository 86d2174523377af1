"""The rules as text, and every rule judged on cases without a server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from strongroom.errors import ValidationError
from strongroom.services.models.lineage import DataSource, SourceState
from strongroom.services.models.promotion import Approver, Assessed, Case, counts, judge
from strongroom.services.models.promotion_rules import (
    DEFAULT_TEXT,
    FORMER_TEXT,
    Rules,
    parse_rules,
)

NOW = datetime(2026, 11, 27, 6, tzinfo=UTC)
VISITS = DataSource(
    name="visits", version=2, view="masked", purpose="triage", state=SourceState.PRESENT
)
CASE = Case(
    verdict="clean", reason="", signed_by="aa", home_key="aa", own=frozenset({"dana"}),
    sources=(VISITS,),
)  # fmt: skip
MAX = Approver(id="max", is_person=True, roles=frozenset({"MLEngineer"}))
OLGA = Approver(id="olga", is_person=True, roles=frozenset({"Owner"}))


def rules(text: str = "", **more: str) -> Rules:
    """Rules of one approval, with `name = value` of `more` as TOML."""
    fields = {"version": "1", "approvals": "1", **more}
    return parse_rules("\n".join(f"{name} = {value}" for name, value in fields.items()) + text)


def unmet(found: Rules, case: Case, approver: Approver | None = MAX) -> dict[str, str]:
    """Code and words of the rules that are not met."""
    return {one.code: one.says for one in judge(found, case, NOW, approver) if not one.is_met}


def test_the_default_asks_for_two_others_and_what_is_left_out_is_as_in_it() -> None:
    default = parse_rules(DEFAULT_TEXT)
    assert (default.approvals, default.own_approval, default.refuses_erased_data) == (
        2,
        False,
        True,
    )
    bare = parse_rules("version = 1")
    assert replace(bare, text=default.text) == default
    assert bare.digest != default.digest
    former = parse_rules(FORMER_TEXT)
    assert (former.approvals, former.own_approval) == (1, True)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("version = 1\nversion = 2", "not TOML"),
        ("", "at `version`"),
        ("version = 2", "at `version`"),
        ("version = 1\napprovals = 0", "at `approvals`"),
        ("version = 1\napprovals = 11", "at `approvals`"),
        ("version = 1\napprovals = '2'", "at `approvals`"),
        ("version = 1\nown_approval = 0", "at `own_approval`"),
        ("version = 1\napprovers = []", "at `approvers`"),
        ("version = 1\napprovers = ['Emperor']", "unknown role"),
        ("version = 1\nsigned_by = []", "at `signed_by`"),
        ("version = 1\nscan = 'any'", "at `scan`"),
        ("version = 1\nerased = 'refuse'", "at `erased`"),
        ("version = 1\n[[assessments]]\nkind = 'Robust Ness'\nnewer_than_days = 1", "assessments"),
        ("version = 1\n[[assessments]]\nkind = 'a'\nnewer_than_days = 0", "newer_than_days"),
        (
            "version = 1\n" + "[[assessments]]\nkind = 'a'\nnewer_than_days = 1\n" * 2,
            "twice",
        ),
        ("version = 1\n[retention]\nkeep_versions = -1", "keep_versions"),
        ("version = 1\nx = " + "[" * 5_000 + "]" * 5_000, "not TOML|nested"),
    ],
)
def test_rules_with_a_mistake_say_where(text: str, where: str) -> None:
    with pytest.raises(ValidationError, match=where):
        parse_rules(text)


def test_a_clean_version_of_known_data_is_admitted_by_another() -> None:
    assert unmet(rules(), CASE) == {}
    assert unmet(rules(), CASE, None) == {"approvals": "0 of 1 approvals"}


def test_findings_are_accepted_by_everybody_who_approves_or_not_at_all() -> None:
    found = replace(CASE, verdict="review", reason="a person must decide: unknown class")
    accepting = replace(MAX, accepts_findings=True)
    assert unmet(rules(), found, accepting) == {}
    assert unmet(rules(), found) == {"scan": "the scan asks for a person: unknown class"}
    assert "clean" in unmet(rules(scan="'clean'"), found, accepting)["scan"]
    only = rules(findings_accepted_by="['Owner']")
    assert unmet(only, found, accepting) == {"scan": "max may not accept what the scan found"}
    two = rules(approvals="2")
    assert "scan" in unmet(two, replace(found, approved=[OLGA]), accepting)
    both = replace(found, approved=[replace(OLGA, accepts_findings=True)])
    assert unmet(two, both, accepting) == {}
    assert "nobody has accepted" in unmet(rules(), found, None)["scan"]


def test_a_version_is_signed_by_a_key_that_the_rules_name() -> None:
    assert unmet(rules(signed_by="['aa']"), CASE) == {}
    assert "aa" in unmet(rules(signed_by="['bb', 'cc']"), CASE)["signature"]
    assert unmet(rules(signed_by="['bb', 'home']"), CASE) == {}


def test_an_assessment_is_there_has_passed_and_is_new() -> None:
    asked = rules("\n[[assessments]]\nkind = 'robustness'\nnewer_than_days = 30\n")
    assert unmet(asked, CASE) == {
        "assessment": "no assessment of kind robustness under the plan in force"
    }
    for days, passed, words in ((29, True, ""), (31, True, "older"), (1, False, "did not pass")):
        done = {"robustness": Assessed(NOW - timedelta(days=days), passed)}
        says = unmet(asked, replace(CASE, assessments=done)).get("assessment", "")
        assert words in says
        assert bool(words) == bool(says)


def test_a_purpose_is_one_of_its_data() -> None:
    asked = rules("\n[also_for]\ntriage = ['teaching']\n", purposes="'compatible'")

    def of(purpose: str, case: Case = CASE) -> str:
        return unmet(asked, case, replace(MAX, purpose=purpose)).get("purpose", "")

    assert "not said" in of("")
    assert of("triage") == of("teaching") == ""
    assert "visits/2" in of("advertising")
    bills = replace(VISITS, name="bills", purpose="billing")
    assert "bills/2" in of("triage", replace(CASE, sources=(VISITS, bills)))
    approved = replace(CASE, approved=[replace(OLGA, purpose="teaching")])
    assert "different purposes" in of("triage", approved)


def test_unknown_and_erased_data() -> None:
    unknown = replace(VISITS, state=SourceState.UNKNOWN, purpose="")
    strict = rules(unknown_data="'refuse'")
    assert "visits/2" in unmet(strict, replace(CASE, sources=(unknown,)))["data"]
    assert "nobody recorded" in unmet(strict, replace(CASE, sources=()))["data"]
    assert unmet(strict, CASE) == {}
    erased = replace(CASE, sources=(replace(VISITS, state=SourceState.ERASED),))
    assert "visits/2" in unmet(rules(), erased)["erased_data"]
    warned = judge(rules(erased_data="'warn'"), erased, NOW, MAX)
    assert [one.code for one in warned if one.warns] == ["erased_data"]
    assert all(one.is_met for one in warned)


def test_who_may_approve() -> None:
    own = replace(MAX, id="dana")
    assert "registers" in unmet(rules(), CASE, own)["approver"]
    assert unmet(rules(own_approval="true"), CASE, own) == {}
    program = replace(MAX, is_person=False)
    assert unmet(rules(), CASE, program)["approver"] == "only people approve"
    reader = replace(MAX, roles=frozenset({"Reader"}))
    assert "no role" in unmet(rules(), CASE, reader)["approver"]
    for one, admitted in ((MAX, True), (own, False), (program, False), (reader, False)):
        assert counts(rules(), CASE, one) is admitted


def test_approvals_are_of_different_people() -> None:
    two = rules(approvals="2")
    assert unmet(two, CASE) == {"approvals": "1 of 2 approvals: max"}
    assert unmet(two, replace(CASE, approved=[MAX])) == {"approvals": "1 of 2 approvals: max"}
    assert unmet(two, replace(CASE, approved=[OLGA])) == {}
