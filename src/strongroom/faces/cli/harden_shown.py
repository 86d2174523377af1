"""What `strongroom harden` shows on the terminal: each way, what it did, what it costs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from strongroom.engines.robustness.assessment.document import VERDICT_WORDS
from strongroom.engines.robustness.hardening.page import SIGNS, cost_rows, ending, ordered, told
from strongroom.engines.robustness.hardening.ways import Way
from strongroom.engines.robustness.hardening.weighing import Effect, Weighed
from strongroom.faces.cli import output

_MARKS = {"passed": "ok", "failed": "fail", "invalid": "fail"}


def show(weighed: Sequence[Weighed], could_not: Mapping[str, str], folder: Path) -> None:
    """The ways, one after the other, and where their models are."""
    for one in weighed:
        _show(one, folder)
    for way, why in could_not.items():
        output.say(f"{way}: could not be done", state="warn")
        output.say(f"       {why}")
    if len(weighed) > 1:
        output.words("what helps what:")
        for one in weighed:
            better, worse = one.count(Effect.BETTER), one.count(Effect.WORSE)
            unsure = one.count(Effect.UNSURE) + one.count(Effect.REFIT)
            output.words(
                f"  {one.title}: {better} surely better, {worse} surely worse, {unsure} unsure"
            )


def _show(one: Weighed, folder: Path) -> None:
    verdict = one.verdict.value
    output.say(
        f"{one.title}: {verdict} (before: {one.verdict_before.value}): "
        f"{VERDICT_WORDS[one.verdict]}",
        state=_MARKS[verdict],
    )
    for words in one.says:
        output.say(f"       {words}")
    for turn in one.turns:
        if turn.before != turn.after:
            before, after = ending(turn)
            output.say(f"       {turn.test}: {before} before, {after} after")
    for change in ordered(one.changes):
        if change.effect is not Effect.OTHER:
            beside = "" if change.control is None else f"; control {told(change.control)}"
            output.say(
                f"   {SIGNS[change.effect]}   {change.test}: {change.before.name}: "
                f"{told(change.before)} -> {told(change.after)}{beside}: {change.effect.value}"
            )
    for name, before, after, note in cost_rows(one.cost):
        change_of = f"{before} -> {after}" if before else after
        output.say(f"       cost: {name}: {change_of}{f'; {note}' if note else ''}")
    for words in one.warns:
        output.say(f"   !   {words}")
    if one.way is Way.ROUNDING and one.form is not None and one.form.decimals is not None:
        output.words(
            f"an endpoint answers so with `strongroom endpoint create NAME --decimals "
            f"{one.form.decimals}`"
        )
    if not one.is_control:
        output.words(f"wrote {folder / one.way.value}/")
