"""All that an assessment may look at: the model, its rows, and what else is known of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.assessment.plan import CallerLimits
from strongroom.engines.robustness.evasion.gradients import Gradient
from strongroom.engines.robustness.evasion.trees import Trees
from strongroom.engines.robustness.leakage.tests import Scanned
from strongroom.engines.robustness.leakage.words import Speaks
from strongroom.engines.robustness.recipes import Recipe
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Labels, Predict, Rows, Target


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows with their labels.

    Attributes:
        labels: places of classes; of a regression empty, and `numbers` holds what came true.
        places: of the rows in the table they came from.
        pseudonyms: how reports name the rows.
        sources: who brought each row; empty for unknown.
        groups: name → the group of each row.
    """

    rows: Rows
    labels: Labels
    numbers: NDArray[np.float64]
    places: NDArray[np.int64]
    pseudonyms: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Rows."""
        return len(self.rows)

    def part(self, chosen: NDArray[Any]) -> "Sample":
        """The rows at these places, or where a mask is true."""
        at = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        return Sample(
            self.rows[at],
            self.labels[at] if len(self.labels) else self.labels,
            self.numbers[at] if len(self.numbers) else self.numbers,
            self.places[at],
            _picked(self.pseudonyms, at),
            _picked(self.sources, at),
            {name: _picked(values, at) for name, values in self.groups.items()},
        )

    def name(self, at: int) -> str:
        """How a report names a row."""
        return self.pseudonyms[at] if self.pseudonyms else f"row {int(self.places[at]) + 1}"


def _picked(values: tuple[str, ...], at: NDArray[Any]) -> tuple[str, ...]:
    return tuple(values[int(one)] for one in at) if values else ()


@dataclass(frozen=True, slots=True)
class Subject:
    """A model under assessment.

    Attributes:
        target: answers as the endpoint does.
        has_model: rows are looked at before a model is trained on them, where it has none.
        classes: their names; empty for a regression.
        trained: rows the model was trained on; None: nobody knows which.
        held_out: rows it never saw.
        predict: the model itself, whose answers need not be numbers.
        every_row: rows it was trained on, those that lack a number too: an attacker would hide
            among them. NaN: missing.
        recipe: how it was trained; None: unknown.
        clock: seconds of processor time of what runs the model.
        exact: its trees, or weights (classes, width) and biases, for what can be proved; None:
            not known.
        gradient: its slopes; None: not known.
        epsilon, delta: of the differential privacy it claims; None: it claims none.
        remarks: what was left out of the rows, and why.
        shared: what one test has found out and others can use, by name; of this run alone.
        kept: what an earlier try of this run had made half-way, by name.
        keep: is given such a thing, by name, each time it has grown.
        files: of the model, as bytes that nobody loads; empty where they are not at hand.
        scanned: what a scan found in them; None: nobody scanned.
        speaks: the server of the model, in its own words; None: there is none.
    """

    target: Target
    space: Space
    classes: tuple[str, ...]
    trained: Sample | None
    held_out: Sample | None
    predict: Predict
    every_row: Sample | None = None
    recipe: Recipe | None = None
    exact: Trees | tuple[Rows, NDArray[np.float64]] | None = None
    gradient: Gradient | None = None
    limits: CallerLimits = field(default_factory=CallerLimits)
    epsilon: float | None = None
    delta: float = 0.0
    remarks: tuple[str, ...] = ()
    clock: Callable[[], float] = time.process_time
    shared: dict[str, Any] = field(default_factory=dict)
    kept: Mapping[str, bytes] = field(default_factory=dict)
    keep: Callable[[str, bytes], None] = lambda _name, _data: None
    files: Mapping[str, bytes] = field(default_factory=dict)
    scanned: Scanned | None = None
    speaks: Speaks | None = None
    has_model: bool = True

    @property
    def rows(self) -> Sample:
        """The rows to attack: those it never saw, where there are some."""
        found = self.held_out if self.held_out is not None else self.trained
        assert found is not None  # noqa: S101 # a subject has one of them
        return found
