"""`strongroom attack`: an assessment of a model on disk or behind an address; without a server."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa

from strongroom.engines.crypto.model_signature import WHOLE_FILE, Serialization
from strongroom.engines.crypto.signing import Signs
from strongroom.engines.robustness.assessment import document, running
from strongroom.engines.robustness.assessment.catalog import tests
from strongroom.engines.robustness.assessment.page import report_page
from strongroom.engines.robustness.assessment.plan import (
    DEFAULT_TEXT,
    MAX_CHARACTERS,
    Plan,
    parse_plan,
)
from strongroom.engines.robustness.assessment.running import Report, Verdict
from strongroom.engines.robustness.assessment.subject import Subject
from strongroom.engines.robustness.leakage import carried
from strongroom.errors import UsageError
from strongroom.faces.cli import attack_shown, output
from strongroom.faces.cli.attack_address import Address, Asked
from strongroom.faces.cli.attack_inputs import Inputs, inputs_of
from strongroom.faces.cli.attack_rows import EvasionOptions, label_of, rows_of
from strongroom.faces.cli.attack_signing import SUFFIX, signed, signing_key
from strongroom.faces.cli.drafts import draft, ending_cleanly, require_apart, require_free
from strongroom.faces.cli.files import STDIN
from strongroom.faces.cli.kept_assessment import assessed
from strongroom.faces.cli.model_folder import Look, OpenFiles, find
from strongroom.faces.cli.quarantine_file import write_list
from strongroom.faces.cli.study import StudyOptions, small_text
from strongroom.services.jobs import sandbox
from strongroom.services.models.assessed import subject_of
from strongroom.services.models.claims import claimed_privacy
from strongroom.services.models.leak_scanning import scanned
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
        quarantine: file for the list of suspect training rows.
        keep: file in which what is done is kept, so that a broken assessment can go on.
        sign: private key in PEM, or the URI of a key in a device, that signs the report.
        passphrase_file: of an encrypted key; else it is asked for.
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
    sign: str | None = None
    passphrase_file: str | None = None
    report: Path | None = None
    html: Path | None = None
    draft_plan: Path | None = None
    quarantine: Path | None = None
    evasion: EvasionOptions = field(default_factory=EvasionOptions)
    memory_bytes: int = 4 << 30
    force: bool = False
    as_json: bool = False


def run_attack(model: str, options: AttackOptions) -> int:
    """Assess, show, and give the exit code."""
    _require_outputs(model, options)
    if not model and options.plan is None and not options.tests:
        alone = tuple(one.id for one in tests() if not one.needs_model)
        options = replace(options, tests=alone)
    plan = plan_of(options)
    running.chosen_tests(plan, tests())
    if options.draft_plan is not None:
        _write_plan(plan, options)
        return 0
    with ExitStack() as stack:
        key = None
        if options.sign is not None:  # a key that cannot be had is told before the work
            key = stack.enter_context(signing_key(options.sign, options.passphrase_file))
        report = _attacked(model, plan, key, options)
    return EXIT_CODES[report.verdict]


def _attacked(model: str, plan: Plan, key: Signs | None, options: AttackOptions) -> Report:
    """Assess, write and show."""
    with ending_cleanly():
        inputs = _inputs(model, options)
        if options.keep is not None and options.keep.exists():
            # A file of another assessment is told before a model is loaded.
            attack_shown.kept_for(options.keep, plan, inputs)
        label = plan.columns.label
        trained = rows_of(options.data, options.study, label) if options.data else None
        held_out = rows_of(options.held_out, options.study, label) if options.held_out else None
        with _subject(model, plan, trained, held_out, options) as subject:
            with output.stages("attacking") as tell:
                report = assessed(subject, plan, options.keep, lambda: inputs, tell)
            classes = subject.classes
        inputs.require_unchanged()
    shown = _write_reports(model, report, inputs, key, options)
    if options.quarantine is not None and trained is not None:
        write_list(options.quarantine, report, trained, classes, force=options.force)
    if options.as_json:
        output.data(shown, as_json=True)
    else:
        attack_shown.show(report)
    if options.keep is not None:
        options.keep.unlink(missing_ok=True)
    return report


def _inputs(model: str, options: AttackOptions) -> Inputs:
    given = {"trained": options.data, "held_out": options.held_out}
    rows = {name: None if one == STDIN else Path(one) for name, one in given.items() if one}
    is_address = _is_address(model)
    settings: dict[str, object] = {
        "strongroom": version("strongroom"), "epsilon": options.epsilon,
    }  # fmt: skip
    settings |= {"rows_each": options.address.rows_each} if is_address else {}
    on_disk = Path(model) if model and not is_address else None
    return inputs_of(on_disk, model if is_address else "", rows, settings)


def _write_reports(
    model: str, report: Report, inputs: Inputs, key: Signs | None, options: AttackOptions
) -> dict[str, Any]:
    """Write what was asked for; the report as JSON."""
    now = datetime.now(UTC)
    made = f"Made by strongroom {version('strongroom')} at {now:%Y-%m-%d %H:%M} UTC."
    shown = {
        **document.report_json(report), "model": _name(model, options), "made": made,
        "inputs": inputs.fields(),
    }  # fmt: skip
    content = json.dumps(shown, indent=1, ensure_ascii=False).encode()
    page = None
    if options.html is not None:
        page = report_page(report, model=_name(model, options), made=made).encode()
    if key is not None and options.report is not None:
        text = None if page is None else page.decode()
        done = signed(key, report, inputs, content, text, now)
        page = done.page
        _write(_signature(options.report), done.envelope, options)
    if options.html is not None and page is not None:
        _write(options.html, page, options)
    if options.report is not None:
        _write(options.report, content, options)
    return shown


def _signature(report: Path) -> Path:
    return report.with_name(report.name + SUFFIX)


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
    label = options.label
    if options.plan is None:
        label = label_of(label, options.data, options.held_out)
    columns = [
        f"{name} = {json.dumps(value, ensure_ascii=False)}"
        for name, value in (("label", label), ("left_out", list(options.left_out)))
        if value
    ]
    lines += [*(["[columns]", *columns] if columns else []), *options.evasion.lines()]
    if not lines:
        return plan
    if options.plan is not None:
        raise UsageError(
            "a plan says all: --label, --test, --rows, --minutes, --seed, --leave-out, --norm, "
            "--distance, --tolerance and what images are stand in it",
            next_step="put it into the plan",
        )
    return parse_plan(text + "\n".join([*lines, ""]))


def _require_outputs(model: str, options: AttackOptions) -> None:
    if options.sign is not None and options.report is None:
        raise UsageError(
            "a signature is of the report as JSON", next_step="say where it goes: -o report.json"
        )
    if options.sign is not None and STDIN in (options.data, options.held_out):
        raise UsageError(
            "rows from stdin have no digest that others could check", next_step="give them in files"
        )
    signature = None
    if options.sign is not None and options.report is not None:
        signature = _signature(options.report)
    for to in (options.report, signature, options.html, options.quarantine, options.draft_plan):
        if to is not None:
            require_free(to, force=options.force)
    read = [Path(one) for one in (options.data, options.held_out) if one and one != "-"]
    places = [Path(model)] if model and not _is_address(model) else []
    require_apart(
        (
            options.report, signature, options.html, options.quarantine, options.draft_plan,
            options.keep,
        ),
        [*read, *places],
    )  # fmt: skip
    if options.quarantine is not None and not options.data:
        raise UsageError("--quarantine lists training rows: give them with --data FILE")
    if not options.data and not options.held_out and options.draft_plan is None:
        raise UsageError("give rows: --data FILE that it was trained on, --held-out FILE, or both")


def _is_address(model: str) -> bool:
    return model.startswith(("https://", "http://"))


def _name(model: str, options: AttackOptions) -> str:
    if not model:
        return f"rows of {Path(options.data).name}"
    return model if _is_address(model) else Path(model).resolve().name


@contextmanager
def _subject(
    model: str, plan: Plan, trained: pa.Table | None, held_out: pa.Table | None,
    options: AttackOptions,
) -> Iterator[Subject]:  # fmt: skip
    """The model with its rows, as long as it is needed."""
    if not model:
        yield subject_of(plan, trained, held_out, None)
        return
    if _is_address(model):
        with Asked(model, options.address) as asked:
            subject = subject_of(plan, trained, held_out, asked.predict, epsilon=options.epsilon)
            # Whoever is not there, or refuses key or columns, says so before any test.
            subject.predict(subject.rows.rows[:1])
            yield replace(subject, speaks=asked.said)
        return
    folder = find(Path(model), Serialization())
    files = {
        (one.place.name if one.path == WHOLE_FILE else one.path): one.place for one in folder.files
    }
    limits = sandbox.Limits(memory_bytes=options.memory_bytes, wall_seconds=600.0)
    with confined(files, limits=limits) as found, OpenFiles() as opened:
        looks = [
            (name, partial(opened.look, one)) for name, one in zip(files, folder.files, strict=True)
        ]
        content = _bytes_of(looks)
        claim = claimed_privacy({}, content)
        if options.epsilon is not None:
            claim["epsilon"] = options.epsilon
        subject = subject_of(plan, trained, held_out, found, **claim)
        subject.predict(subject.rows.rows[:1])  # as above; here its words may be shown
        yield replace(subject, files=content, scanned=scanned(looks))


def _bytes_of(looks: Sequence[tuple[str, Callable[[], Look]]]) -> dict[str, bytes]:
    """The files' bytes, as many as are looked at."""
    found, left = {}, carried.MAX_BYTES
    for name, look in looks:
        reader, pieces = look(), []
        while left > 0 and (piece := reader.read(left)):
            pieces.append(piece)
            left -= len(piece)
        found[name] = b"".join(pieces)
    return found


def _write_plan(plan: Plan, options: AttackOptions) -> None:
    assert options.draft_plan is not None  # noqa: S101 # asked for
    _write(options.draft_plan, attack_shown.drafted(plan, tests()).encode(), options)
    output.words(f"wrote {options.draft_plan}: set the gates there before the first run")


def _write(to: Path, content: bytes, options: AttackOptions) -> None:
    with draft(to, force=options.force) as file:
        file.write(content)
