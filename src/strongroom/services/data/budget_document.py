"""What a budget says, and the rules by which it changes.

A budget is an epsilon at a delta, for all versions of a dataset and one unit: the people that a
subject column tells apart, or single rows. Making it smaller takes one person. Making it larger in
any way, a shorter time between refills or a laxer composition included, is a raise: one person
asks, two others approve.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Self

import msgspec

from strongroom.engines.privacy.dp.accounting import MIN_DELTA, Rule
from strongroom.errors import (
    ConflictError,
    NotFoundError,
    RefusedError,
    StateError,
    TamperedError,
    ValidationError,
)

FORMAT = 1
MAX_EPSILON = 50.0
MAX_DELTA = 1e-2
MAX_ALLOTMENTS = 50
MAX_PURPOSE = 100
MAX_RAISES = 200
"""Kept of a budget; the oldest that are settled go first. The log has all."""
MAX_OPEN_RAISES = 10
APPROVALS = 2
"""People other than who asked, without whom no budget grows."""

OPEN, IN_FORCE, DECLINED = "open", "in force", "declined"


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much may be spent.

    Attributes:
        epsilon: of all spends of a period together.
        delta: at which it is counted.
        refill_days: after which a new period begins with nothing spent; 0: never.
        composition: "pld", exact for epsilons that are fixed beforehand; "adaptive", which holds
            for those that are chosen by earlier answers, too, and admits less.
    """

    epsilon: float
    delta: float
    refill_days: int = 0
    composition: Rule = "pld"

    def checked(self) -> Self:
        """Itself. Raises: ValidationError, where a figure is out of its range."""
        if not (math.isfinite(self.epsilon) and 0 < self.epsilon <= MAX_EPSILON):
            raise ValidationError(f"the epsilon of a budget is above 0 and at most {MAX_EPSILON:g}")
        if not (math.isfinite(self.delta) and MIN_DELTA <= self.delta <= MAX_DELTA):
            raise ValidationError(
                f"the delta of a budget is between {MIN_DELTA:g} and {MAX_DELTA:g}",
                next_step="take less than one over the number of people, such as 1e-6",
            )
        if not 0 <= self.refill_days <= 36_525:
            raise ValidationError("a budget is refilled after 1 to 36525 days, or with 0 never")
        return self

    def exceeds(self, other: Self) -> bool:
        """Whether anything may be learned by these terms that the other ones do not allow."""
        is_laxer = (self.composition, other.composition) == ("pld", "adaptive")
        is_more = self.epsilon > other.epsilon or self.delta > other.delta
        return is_more or is_laxer or self.refills_sooner_than(other)

    def refills_sooner_than(self, other: Self) -> bool:
        """Whether there are fewer days from one refill to the next."""
        return self.refill_days != 0 and (
            other.refill_days == 0 or self.refill_days < other.refill_days
        )


class Approval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One person's yes."""

    by: str
    at: datetime


