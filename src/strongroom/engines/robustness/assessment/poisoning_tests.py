"""The tests of threat 1, poisoning: on the training rows, and on the model that knows them."""

from collections.abc import Callable
from dataclasses import replace

from strongroom.engines.robustness.assessment.listing import Listed, fresh
from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.engines.robustness.assessment.running import Progress
from strongroom.engines.robustness.assessment.subject import Sample, Subject
from strongroom.engines.robustness.outcome import Gate, Outcome
from strongroom.engines.robustness.poisoning import assessment as room
from strongroom.engines.robustness.poisoning.numbers_assessment import (
    NumberTable,
    number_duplicates_test,
    number_labels_test,
    number_sources_test,
)
from strongroom.engines.robustness.poisoning.table import Table
from strongroom.engines.robustness.recipes import reference

GATES = {
    "poisoning.labels": (Gate("flagged share", "at most", 0.02),),
    "poisoning.backdoor": (Gate("triggers", "at most", 0.0),),
    "poisoning.sources": (Gate("sources of more suspects", "at most", 0.0),),
    "poisoning.trigger_sweep": (Gate("success of a planted trigger", "at most", 0.5),),
}
"""Proposals; see docs/robustness-poisoning.md."""

Search = Callable[[Table, Subject, int, Progress], Outcome]


def listed() -> tuple[Listed, ...]:
    """The tests."""
    searches: dict[str, tuple[str, Search]] = {
        "poisoning.labels": (
            "Labels that the other rows contradict",
            lambda table, _, seed, progress: room.labels_test(table, seed, progress=progress),
        ),
        "poisoning.backdoor": (
            "Values that go with a label against all else",
            lambda table, _, seed, progress: room.backdoor_test(table, seed, progress=progress),
        ),
        "poisoning.sources": ("Each source against all others", _sources),
        "poisoning.duplicates": ("Rows that are there twice", _duplicates),
        "poisoning.outliers": (
            "Rows unlike all others",
            lambda table, _, seed, progress: room.outliers_test(table, seed, progress=progress),
        ),
        "poisoning.trigger_sweep": ("Values that turn the model's answers", _sweep),
    }
    return tuple(
        Listed(
            test,
            room.THREAT,
            title,
            GATES.get(test, ()),
            _on_table(test, search),
            needs_model=test == "poisoning.trigger_sweep",
        )
        for test, (title, search) in searches.items()
    )


def _on_table(test: str, search: Search) -> Callable[[Subject, Plan, int, Progress], Outcome]:
    def run(subject: Subject, plan: Plan, seed: int, progress: Progress) -> Outcome:
        reason = _why_not(subject, test)
        sample = subject.every_row or subject.trained
        if reason or sample is None:
            return Outcome(test, room.THREAT, ("AML.T0020",), reason=reason)
        if not subject.classes:
            return _named(_on_numbers(test, subject, sample, plan, seed, progress), sample)
        return _named(search(_table(subject, sample), subject, seed, progress), sample)

    return run


def _named(outcome: Outcome, sample: Sample) -> Outcome:
    """Rows of the quarantine list by their number in the data, 1 for the first, and pseudonym."""
    found = outcome.listed.get("quarantine")
    if not found:
        return outcome
    named = [
        {
            **one,
            "row": int(sample.places[one["row"]]) + 1,
            "name": sample.pseudonyms[one["row"]] if sample.pseudonyms else "",
        }
        for one in found
    ]
    return replace(outcome, listed={**outcome.listed, "quarantine": named})


def _why_not(subject: Subject, test: str) -> str:
    if subject.trained is None:
        return "it takes the rows that the model was trained on"
    if not subject.classes:
        if test in {"poisoning.backdoor", "poisoning.trigger_sweep"}:
            return "it compares classes: a regression has none"
        return "" if len(subject.trained.numbers) else "the rows have no numbers to learn"
    return "" if len(subject.trained.labels) else "the rows have no labels"


def _on_numbers(
    test: str, subject: Subject, sample: Sample, plan: Plan, seed: int, progress: Progress
) -> Outcome:
    """The search of that name on the rows of a regression."""
    given = NumberTable.of(subject.space, sample.rows, sample.numbers, sample.sources)
    held = subject.held_out
    match test:
        case "poisoning.labels":
            return number_labels_test(given, seed, progress)
        case "poisoning.sources":
            known = held is not None and len(held.numbers) > 0
            judges = (held.rows, held.numbers) if held is not None and known else None
            return number_sources_test(given, seed, progress, judges)
        case "poisoning.duplicates":
            return number_duplicates_test(
                given, seed, progress, held=None if held is None else held.rows,
                tolerance=plan.evasion.tolerance,
            )  # fmt: skip
        case _:
            return room.outliers_test(given.table, seed, progress=progress)


def _table(subject: Subject, sample: Sample) -> Table:
    return Table.of(
        subject.space, sample.rows, sample.labels, classes=len(subject.classes),
        sources=sample.sources or None,
    )  # fmt: skip


def _sources(table: Table, subject: Subject, seed: int, progress: Progress) -> Outcome:
    recipe = reference("boosting", len(subject.classes))
    held = None
    if subject.held_out is not None and len(subject.held_out.labels):
        held = _table(subject, subject.held_out)
    return room.sources_test(table, recipe, seed, progress, held=held)


def _duplicates(table: Table, subject: Subject, seed: int, progress: Progress) -> Outcome:
    held = subject.held_out.rows if subject.held_out is not None else None
    return room.duplicates_test(table, seed, progress=progress, held=held)


def _sweep(table: Table, subject: Subject, seed: int, progress: Progress) -> Outcome:
    clean = subject.held_out.rows if subject.held_out is not None else None
    return room.sweep_test(table, fresh(subject), seed, progress=progress, clean=clean)
