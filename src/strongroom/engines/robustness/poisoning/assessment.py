"""The tests of threat 1, poisoning: each search with its canary, as an `Outcome`.

A canary is poison of our own in a copy of the very table, and the very same search must find it.
What is found in the copy and was not found before counts for the canary alone.
"""

from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np

from strongroom.engines.robustness.intervals import clopper_pearson
from strongroom.engines.robustness.outcome import Canary, Measure, Outcome
from strongroom.engines.robustness.poisoning import shown
from strongroom.engines.robustness.poisoning.canaries import (
    DEFAULTS,
    Settings,
    backdoored,
    canary_of_flips,
    canary_of_rows,
    canary_of_sources,
    copy_with_trigger,
)
from strongroom.engines.robustness.poisoning.duplicates import find_duplicates
from strongroom.engines.robustness.poisoning.labels import find_label_errors
from strongroom.engines.robustness.poisoning.outliers import find_outliers
from strongroom.engines.robustness.poisoning.planting import (
    plant_copies,
    plant_extremes,
    plant_flips,
)
from strongroom.engines.robustness.poisoning.quarantine import as_json, quarantine
from strongroom.engines.robustness.poisoning.sources import judge_sources
from strongroom.engines.robustness.poisoning.sweep import sweep
from strongroom.engines.robustness.poisoning.table import Mask, Table
from strongroom.engines.robustness.poisoning.triggers import find_triggers
from strongroom.engines.robustness.recipes import Recipe, reference
from strongroom.engines.robustness.target import QueriesSpent, Rows, Target

THREAT = 1
LEAST_FEATURES = 4
"""Two that a trigger may set, and two by which stamped rows resemble those of their own label."""
_DATA = ("AML.T0020",)
_BACKDOOR = ("AML.T0020", "AML.T0043.004")
_MODEL = ("AML.T0018.000", "AML.T0043.004")
Progress = Callable[[float], None]


def _nothing(_: float) -> None:
    """Progress that nobody waits for."""


def labels_test(
    table: Table, seed: int, settings: Settings = DEFAULTS, progress: Progress = _nothing
) -> Outcome:
    """`poisoning.labels`: rows whose label models deny that never saw them."""
    if lack := table.lacks():
        return Outcome("poisoning.labels", THREAT, _DATA, reason=lack)
    found = find_label_errors(table, seed, lambda done: progress(done / 2))
    if not found.is_told:
        reason = "models know no more of these labels than how frequent each is: none can be wrong"
        return Outcome("poisoning.labels", THREAT, _DATA, reason=reason)
    share = min(max(settings.flips, 10 / len(table)), 0.2)
    planted = plant_flips(table, share, np.random.default_rng(seed))
    again = find_label_errors(planted.table, seed, lambda done: progress(0.5 + done / 2))
    canary = canary_of_flips(planted.is_bad, again.suspicion)
    flagged = int(found.is_flagged.sum())
    hits, many = int(again.is_flagged[planted.is_bad].sum()), int(planted.is_bad.sum())
    base = flagged / len(table)
    measures = [
        Measure("flagged share", base, *clopper_pearson(flagged, len(table)), "share"),
        Measure("recall of planted flips", hits / many, *clopper_pearson(hits, many), "share"),
        Measure("mean suspicion", float(found.suspicion.mean()), unit="share"),
    ]
    listed = as_json(quarantine(table, labels=found))[: settings.listed]
    by_class = {
        str(label): float(found.is_flagged[table.labels == label].mean())
        for label in np.unique(table.labels).tolist()
    }
    return Outcome(
        "poisoning.labels", THREAT, _DATA, tuple(measures), canary, (shown.suspicion_curve(found),),
        (
            (
                f"{flagged:,} of {len(table):,} labels are contradicted by models that never saw "
                "their row."
            ),
            "A contradicted label can be right: where classes overlap, honest rows look wrong too.",
            *shown.blurred(found, table, hits, many),
            (
                "Wrong labels that agree with the other features, as a changed rule for all would "
                "make them, cannot be seen."
            ),
        ),
        {"quarantine": listed, "flagged share by class": by_class},
    )  # fmt: skip


