"""Shadow models: fitted as the attacked one was, on known parts of the pool.

They come in rounds. In each, the rows fall by chance into a few folds, and for each fold a model is
fitted on all others: with two folds, each row is in one of two models, as in Carlini et al., 2022,
section IV-C. So each round tells the same of every row, and leaving a whole round out leaves no
trace of who was in it.
"""

import hashlib
import json
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.membership.pool import Flags, Pool
from strongroom.engines.robustness.membership.signals import Signal, signal
from strongroom.engines.robustness.recipes import Recipe
from strongroom.engines.robustness.target import OutputForm, Scores
from strongroom.errors import TooLargeError, ValidationError

MOST_FITS = 512
MOST_FOLDS = 4
MOST_CELLS = 1 << 25
"""Fits times rows that a bundle holds."""
_ALIKE = 1.05
"""Recipes that disagree with the model by so many times as much as the best one are alike."""
_MAGIC = b"SRSHADOW"
_HEAD = struct.Struct("<8sHI")
_VERSION = 1
_MOST_HEADER = 1 << 14


@dataclass(frozen=True, slots=True)
class Design:
    """Which fit sees which rows.

    Attributes:
        folds: (rounds, rows): the fold of each row.
        count: folds of a round, and so fits.
    """

    folds: NDArray[np.int8]
    count: int

    @property
    def fits(self) -> int:
        """All fits."""
        return len(self.folds) * self.count

    def sees(self, fit: int) -> Flags:
        """The rows on which a fit is made: those of all folds but its own."""
        return np.asarray(self.folds[fit // self.count] != fit % self.count)

    def is_in(self) -> Flags:
        """(fits, rows): all of `sees`."""
        return np.stack([self.sees(fit) for fit in range(self.fits)])


def design(pool: Pool, fits: int, seed: int) -> Design:
    """Rounds for so many fits, at most; at least two rounds.

    A fit is made on a part of the pool near to the members' part, a half to three quarters, so
    that it has about as many rows as the attacked model had. Folds have rows of each class alike.
    """
    if not 4 <= fits <= MOST_FITS:
        raise ValidationError(f"shadow fits are 4 to {MOST_FITS}")
    members, others = pool.counts
    count = int(np.clip(round((members + others) / max(others, 1)), 2, MOST_FOLDS))
    count = min(count, fits // 2)
    rng = np.random.default_rng(seed)
    order = np.zeros(len(pool)) if pool.classes == 1 else pool.truth
    folds = np.empty((fits // count, len(pool)), dtype=np.int8)
    for one in folds:
        by_class = np.lexsort((rng.random(len(pool)), order))
        one[by_class] = (np.arange(len(pool)) + rng.integers(count)) % count
    return Design(folds, count)


@dataclass(slots=True)
class Shadows:
    """What shadow models answer about the rows of a pool.

    Attributes:
        design: which fit saw which rows.
        signals: (fits made so far, rows), float32.
        recipe: its name.
        is_own: it is how the attacked model was fitted.
        agreement: how near the recipe's answers come to the model's; 1: equal.
        seconds: CPU time of all fits and answers.
    """

    design: Design
    recipe: str
    is_own: bool
    signals: list[NDArray[np.float32]] = field(default_factory=list)
    agreement: float = 1.0
    seconds: float = 0.0

    def matrix(self) -> Signal:
        """(fits, rows), once all are made."""
        if len(self.signals) < self.design.fits:
            raise ValidationError("the shadow models are not all fitted")
        return np.stack(self.signals).astype(np.float64)

    def to_bytes(self, pool: Pool, seed: int) -> bytes:
        """What was made so far, for a later `resumed` with the same pool and seed."""
        header = json.dumps({
            "recipe": self.recipe, "is_own": self.is_own, "agreement": self.agreement,
            "seconds": self.seconds, "fits": self.design.fits, "folds": self.design.count,
            "made": len(self.signals), "rows": len(pool), "pool": _digest(pool), "seed": seed,
        }).encode()  # fmt: skip
        head = _HEAD.pack(_MAGIC, _VERSION, len(header))
        return head + header + b"".join(one.astype("<f4").tobytes() for one in self.signals)


def resumed(data: bytes, pool: Pool, seed: int) -> Shadows:
    """The shadows of a bundle.

    Raises:
        ValidationError: it is no such bundle, or one of another pool or seed. TooLargeError: it
        says that it holds more than `MOST_CELLS` answers.
    """
    header, body = _parted(data)
    if (header["pool"], header["seed"]) != (_digest(pool), seed):
        raise ValidationError("the kept shadow answers belong to other rows or another seed")
    made, fits, folds = header["made"], header["fits"], header["folds"]
    if made * len(pool) > MOST_CELLS:
        raise TooLargeError(f"kept shadow answers are at most {MOST_CELLS:,}")
    if not 0 <= made <= fits or len(body) != 4 * made * len(pool):
        raise ValidationError("the kept shadow answers are cut short or too long")
    laid = design(pool, fits, seed)
    if (laid.fits, laid.count) != (fits, folds):
        raise ValidationError("the kept shadow answers are of another design")
    values = np.frombuffer(body, dtype="<f4").reshape(made, len(pool)).astype(np.float32)
    if np.isnan(values).any():
        raise ValidationError("the kept shadow answers hold something that is not a number")
    return Shadows(
        laid, header["recipe"], header["is_own"], list(values), header["agreement"],
        header["seconds"],
    )  # fmt: skip


def fit_shadows(
    shadows: Shadows, pool: Pool, recipe: Recipe, form: OutputForm, seed: int, *,
    keep: Callable[[bytes], None] | None = None,
    progress: Callable[[float], None] | None = None,
    clock: Callable[[], float] = time.process_time,
) -> None:  # fmt: skip
    """Make the fits that are still missing.

    Args:
        form: of the endpoint, so that shadows are seen as the model is.
        keep: is given a bundle after each fit.
        progress: is told the part that is done.
        clock: seconds of processor time.
    """
    fits = shadows.design.fits
    for fit in range(len(shadows.signals), fits):
        start = clock()
        scores = shadow_scores(shadows.design, fit, pool, recipe, seed)
        shown = form.shown(scores) if pool.classes > 1 else scores
        shadows.signals.append(signal(shown, pool.truth).astype(np.float32))
        shadows.seconds += clock() - start
        if keep is not None:
            keep(shadows.to_bytes(pool, seed))
        if progress is not None:
            progress((fit + 1) / fits)


def shadow_scores(plan: Design, fit: int, pool: Pool, recipe: Recipe, seed: int) -> Scores:
    """What the model of one fit answers about all rows."""
    sees = plan.sees(fit)
    own_seed = int(np.random.SeedSequence([seed, fit]).generate_state(1)[0]) >> 1
    predict = recipe.fit(pool.rows[sees], pool.truth[sees], own_seed)
    scores = np.asarray(predict(pool.rows), dtype=np.float64)
    if scores.shape != (len(pool), pool.classes) or not np.isfinite(scores).all():
        raise ValidationError(f"the recipe `{recipe.name}` answers in another shape, or no numbers")
    return scores


def nearest_recipe(
    recipes: Sequence[Recipe], own: Scores, plan: Design, pool: Pool, seed: int
) -> tuple[Recipe, float]:
    """The recipe whose model answers most as the attacked one does, and how much so.

    Agreement is 1 less half the distance between the answers, over rows that neither saw. Of a
    regression: the share of the spread that is explained. Of those that agree alike the first one
    is taken: recipes come the cheapest first.
    """
    neither = ~pool.is_member & ~plan.sees(0)
    if not recipes or not neither.any():
        raise ValidationError("there is no recipe, or no row that neither model saw")
    found = []
    for recipe in recipes:
        scores = shadow_scores(plan, 0, pool, recipe, seed)
        apart = np.abs(scores - own)[neither]
        if pool.classes > 1:
            found.append(1.0 - float(apart.sum(axis=1).mean()) / 2)
        else:
            spread = float(own[neither].var()) or 1.0
            found.append(1.0 - float((apart**2).mean()) / spread)
    best = int(np.argmax(np.asarray(found) >= 1 - _ALIKE * (1 - max(found))))
    return recipes[best], found[best]


def _digest(pool: Pool) -> str:
    told = hashlib.sha256()
    for one in (pool.rows, pool.truth, pool.is_member):
        told.update(np.ascontiguousarray(one).tobytes())
    return told.hexdigest()


_KINDS: dict[str, type | tuple[type, ...]] = {
    "recipe": str, "is_own": bool, "agreement": (int, float), "seconds": (int, float),
    "fits": int, "folds": int, "made": int, "rows": int, "pool": str, "seed": int,
}  # fmt: skip


def _parted(data: bytes) -> tuple[dict[str, Any], bytes]:
    broken = ValidationError("these are no kept shadow answers of this version")
    if len(data) < _HEAD.size:
        raise broken
    magic, version, length = _HEAD.unpack_from(data)
    if (magic, version) != (_MAGIC, _VERSION) or length > _MOST_HEADER:
        raise broken
    try:
        header = json.loads(data[_HEAD.size : _HEAD.size + length])
    except (ValueError, RecursionError):
        raise broken from None
    if not isinstance(header, dict) or set(header) != set(_KINDS):
        raise broken
    if not all(isinstance(header[name], kind) for name, kind in _KINDS.items()):
        raise broken
    if not np.isfinite([header["agreement"], header["seconds"]]).all():
        raise broken
    return header, data[_HEAD.size + length :]
