"""`strongroom attack`: an assessment of a model on disk or behind an address; without a server."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa

from strongroom.engines.crypto.model_signature import WHOLE_FILE, Serialization
from strongroom.engines.robustness.assessment import document, running
from strongroom.engines.robustness.assessment.catalog import tests
from strongroom.engines.robustness.assessment.page import report_page
from strongroom.engines.robustness.assessment.plan import (
    DEFAULT_TEXT,
    MAX_CHARACTERS,
    Plan,
    parse_plan,
)
from strongroom.engines.robustness.assessment.running import Ran, Report, Verdict
from strongroom.engines.robustness.assessment.subject import Subject
from strongroom.errors import UsageError
from strongroom.faces.cli import attack_shown, output
from strongroom.faces.cli.attack_address import Address, Asked
from strongroom.faces.cli.drafts import draft, ending_cleanly, require_apart, require_free
from strongroom.faces.cli.model_folder import find
from strongroom.faces.cli.study import StudyOptions, small_text
from strongroom.faces.cli.training import whole_table
from strongroom.services.jobs import sandbox
from strongroom.services.models.assessed import subject_of
from strongroom.services.models.subjects import confined

EXIT_CODES = {Verdict.PASSED: 0, Verdict.FAILED: 6, Verdict.INVALID: 1}
"""Verdict → exit code: 6 as of findings above a threshold, 1 where nothing can be concluded."""


@dataclass(frozen=True, slots=True)
class AttackOptions:
    """What was asked for.

    Attributes:
        data: rows that the model was trained on; empty for unknown.
        held_out: rows that it never saw.
        plan: file; None: the default plan with what the other options say.
        keep: file in which what is done is kept, so that a broken assessment can go on.
        memory_bytes: of the sandbox in which the model runs.
    """

    study: StudyOptions
    data: str = ""
    held_out: str = ""
    plan: Path | None = None
    label: str = ""
    tests: tuple[str, ...] = ()
    rows: int | None = None
    minutes: float | None = None
    seed: int | None = None
    left_out: tuple[str, ...] = ()
    epsilon: float | None = None
    address: Address = field(default_factory=Address)
    keep: Path | None = None
    report: Path | None = None
    html: Path | None = None
    draft_plan: Path | None = None
    memory_bytes: int = 4 << 30
    force: bool = False
    as_json: bool = False


def run_attack(model: str, options: AttackOptions) -> int:
    """Assess, show, and give the exit code."""
    _require_outputs(model, options)
    plan = plan_of(options)
    running.chosen_tests(plan, tests())
    if options.draft_plan is not None:
        _write_plan(plan, options)
        return 0
    with ending_cleanly():
        trained = whole_table(options.data, options.study) if options.data else None
        held_out = whole_table(options.held_out, options.study) if options.held_out else None
        with _subject(model, plan, trained, held_out, options) as subject:
            report = _assessed(subject, plan, options)
    made = f"Made by strongroom {version('strongroom')} at {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
    shown = {**document.report_json(report), "model": _name(model), "made": made}
    if options.html is not None:
        page = report_page(report, model=_name(model), made=made)
        _write(options.html, page.encode(), options)
    if options.report is not None:
        _write(options.report, json.dumps(shown, indent=1, ensure_ascii=False).encode(), options)
    if options.as_json:
        output.data(shown, as_json=True)
    else:
        attack_shown.show(report)
    if options.keep is not None:
        options.keep.unlink(missing_ok=True)
    return EXIT_CODES[report.verdict]


def plan_of(options: AttackOptions) -> Plan:
    """The plan that the options name, with what they change of it. Raises: ValidationError."""
    text = DEFAULT_TEXT if options.plan is None else small_text(options.plan, MAX_CHARACTERS)
    plan = parse_plan(text)
    lines = [
        f"{name} = {json.dumps(value)}"
        for name, value in (
            ("rows", options.rows), ("minutes", options.minutes), ("seed", options.seed),
            ("tests", list(options.tests) or None),
        ) if value is not None
    ]  # fmt: skip
    columns = [
        f"{name} = {json.dumps(value, ensure_ascii=False)}"
        for name, value in (("label", options.label), ("left_out", list(options.left_out)))
        if value
    ]
    if not lines and not columns:
        return plan
    if options.plan is not None:
        raise UsageError(
            "a plan says all: --label, --test, --rows, --minutes, --seed, --leave-out are for "
            "runs without one",
            next_step="put it into the plan",
        )
    return parse_plan(text + "\n".join([*lines, *(["[columns]", *columns] if columns else []), ""]))


def _require_outputs(model: str, options: AttackOptions) -> None:
    for to in (options.report, options.html, options.draft_plan):
        if to is not None:
            require_free(to, force=options.force)
    read = [Path(one) for one in (options.data, options.held_out) if one and one != "-"]
    places = [] if _is_address(model) else [Path(model)]
    require_apart(
        (options.report, options.html, options.draft_plan, options.keep), [*read, *places]
    )
    if not options.data and not options.held_out and options.draft_plan is None:
        raise UsageError("give rows: --data FILE that it was trained on, --held-out FILE, or both")


def _is_address(model: str) -> bool:
    return model.startswith(("https://", "http://"))


def _name(model: str) -> str:
    return model if _is_address(model) else Path(model).resolve().name


@contextmanager
def _subject(
    model: str, plan: Plan, trained: pa.Table | None, held_out: pa.Table | None,
    options: AttackOptions,
) -> Iterator[Subject]:  # fmt: skip
    """The model with its rows, as long as it is needed."""
    if _is_address(model):
        with Asked(model, options.address) as asked:
            yield subject_of(plan, trained, held_out, asked.predict, epsilon=options.epsilon)
        return
    folder = find(Path(model), Serialization())
    files = {
        (one.place.name if one.path == WHOLE_FILE else one.path): one.place for one in folder.files
    }
    limits = sandbox.Limits(memory_bytes=options.memory_bytes, wall_seconds=600.0)
    with confined(files, limits=limits) as assessed:
        yield subject_of(plan, trained, held_out, assessed, epsilon=options.epsilon)


def _assessed(subject: Subject, plan: Plan, options: AttackOptions) -> Report:
    done: dict[str, Ran] = {}
    if options.keep is not None and options.keep.exists():
        done = attack_shown.kept_for(options.keep, plan)
    finished = dict(done)

    def each(ran: Ran) -> None:
        finished[ran.test] = ran
        if options.keep is not None:
            attack_shown.keep(options.keep, plan, list(finished.values()))

    with output.stages("attacking") as tell:
        return running.assess(
            subject, plan, tests(), done=done, each=each, progress=tell, clock=subject.clock
        )


def _write_plan(plan: Plan, options: AttackOptions) -> None:
    assert options.draft_plan is not None  # noqa: S101 # asked for
    _write(options.draft_plan, attack_shown.drafted(plan, tests()).encode(), options)
    output.words(f"wrote {options.draft_plan}: set the gates there before the first run")


def _write(to: Path, content: bytes, options: AttackOptions) -> None:
    with draft(to, force=options.force) as file:
        file.write(content)
