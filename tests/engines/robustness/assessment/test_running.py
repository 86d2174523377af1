"""An assessment as a whole: order, seeds, gates, breaks, time, and what is told of it."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest

from strongroom.engines.robustness.assessment import document
from strongroom.engines.robustness.assessment.page import content_security_policy, report_page
from strongroom.engines.robustness.assessment.plan import DEFAULT_TEXT, Plan, parse_plan
from strongroom.engines.robustness.assessment.running import Progress, Ran, Verdict, assess
from strongroom.engines.robustness.assessment.subject import Subject
from strongroom.engines.robustness.assessment.table import (
    classes_of,
    features_of,
    sample_of,
    space_of,
)
from strongroom.engines.robustness.outcome import (
    Canary,
    Curve,
    Gate,
    Measure,
    Outcome,
    Status,
)
from strongroom.engines.robustness.target import Scores, Target
from strongroom.errors import TooLargeError, ValidationError

TABLE = pa.table(
    {
        "age": [20, 30, 40, None, 60, 25],
        "work": ["day", "night", None, "day", "day", "night"],
        "weight": [60.5, 70.25, 80.0, 90.0, 75.0, 55.0],
        "id": ["a", "b", "c", "d", "e", "f"],
        "ill": ["no", "yes", "no", "no", "yes", "perhaps"],
    }
)
PLAN = parse_plan(
    'version = 1\n[columns]\nlabel = "ill"\nleft_out = ["id"]\ngroups = ["work"]\n'
    'pseudonym = "id"\n[features.age]\ndirection = "up"\nhigh = 90\n'
)


def subject() -> Subject:
    features = features_of(TABLE, PLAN.columns)
    space = space_of([TABLE], features, PLAN)
    sample, remarks = sample_of(TABLE, space, features, PLAN.columns, ("no", "yes"))

    def predict(rows: np.ndarray) -> Scores:
        return np.tile([0.25, 0.75], (len(rows), 1))

    return Subject(
        Target(predict, classes=2),
        space,
        ("no", "yes"),
        sample,
        None,
        predict,
        remarks=tuple(remarks),
    )


@dataclass(frozen=True)
class Made:
    """A test whose outcome is given."""

    id: str = "evasion.made"
    threat: int = 3
    title: str = "Made"
    gates: tuple[Gate, ...] = (Gate("share", "at most", 0.5),)
    run_: Callable[[Subject, Plan, int, Progress], Outcome] = field(
        default=lambda *_: Outcome("evasion.made", 3, ())
    )

    def gates_on(self, subject: Subject, plan: Plan) -> tuple[Gate, ...]:
        assert subject.classes
        return plan.gates.get(self.id, self.gates)

    def run(self, subject: Subject, plan: Plan, seed: int, progress: Progress) -> Outcome:
        return self.run_(subject, plan, seed, progress)


def made(share: float = 0.2, *, found: bool = True, reason: str = "", test: str = "a.a") -> Made:
    outcome = Outcome(
        test, 3, ("AML.T0043",), (Measure("share", share, 0.1, 0.3, "share"),),
        Canary("a row", found, "here"), reason=reason,
    )  # fmt: skip
    return Made(test, run_=lambda *_: outcome)


# ---- rows ----


def test_rows_become_a_sample() -> None:
    about = subject()
    sample = about.rows
    assert [one.name for one in about.space.features] == ["age", "work", "weight"]
    age, work, weight = about.space.features
    assert (age.low, age.high, age.step, age.direction) == (20, 90, 1, 1)
    assert (work.levels, weight.step) == (("", "day", "night"), 0)
    assert sample.places.tolist() == [0, 1, 2, 4]
    assert sample.labels.tolist() == [0, 1, 0, 1]
    assert sample.groups == {"work": ("day", "night", "", "day")}
    assert [sample.name(at) for at in range(4)] == ["a", "b", "c", "e"]
    assert about.remarks == (
        "1 of 6 rows lack a number and were left out",
        "1 rows have a label that the model does not know: left out",
    )
    part = sample.part(np.array([False, True, False, True]))
    assert (part.places.tolist(), part.pseudonyms) == ([1, 4], ("b", "e"))
    assert about.space.valid(sample.rows, sample.rows).all()


def test_classes_are_ordered_as_numbers_where_they_are_some() -> None:
    assert classes_of([pa.table({"y": [10, 9, None, 1]})], "y") == ("1", "9", "10")
    assert classes_of([pa.table({"y": ["b", "a"]})], "y") == ("a", "b")


@pytest.mark.parametrize(
    ("table", "text", "names"),
    [
        (TABLE.drop_columns(["ill"]), "", "ill"),
        (TABLE.append_column("when", pa.array([None] * 6, pa.date32())), "", "when"),
        (TABLE, "[features.height]\nlow = 1", "height"),
        (TABLE, "[features.age]\nlow = 99", "age"),
        (TABLE.slice(3, 1), "", "no row"),
    ],
    ids=["no label", "a date", "no such feature", "no row in range", "nothing left"],
)
def test_rows_that_do_not_fit_are_told(table: pa.Table, text: str, names: str) -> None:
    plan = replace(PLAN, features=parse_plan(f"version = 1\n{text}").features)
    with pytest.raises(ValidationError, match=names):
        sampled(table, plan)


def sampled(table: pa.Table, plan: Plan) -> None:
    features = features_of(table, plan.columns)
    sample_of(table, space_of([table], features, plan), features, plan.columns, ("no", "yes"))


def test_words_where_numbers_are_due_are_told_without_a_value() -> None:
    plan = parse_plan('version = 1\n[columns]\nlabel = "ill"\n')
    table = pa.table({"age": [70.0, 30.0], "ill": ["secret", "well"]})
    features = features_of(table, plan.columns)
    space = space_of([table], features, plan)
    with pytest.raises(ValidationError, match="names no classes") as raised:
        sample_of(table, space, features, plan.columns, ())
    assert "secret" not in raised.value.message + raised.value.next_step
    other = pa.table({"age": ["secret", "30"], "ill": [1, 0]})
    with pytest.raises(ValidationError, match="`age` holds numbers in one table") as raised:
        space_of([table, other], features, plan)
    assert "secret" not in raised.value.message + raised.value.next_step


# ---- running ----


def test_each_test_has_a_seed_of_its_own_and_the_same_each_time() -> None:
    seeds: dict[str, list[int]] = {}

    def run(_subject: Subject, _plan: Plan, seed: int, _progress: Progress) -> Outcome:
        seeds.setdefault("x", []).append(seed)
        return Outcome("x", 3, ())

    tests = [Made("one", run_=run), Made("two", run_=run)]
    for _ in "ab":
        assess(subject(), PLAN, tests)
    first, second, third, fourth = seeds["x"]
    assert (first, second) == (third, fourth)
    assert first != second
    assess(subject(), replace(PLAN, seed=2), tests)
    assert seeds["x"][4] != first


@pytest.mark.parametrize(
    ("tests", "verdict"),
    [
        ([made(), made(test="b.b")], Verdict.PASSED),
        ([made(), made(0.9, test="b.b")], Verdict.FAILED),
        ([made(0.9), made(found=False, test="b.b")], Verdict.INVALID),
        ([made(), made(reason="one class", test="b.b")], Verdict.PASSED),
        ([made(reason="one class")], Verdict.INVALID),
        ([replace(made(), gates=())], Verdict.INVALID),
        ([], Verdict.INVALID),
    ],
    ids=[
        "all kept",
        "one not",
        "canary missed",
        "one does not apply",
        "none applies",
        "no gate",
        "none run",
    ],
)
def test_the_verdict_is_the_worst(tests: list[Made], verdict: Verdict) -> None:
    assert assess(subject(), PLAN, tests).verdict is verdict


def test_a_test_that_must_apply_and_does_not_fails() -> None:
    plan = replace(PLAN, required=("a.a",))
    assert assess(subject(), plan, [made(reason="one class")]).verdict is Verdict.FAILED


def test_the_gates_of_the_plan_stand_in_place_of_the_others() -> None:
    plan = replace(PLAN, gates={"a.a": (Gate("share", "at most", 0.1),)})
    report = assess(subject(), plan, [made()])
    assert (report.verdict, report.ran[0].gates) == (Verdict.FAILED, plan.gates["a.a"])


def test_a_break_is_told_and_the_rest_goes_on() -> None:
    def run(*_: object) -> Outcome:
        raise ValidationError("the rows are odd")

    def crash(*_: object) -> Outcome:
        raise ValueError("secret value 4711")  # what a library says may quote a row

    report = assess(subject(), PLAN, [Made("x.x", run_=run), Made("y.y", run_=crash), made()])
    assert report.verdict is Verdict.INVALID
    assert [one.status for one in report.ran] == [None, None, Status.PASSED]
    assert report.ran[0].broke == "the rows are odd"
    assert "4711" not in json.dumps(document.report_json(report))


def test_time_that_is_used_up_is_told_and_nothing_passes() -> None:
    now = [0.0]

    def run(_subject: Subject, _plan: Plan, _seed: int, progress: Progress) -> Outcome:
        for share in range(1_000):
            now[0] += 1.0
            progress(share / 1_000)
        raise AssertionError("it went on for ever")

    plan = replace(PLAN, minutes=0.5)
    report = assess(subject(), plan, [Made("x.x", run_=run), made()], clock=lambda: now[0])
    assert report.verdict is Verdict.INVALID
    assert [one.status for one in report.ran] == [None, None]
    assert "0.5 minutes" in report.ran[1].broke


def test_it_goes_on_where_it_was_broken_off() -> None:
    ran: list[str] = []

    def counted(test: str) -> Made:
        def run(*_: object) -> Outcome:
            ran.append(test)
            measures = (Measure("reach", math.inf), Measure("share", 0.1, None, None, "share"))
            return Outcome(test, 3, (), measures, listed={"rows": [{"row": "a", "score": 0.5}]})

        return Made(test, run_=run)

    tests = [counted("a.a"), counted("b.b"), counted("c.c")]
    kept: list[Ran] = []
    whole = assess(subject(), PLAN, tests, each=kept.append)
    done = document.resumed(document.kept(kept[:2]))
    ran.clear()
    again = assess(subject(), PLAN, tests, done=done)
    assert ran == ["c.c"]
    assert [(one.test, one.status, one.outcome) for one in again.ran] == [
        (one.test, one.status, one.outcome) for one in whole.ran
    ]


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b'{"version": 2, "tests": []}', b'{"version": 1, "tests": [{}]}', b"\xff",
     b'{"version": 1, "tests": [{"test": 1}]}', b"[" * 100_000],
    ids=["nothing", "empty", "version", "no test", "no text", "types", "deep"],
)  # fmt: skip
def test_what_was_kept_and_is_damaged_is_refused(data: bytes) -> None:
    with pytest.raises(ValidationError, match="kept"):
        document.resumed(data)


def test_what_was_kept_has_a_limit() -> None:
    with pytest.raises(TooLargeError):
        document.resumed(b" " * (document.MAX_BYTES + 1))


@pytest.mark.parametrize(
    "changes",
    [{"tests": ("no.no",)}, {"required": ("no.no",)}, {"gates": {"no.no": ()}},
     {"tests": ("a.a",), "required": ("b.b",)}],
    ids=["test", "required", "gate", "required and not run"],
)  # fmt: skip
def test_a_plan_of_unknown_tests_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"no\.no|b\.b"):
        assess(subject(), replace(PLAN, **changes), [made(), made(test="b.b")])  # type: ignore[arg-type] # a test's own


# ---- what is told ----


class Words(HTMLParser):
    """The text of a page, and what it would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.active: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "img", "iframe", "link", "object"}:
            self.active.append(tag)
        self.active += [name for name, _ in attrs if name.startswith("on") or name == "style"]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_tells_all_and_runs_nothing() -> None:
    evil = "<script>alert(1)</script>"
    outcome = Outcome(
        "a.a", 2, ("AML.T0024",),
        (Measure(evil, 0.25, 0.1, 0.4, "share"), Measure("queries", math.inf, unit="queries")),
        Canary(evil, False, "nothing"),
        (Curve(evil, "queries", "fidelity", ((100, 0.5, 0.4, 0.6), (10_000, 0.9, 0.85, 0.95))),
         Curve("flat", "queries", "fidelity", ((1, math.nan, 0, 0), (2, 0.1, 0.1, 0.1)))),
        (evil,), {"rows": [{"row": evil}]}, 12_345,
    )  # fmt: skip
    gates = (Gate(evil, "at most", 0.3, "worst"),)
    report = assess(subject(), PLAN, [Made("a.a", 2, evil, gates, lambda *_: outcome)])
    page = report_page(report, model=evil, made="today.")
    parser = Words()
    parser.feed(page)
    text = " ".join(parser.text)
    assert parser.active == []
    assert content_security_policy().startswith("default-src 'none'; style-src 'sha256-")
    for told in (evil, "invalid", "missed", "25.00 %", "10.00 % to 40.00 %", "without end",
                 "12,345 rows asked", "AML.T0024", PLAN.digest, "not kept"):  # fmt: skip
        assert told in text


def test_the_json_of_a_report_is_whole() -> None:
    many = {"rows": [{"row": f"row {at}"} for at in range(document.MAX_LISTED + 5)]}
    outcome = Outcome("a.a", 3, (), (Measure("x", math.inf),), listed=many)
    found = document.report_json(assess(subject(), PLAN, [Made("a.a", run_=lambda *_: outcome)]))
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again["verdict"] == "failed"
    assert again["plan"]["digest"] == PLAN.digest
    told = again["tests"][0]["outcome"]
    assert told["measures"][0]["value"] == "inf"
    assert len(told["listed"]["rows"]) == document.MAX_LISTED
    assert told["listed"]["rows_left_out"] == 5
    assert parse_plan(DEFAULT_TEXT).name == again["kind"]
