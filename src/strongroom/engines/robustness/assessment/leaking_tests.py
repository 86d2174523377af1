"""The tests of what a model's files and its server give away, on a subject."""

from strongroom.engines.robustness.assessment.listing import Listed
from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.engines.robustness.assessment.running import Progress
from strongroom.engines.robustness.assessment.subject import Subject
from strongroom.engines.robustness.leakage import tests as leakage
from strongroom.engines.robustness.outcome import Outcome


def listed() -> tuple[Listed, ...]:
    """The tests."""
    return tuple(
        Listed(name, leakage.THREAT, title, leakage.GATES[name], runs)
        for name, title, runs in (
            (leakage.ROWS, "Training rows in the model's files", _rows),
            (leakage.SECRETS, "Secrets in the model's files", _secrets),
            (leakage.WORDS, "What the server says beside its answers", _words),
        )
    )


def _rows(subject: Subject, _plan: Plan, seed: int, progress: Progress) -> Outcome:
    trained = subject.trained
    if not subject.files:
        return _reason(leakage.ROWS, "the model's files are not at hand")
    if trained is None:
        return _reason(leakage.ROWS, "it takes rows that the model was trained on")
    return leakage.rows_in_files(
        subject.files, trained.rows, subject.space, seed, progress, trained.name
    )


def _secrets(subject: Subject, _plan: Plan, _seed: int, _progress: Progress) -> Outcome:
    if subject.scanned is None:
        return _reason(leakage.SECRETS, "the model's files are not at hand")
    return leakage.secrets_in_files(subject.scanned)


def _words(subject: Subject, _plan: Plan, _seed: int, progress: Progress) -> Outcome:
    if subject.speaks is None:
        return _reason(leakage.WORDS, "the model is asked without a server, so none says anything")
    trained = None if subject.trained is None else subject.trained.rows
    return leakage.words_in_answers(
        subject.speaks, subject.rows.rows, trained, subject.space, progress
    )


def _reason(test: str, reason: str) -> Outcome:
    return Outcome(test, leakage.THREAT, leakage.ATLAS[test], reason=reason)