class Raise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Larger terms that somebody asked for.

    Attributes:
        base: the terms that they were asked against: what is approved is this step and no other.
    """

    number: int
    terms: Terms
    base: Terms
    asked_by: str
    asked_at: datetime
    reason: str
    state: str = OPEN
    approvals: tuple[Approval, ...] = ()
    declined_by: str = ""


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A budget as it is sealed.

    Attributes:
        unit: subject column; empty: a row is the unit.
        allotments: purpose → epsilon; where there are any, no other purpose may be spent for.
        began_at: of the first period under these terms.
        refills_from: from when its days are counted to the first refill; None: from its beginning.
    """

    unit: str
    terms: Terms
    began_at: datetime
    set_by: str
    set_at: datetime
    allotments: Mapping[str, float] = msgspec.field(default_factory=dict)
    raises: tuple[Raise, ...] = ()
    refills_from: datetime | None = None
    v: int = FORMAT

    # ---- time ----

    def period_start(self, now: datetime) -> datetime:
        """When the period began in which `now` lies."""
        refills = self._refills(now)
        if not refills:
            return self.began_at
        return self._counted_from + refills * timedelta(days=self.terms.refill_days)

    def next_period(self, now: datetime) -> datetime | None:
        """When it is refilled; None: never."""
        if not self.terms.refill_days:
            return None
        length = timedelta(days=self.terms.refill_days)
        return self._counted_from + (self._refills(now) + 1) * length

    def _refills(self, now: datetime) -> int:
        """How often it was refilled under these terms."""
        if not self.terms.refill_days:
            return 0
        return max(0, (now - self._counted_from) // timedelta(days=self.terms.refill_days))

    @property
    def _counted_from(self) -> datetime:
        return self.refills_from or self.began_at

    # ---- changing ----

    def with_terms(self, terms: Terms, *, by: str, now: datetime) -> Self:
        """Under smaller terms, which one person may set.

        Raises:
            RefusedError: they are larger in some way.
        """
        if terms.checked().exceeds(self.terms):
            raise RefusedError(
                "larger terms need the approval of two people",
                next_step="ask for them with `strongroom data ask-raise`",
            )
        return self._under(terms, by, now)

    def _under(self, terms: Terms, by: str, now: datetime) -> Self:
        # The period goes on: what was spent in it counts under the new terms, too. Days that went
        # by when it was refilled later, or never, bring no refill at once.
        allotted = {purpose: min(most, terms.epsilon) for purpose, most in self.allotments.items()}
        start, counted = self.period_start(now), self._counted_from
        if self._refills(now):
            counted = start
        if terms.refills_sooner_than(self.terms):
            counted = now
        return msgspec.structs.replace(
            self, terms=terms, began_at=start, refills_from=counted, set_by=by, set_at=now,
            allotments=allotted,
        )  # fmt: skip

    def with_allotments(self, allotments: Mapping[str, float], *, by: str, now: datetime) -> Self:
        """Divided among purposes; none: any purpose may spend all.

        Raises:
            ValidationError: a part is not above 0, or they are more than the whole.
        """
        if len(allotments) > MAX_ALLOTMENTS:
            raise ValidationError(f"a budget has at most {MAX_ALLOTMENTS} allotments")
        for purpose, most in allotments.items():
            checked_purpose(purpose)
            if not (math.isfinite(most) and most > 0):
                raise ValidationError(f"the allotment of `{purpose}` is not above 0")
        if math.fsum(allotments.values()) > self.terms.epsilon * (1 + 1e-12):
            raise ValidationError(
                f"the allotments are more than the budget's epsilon of {self.terms.epsilon:g}",
                next_step="make them smaller, or ask for a raise first",
            )
        return msgspec.structs.replace(self, allotments=dict(allotments), set_by=by, set_at=now)

    # ---- raises ----

    def asking(self, terms: Terms, *, by: str, reason: str, now: datetime) -> Self:
        """With one raise more that waits for approval.

        Raises:
            ValidationError: it is none.
            StateError: too many wait already.
        """
        if not terms.checked().exceeds(self.terms):
            raise ValidationError(
                "that is no raise", next_step="set smaller terms with `strongroom data set-budget`"
            )
        if sum(each.state == OPEN for each in self.raises) >= MAX_OPEN_RAISES:
            raise StateError(
                f"{MAX_OPEN_RAISES} raises wait already", next_step="settle one of them first"
            )
        number = 1 + max((each.number for each in self.raises), default=0)
        asked = Raise(number, terms, self.terms, by, now, reason)
        kept = list(self.raises)
        while len(kept) >= MAX_RAISES:
            kept.remove(next(each for each in kept if each.state != OPEN))
        return msgspec.structs.replace(self, raises=(*kept, asked))

    def approving(
        self, number: int, *, by: str, now: datetime, may: Callable[[str], bool] = lambda _: True
    ) -> Self:
        """With one approval more; in force with the second.

        Earlier approvals of those who `may` no longer approve do not count, and are dropped.

        Raises:
            NotFoundError, StateError: there is no such raise, or it is settled.
            RefusedError: by who asked for it, or a second time.
            ConflictError: the terms are no longer those that it was asked against.
        """
        asked = self._open_raise(number)
        if by == asked.asked_by:
            raise RefusedError(
                "who asks for a raise does not approve it", next_step="two other people approve it"
            )
        if any(by == each.by for each in asked.approvals):
            raise RefusedError(
                "you have approved it already", next_step="another person approves it, too"
            )
        if asked.base != self.terms:
            raise ConflictError(
                "the budget was changed since the raise was asked for",
                next_step="decline this raise, and ask for one from the terms of now",
            )
        counting = tuple(each for each in asked.approvals if may(each.by))
        approved = msgspec.structs.replace(asked, approvals=(*counting, Approval(by, now)))
        if len(approved.approvals) < APPROVALS:
            return self._with(approved)
        settled = self._with(msgspec.structs.replace(approved, state=IN_FORCE))
        return settled._under(asked.terms, by, now)  # noqa: SLF001 # its own kind

    def declining(self, number: int, *, by: str) -> Self:
        """With a raise refused for good. Raises: NotFoundError, StateError."""
        asked = self._open_raise(number)
        return self._with(msgspec.structs.replace(asked, state=DECLINED, declined_by=by))

    def _open_raise(self, number: int) -> Raise:
        asked = next((each for each in self.raises if each.number == number), None)
        if asked is None:
            raise NotFoundError(f"there is no raise {number} of this budget")
        if asked.state != OPEN:
            raise StateError(
                f"the raise {number} is {asked.state} already", next_step="ask for a new one"
            )
        return asked

    def _with(self, asked: Raise) -> Self:
        others = tuple(asked if each.number == asked.number else each for each in self.raises)
        return msgspec.structs.replace(self, raises=others)

    # ---- as bytes ----

    def to_bytes(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """What `to_bytes` gave. Raises: TamperedError."""
        try:
            found = msgspec.json.decode(content, type=cls)
        except msgspec.DecodeError:
            raise TamperedError("a privacy budget is not of this form") from None
        if found.v != FORMAT:
            raise TamperedError("a privacy budget is of an unknown form")
        return found


def checked_purpose(purpose: str) -> str:
    """Itself. Raises: ValidationError, where it is empty, too long or not to be shown."""
    if not (purpose.strip() and len(purpose) <= MAX_PURPOSE and purpose.isprintable()):
        raise ValidationError(
            f"a purpose has 1 to {MAX_PURPOSE} characters",
            next_step="say with --purpose what the answer is for",
        )
    return purpose