def backdoor_test(
    table: Table, seed: int, settings: Settings = DEFAULTS, progress: Progress = _nothing
) -> Outcome:
    """`poisoning.backdoor`: values that go with a label against all else the rows say."""
    lack = table.lacks()
    if not lack and len(table.space.features) < LEAST_FEATURES:
        lack = f"fewer than {LEAST_FEATURES} features: nothing is left to compare stamped rows by"
    if lack:
        return Outcome("poisoning.backdoor", THREAT, _BACKDOOR, reason=lack)
    found = find_triggers(table, seed, lambda done: progress(done / 2))
    planted = copy_with_trigger(table, seed, settings)
    again = find_triggers(planted.table, seed, lambda done: progress(0.5 + done / 2))
    old, new = (
        shown.carriers(found.triggers, len(table)),
        shown.carriers(again.triggers, len(table)),
    )
    canary = canary_of_rows(
        planted.is_bad, new & ~old, settings,
        (
            f"{planted.is_bad.sum()} rows of a copy were stamped with {len(planted.features)} "
            "values and given one label"
        ),
    )  # fmt: skip
    affected = int(old.sum())
    worst = max((one.excess for one in found.triggers), default=0.0)
    measures = (
        Measure("triggers", len(found.triggers)),
        Measure(
            "affected share", affected / len(table), *clopper_pearson(affected, len(table)), "share"
        ),
        Measure("strongest trigger", worst, unit="standard deviations"),
    )
    words = (
        (
            f"{len(found.triggers)} sets of values go with a label although their rows resemble "
            "other labels in all else."
        ),
        (
            f"{found.searched[0]:,} rows and {found.searched[1]} features were searched, for up to "
            "four values."
        ),
        (
            "Stamped rows that had the label before (clean-label poison) look as an honest value "
            "that foretells it; the trigger sweep of a model tells what effect they have."
        ),
        (
            "A trigger that lies in a relation between features, or differs from row to row, is "
            "not searched for."
        ),
    )
    listed = {
        "triggers": [shown.pattern_json(table, one) for one in found.patterns],
        "quarantine": as_json(quarantine(table, triggers=found))[: settings.listed],
    }
    return Outcome("poisoning.backdoor", THREAT, _BACKDOOR, measures, canary, (), words, listed)


def sweep_test(
    table: Table,
    target: Target,
    seed: int,
    settings: Settings = DEFAULTS,
    progress: Progress = _nothing,
    *,
    clean: Rows | None = None,
) -> Outcome:
    """`poisoning.trigger_sweep`: values that turn a model's answers when stamped on clean rows."""
    name = "poisoning.trigger_sweep"
    if target.classes < 2:
        return Outcome(name, THREAT, _MODEL, reason="a regression has no label to turn to")
    if lack := table.lacks():
        return Outcome(name, THREAT, _MODEL, reason=lack)
    asked = target.queries
    try:
        found = sweep(table, target, seed, clean=clean, progress=lambda done: progress(done / 2))
    except QueriesSpent:
        return Outcome(
            name, THREAT, _MODEL, queries=target.queries - asked,
            reason="the budget of queries ended before the sweep",
        )  # fmt: skip
    planted = copy_with_trigger(table, seed, replace(settings, trigger=max(settings.trigger, 0.05)))
    copy = replace(planted.table, has_missing=False)  # its own forest sees what stands for it
    model = backdoored(
        reference("forest", table.classes).fit(table.rows, table.labels, seed), planted
    )
    again = sweep(
        copy, Target(model, classes=table.classes), seed,
        progress=lambda done: progress(0.5 + done / 2),
    )  # fmt: skip
    hit = next(
        (
            one for one in again
            if one.is_planted and one.label == planted.label
            and set(one.features) & set(planted.features)
        ),
        None,
    )  # fmt: skip
    canary = Canary(
        f"a forest with a backdoor of its own, and a copy with {planted.is_bad.sum()} stamped rows",
        hit is not None,
        "its trigger was not found" if hit is None else f"its trigger turns {hit.success:.0%}",
    )
    return Outcome(
        name, THREAT, _MODEL, shown.sweep_measures(found), canary, (shown.sweep_curve(found),),
        (
            (
                "A single value that turns many answers is no backdoor by itself: honest models of "
                "tables have such values. It is one where the training rows that carry it resemble "
                "other labels."
            ),
            "A trigger of values that no training row carries, or of more than four, is not found.",
        ),
        {"stamps": [shown.stamp_json(table, one) for one in found[:20]]},
        target.queries - asked,
    )  # fmt: skip


