"""What was demanded of a table and what was counted in it, in words; never a value."""

from collections.abc import Iterator

from strongroom.engines.privacy.anonymize.recipe import (
    ColumnRole,
    DemandsRecipe,
    Diversity,
    Recipe,
)
from strongroom.engines.privacy.anonymize.verify import Proof


def promises(recipe: Recipe, proof: Proof) -> list[str]:
    """Each demand beyond k, with what the verification counted for it, a line each."""
    asked = recipe.demands
    lines = [*_of_people(asked, proof)]
    for name in recipe.of_role(ColumnRole.SENSITIVE):
        lines += _of_values(name, asked, proof)
    if asked.average_risk < 1:
        lines.append(
            f"the average risk is at most {asked.average_risk:.2%}: "
            f"it is {proof.groups / max(proof.rows, 1):.2%}"
        )
    return lines


def _of_people(asked: DemandsRecipe, proof: Proof) -> Iterator[str]:
    counted = proof.measured
    if asked.k_map:
        yield (
            f"at least {asked.k_map:,} people of the population share each group's values: "
            f"the fewest are {counted['people in a group']:,.0f}"
        )
    if asked.presence_low > 0:
        yield (
            f"of the people who share values at least {asked.presence_low:.2%} are in the table: "
            f"the least are {counted['least presence']:.2%}"
        )
    if asked.presence_high < 1:
        yield (
            f"of the people who share values at most {asked.presence_high:.2%} are in the table: "
            f"the most are {counted['largest presence']:.2%}"
        )


def _of_values(name: str, asked: DemandsRecipe, proof: Proof) -> Iterator[str]:
    def counted(words: str) -> float:
        return proof.measured[f"{name}: {words}"]

    if asked.l > 1 and asked.diversity is Diversity.DISTINCT:
        yield (
            f"`{name}` has at least {asked.l:g} values in each group: "
            f"the fewest are {counted('distinct values'):g}"
        )
    elif asked.l > 1 and asked.diversity is Diversity.ENTROPY:
        yield (
            f"`{name}` is in each group as diverse as {asked.l:g} equally common values: "
            f"the least is {counted('entropy diversity'):.3g}"
        )
    elif asked.l > 1:
        yield (
            f"the commonest value of `{name}` is in each group rarer than {asked.c:g} times all "
            f"from number {asked.l:g} on: the most is {counted('recursive ratio'):.3g} times"
        )
    if asked.t is not None:
        yield (
            f"`{name}` is spread in each group as in the whole table, up to a distance of "
            f"{asked.t:g} ({asked.distance}): the farthest is {counted('distance'):.3g}"
        )
    if asked.beta is not None:
        yield (
            f"no value of `{name}` becomes more than {asked.beta:.0%} likelier by knowing the "
            f"group, common ones less (β-likeness): the most is {counted('gain'):.1%}"
        )
    if asked.delta_disclosure is not None:
        most = counted("δ-disclosure")
        yield (
            f"the share of each value of `{name}` differs in each group by a factor below "
            f"e^{asked.delta_disclosure:g} (δ-disclosure): the most is e^{most:.3g}"
        )
