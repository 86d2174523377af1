"""What the command line asks of `anonymize`, as the recipe would say it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from strongroom.engines.privacy.anonymize.recipe import (
    DemandsRecipe,
    MethodRecipe,
    demands_from,
    method_from,
)
from strongroom.errors import UsageError, ValidationError
from strongroom.faces.cli.files import WalkLimits
from strongroom.faces.cli.study import StudyOptions

MAX_WEIGHT = 1e6
_OTHERWISE = {"recoding": "method"}
"""Options that have another name in the recipe."""


@dataclass(frozen=True, slots=True)
class Named:
    """Columns that were given a role or a weight on the command line."""

    quasi: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    weight: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return bool(self.columns or self.weight)

    @property
    def columns(self) -> frozenset[str]:
        """Those that were given a role."""
        return frozenset((*self.quasi, *self.sensitive, *self.keep, *self.drop))

    def weights(self) -> dict[str, float]:
        """Weights by column. Raises: UsageError: not `COLUMN=NUMBER`, or a column twice."""
        found: dict[str, float] = {}
        for given in self.weight:
            name, _, text = given.rpartition("=")
            try:
                weight = float(text)
            except ValueError:
                weight = math.nan
            if not name or not 0 <= weight <= MAX_WEIGHT:
                raise UsageError(
                    f"--weight is COLUMN=NUMBER, the number from 0 to {MAX_WEIGHT:,.0f}",
                    next_step="for example --weight age=2",
                )
            if found.setdefault(name, weight) != weight:
                raise UsageError(f"`{name[:100]}` has two weights")
        return found


@dataclass(frozen=True, slots=True)
class AnonymizeOptions:
    """What was asked for.

    Attributes:
        to: file to write; None: stdout.
        recipe: file that decides everything; None: the guide does.
        write_recipe: where the recipe that was used goes.
        hierarchies: folder of hierarchy files, `COLUMN.csv`.
        population: table of everybody, for k-map and δ-presence.
        people: number of people that the table is a sample of; 0: not known.
        auxiliary: an intruder's table.
        target: column that a model guesses before and after.
        large: the table may not fit into memory.
    """

    study: StudyOptions
    limits: WalkLimits
    demands: DemandsRecipe
    method: MethodRecipe
    named: Named
    to: Path | None
    recipe: Path | None
    write_recipe: Path | None
    hierarchies: Path | None
    population: Path | None
    people: int
    auxiliary: Path | None
    target: str
    html: Path | None
    large: bool
    explain: bool
    force: bool
    as_json: bool


def asked_for(
    demands: Mapping[str, str | float | None],
    method: Mapping[str, str | float | None],
    *,
    has_recipe: bool,
) -> tuple[DemandsRecipe, MethodRecipe]:
    """Demands and method from options, by their names in the recipe; None: not given.

    Raises: UsageError: a value out of its range, or any beside a recipe, which decides by itself.
    """
    given = [name for name, value in {**demands, **method}.items() if value is not None]
    if has_recipe and given:
        raise UsageError(
            f"the recipe decides about {_option(given[0])}",
            next_step="edit the recipe, or leave it out",
        )
    for name, value in demands.items():
        _require(name, value, "demands")
    for name, value in method.items():
        _require(name, value, "method")
    return demands_from(_lowered(demands)), method_from(_lowered(method))


def _require(name: str, value: str | float | None, place: str) -> None:
    try:
        if place == "demands":
            demands_from(_lowered({name: value}))
        else:
            method_from(_lowered({name: value}))
    except ValidationError as error:
        words = error.message.replace(f"`{place}.{name}`", _option(name))
        raise UsageError(words) from None


def _lowered(values: Mapping[str, str | float | None]) -> dict[str, str | float | None]:
    return {name: one.lower() if isinstance(one, str) else one for name, one in values.items()}


def _option(name: str) -> str:
    return f"--{_OTHERWISE.get(name, name).replace('_', '-')}"