def sources_test(
    table: Table,
    recipe: Recipe,
    seed: int,
    progress: Progress = _nothing,
    *,
    held: Table | None = None,
    suspects: Mask | None = None,
) -> Outcome:
    """`poisoning.sources`: each source against all others.

    Args:
        suspects: rows that another search called suspect; wrong labels are searched without them.
    """
    name = "poisoning.sources"
    if lack := table.lacks():
        return Outcome(name, THREAT, _DATA, reason=lack)
    if table.sources is None or len(table.source_names) < 2:
        return Outcome(name, THREAT, _DATA, reason="the rows do not say from where they come")
    if suspects is None:
        suspects = find_label_errors(table, seed).is_flagged
    progress(0.2)
    found = judge_sources(
        table, suspects, recipe, seed, held=held,
        progress=lambda done: progress(0.2 + 0.6 * done),
    )  # fmt: skip
    canary = canary_of_sources(table, recipe, seed)
    progress(1.0)
    tried = [one.without for one in found if one.without is not None]
    best = max(tried, key=lambda one: one.gain, default=None)
    measures = [
        Measure(
            "sources of more suspects", sum(one.is_suspect and one.ratio >= 3 for one in found)
        ),
        Measure("largest ratio of suspects", max((one.ratio for one in found), default=1.0)),
    ]
    if best is not None:
        measures.append(
            Measure("largest gain without a source", best.gain, best.low, best.high, "share")
        )
    listed = [asdict(one) for one in found]
    return Outcome(
        name, THREAT, _DATA, tuple(measures), canary, (),
        (
            (
                "A source is in doubt when more of its rows are suspect than of all others, or "
                "when the model is better without it; bounds hold over all sources together."
            ),
            (
                "Sources of other populations differ honestly: compare what their suspects have in "
                "common first."
            ),
            "Two sources that poison together vouch for each other.",
        ),
        {"sources": listed},
    )  # fmt: skip


def duplicates_test(
    table: Table,
    seed: int,
    settings: Settings = DEFAULTS,
    progress: Progress = _nothing,
    *,
    held: Rows | None = None,
) -> Outcome:
    """`poisoning.duplicates`: rows that are there twice, with other labels or in the test data."""
    name = "poisoning.duplicates"
    if lack := table.lacks():
        return Outcome(name, THREAT, _DATA, reason=lack)
    found = find_duplicates(table, held)
    planted = plant_copies(table, settings.flips, np.random.default_rng(seed))
    again = find_duplicates(planted.table)
    canary = canary_of_rows(
        planted.is_bad, again.contradicts & again.is_repeated, settings,
        f"{planted.is_bad.sum()} rows were added again with another label", is_all_new=False,
    )  # fmt: skip
    progress(1.0)
    many = len(table)
    counts = {
        "repeated share": found.is_repeated, "contradicted share": found.contradicts,
        "almost repeated share": found.near >= 0,
        "almost contradicted share": found.near_contradicts,
    }  # fmt: skip
    if held is not None:
        counts["leaked share"] = found.leaked
    measures = tuple(
        Measure(title, float(which.mean()), *clopper_pearson(int(which.sum()), many), "share")
        for title, which in counts.items()
    )
    words: tuple[str, ...] = (
        (
            "Rows that are there many times weigh as many times; equal rows with two labels cannot "
            "both be learned."
        ),
        "Tables of few coarse columns repeat rows honestly.",
    )
    if not found.near_searched:
        words += ("There were too many rows to look for those that are almost equal.",)
    return Outcome(
        name, THREAT, _DATA, measures, canary, (), words,
        {"quarantine": as_json(quarantine(table, duplicates=found))[: settings.listed]},
    )  # fmt: skip


def outliers_test(
    table: Table, seed: int, settings: Settings = DEFAULTS, progress: Progress = _nothing
) -> Outcome:
    """`poisoning.outliers`: rows unlike all others."""
    if lack := table.lacks():
        return Outcome("poisoning.outliers", THREAT, _DATA, reason=lack)
    found = find_outliers(table, seed)
    progress(0.5)
    planted = plant_extremes(table, settings.flips, np.random.default_rng(seed))
    again = find_outliers(planted.table, seed)
    progress(1.0)
    rank = float(np.median(again.score[planted.is_bad]))
    canary = Canary(
        f"{planted.is_bad.sum()} rows of a copy got the rarest values, all at once",
        rank >= 0.9, f"their median rank is {rank:.2f} of 1",
    )  # fmt: skip
    many = int(found.is_outlier.sum())
    return Outcome(
        "poisoning.outliers", THREAT, _DATA,
        (Measure("outlier share", many / len(table), *clopper_pearson(many, len(table)), "share"),),
        canary, (),
        (
            f"{many:,} rows are far from all others by two of three views.",
            (
                "Most outliers are honest: rare people, and mistakes of entry. Poison among usual "
                "values is no outlier."
            ),
        ),
        {"quarantine": as_json(quarantine(table, outliers=found))[: settings.listed]},
    )  # fmt: skip
