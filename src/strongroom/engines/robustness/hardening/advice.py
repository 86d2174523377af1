"""What a way cannot do for the failures of a report, said before anybody pays for it.

Nothing here is measured: these are limits of the ways themselves. What a way did is measured after
it, by the same tests.
"""

from collections.abc import Mapping

from strongroom.engines.robustness.assessment.running import Report
from strongroom.engines.robustness.hardening.ways import Way
from strongroom.engines.robustness.outcome import Status
from strongroom.engines.robustness.target import OutputForm

_EXTRACTION = (
    "Small models of tables are copied with some hundred ordinary queries, whatever is done to "
    "them; only limits and a monitor of callers make that dearer."
)
_ROWS_STAY = "The rows stay as they are: look at the quarantine list, and retrain without those."
_LOAD = "What odd inputs cost or break is the endpoint's to refuse: by its schema and its limits."
_GUARDS = "How well guards see attackers is not changed by the model alone."
_LABELS_MOVE = (
    "Labels are what this attack looks at, and rounding keeps every label: it cannot help there."
)

_CANNOT: Mapping[Way, tuple[tuple[str, str], ...]] = {
    Way.RETRAINED: (
        ("membership.", "Fitting anew on the same rows remembers them anew."),
        ("inference.", "Fitting anew on the same rows tells the same of them."),
        ("evasion.", "Fitting anew moves the boundary, it does not push it away from the rows."),
    ),
    Way.ADVERSARIAL: (
        (
            "membership.",
            (
                "Training harder on each row's neighbourhood often remembers rows better, not "
                "worse (Song, Shokri & Mittal 2019): look whether membership rises."
            ),
        ),
        ("inference.", "It is for changed rows; what answers tell of people is not its business."),
        ("poisoning.", f"A wrong label spreads to the rows it adds. {_ROWS_STAY}"),
    ),
    Way.REGULARISED: (
        (
            "evasion.",
            (
                "A duller model is not one with farther boundaries: that is measured here, not "
                "promised."
            ),
        ),
        (
            "poisoning.backdoor",
            f"A trigger is a strong pattern, which dull models learn too. {_ROWS_STAY}",
        ),
        ("poisoning.", _ROWS_STAY),
    ),
    Way.DROPPING: (
        ("membership.", "A model remembers rows by what is left of them."),
        ("poisoning.", f"Only a trigger in a dropped feature is gone. {_ROWS_STAY}"),
    ),
    Way.ROUNDING: (
        ("membership.label_only", _LABELS_MOVE),
        ("evasion.", f"The model is the same. {_LABELS_MOVE}"),
        ("poisoning.", f"The model is the same. {_ROWS_STAY}"),
        ("inference.", "What labels tell of a person's features stays."),
    ),
    Way.PRIVATE: (
        (
            "evasion.",
            "Its promise is about who was in the data, not about changed inputs.",
        ),
        (
            "poisoning.",
            (
                "It bounds what a few rows can do, and not what many can; at an epsilon above 1 "
                f"that bound is weak. {_ROWS_STAY}"
            ),
        ),
    ),
}
"""Way → test, or the beginning of some → why it cannot mend its failure; the first one speaks."""
_NOBODY = (("extraction.", _EXTRACTION), ("load.", _LOAD), ("guards.", _GUARDS))


def warnings(
    way: Way, before: Report, *, left_out: int = 0, form: OutputForm | None = None
) -> tuple[str, ...]:
    """What a way cannot mend of what failed.

    Args:
        left_out: rows that are left out of the training beside.
        form: of answers, where the way is rounding.
    """
    failed = [one.test for one in before.ran if one.status is Status.FAILED]
    told: dict[str, list[str]] = {}
    for test in failed:
        for beginning, why in (*_CANNOT[way], *_NOBODY):
            if test.startswith(beginning):
                if not (left_out and beginning.startswith("poisoning")):
                    told.setdefault(why, []).append(test)
                break
    found = [f"{', '.join(tests)}: {why}" for why, tests in told.items()]
    if form is not None:
        found += _of_form(form)
    if not failed:
        found.append("No gate was failed before: there was nothing to mend, only to make better.")
    return tuple(found)


def _of_form(form: OutputForm) -> list[str]:
    if form.shows == "labels":
        return ["Attacks that use labels alone, and many queries, remain."]
    if form.decimals is None or form.decimals >= 2:
        return [
            (
                "Two decimals or more do next to nothing against membership: a model that is sure "
                "of its own rows is so in the first decimal."
            )
        ]
    return []
